"""A package -> a server of it, until a signal ends it."""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from socket import socket

from uvicorn import Config
from uvicorn import Server as Uvicorn

from spira.scorer.answer import NOTICE
from spira.scorer.scorer import GOLDEN, Scorer
from spira.server.app import LOG, Server, make_app
from spira.server.connections import PatientProtocol, keep_from_children
from spira.server.journal import Journal
from spira.server.page import make_page
from spira.server.settings import MAX_FILES, About, Access, Limits

_SECONDS_HEAD = 5  # for the head of a request, and between two on one connection
_CONNECTIONS = 500  # at once; a process may have about a thousand files


def run(package: Path, bound: socket, limits: Limits, allowed: Access, log: Path | None = None) -> None:
    """Serves until SIGTERM or Ctrl-C, which let what is being scored end.

    Args:
        package: its folder.
        bound: to the address to listen on.
        limits: what is taken.
        allowed: from whom.
        log: a file to which numbers of each answer are added; None where nothing is kept.

    Raises:
        DataError: the package cannot be used, or the file cannot be written.
    """
    keep_from_children()
    with Scorer(package, n_decoders=limits.n_scored) as scorer:
        page = make_page(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
        keep = Journal(scorer, log) if log else None
        server = Server(scorer, _golden(package), _about(scorer, limits), limits, allowed, page, keep)
        config = Config(
            make_app(server),
            loop="asyncio",
            http=PatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_SECONDS_HEAD,
            timeout_graceful_shutdown=int(limits.seconds) + 1,
        )
        _log_to_stderr()
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        LOG.info("%s Model %s on http://%s:%d", NOTICE, scorer.manifest.model, shown, port)
        Uvicorn(config).run([bound])


def _golden(package: Path) -> Mapping[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted((package / GOLDEN).glob("*.wav"))}


def _about(scorer: Scorer, limits: Limits) -> About:
    p = scorer.manifest
    return About(
        notice=NOTICE,
        version=version("spira"),
        package=scorer.package,
        model=p.model,
        corpus=p.corpus,
        tasks=p.tasks,
        threshold=p.threshold,
        inconclusive_width=p.inconclusive_width,
        min_seconds=p.ingest.min_seconds,
        max_seconds=p.ingest.max_seconds,
        max_megabytes=limits.n_bytes / 2**20,
        max_files=MAX_FILES,
    )


def _log_to_stderr() -> None:
    """Of uvicorn its warnings; nothing that is logged holds a body, a file's name or a client's address."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for logger, level in ((LOG, logging.INFO), (logging.getLogger("uvicorn"), logging.WARNING)):
        logger.addHandler(handler)
        logger.setLevel(level)
