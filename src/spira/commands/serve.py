"""serve: a package -> an HTTP server that scores recordings by it."""

import os
from pathlib import Path

import click

from spira.base import arithmetic
from spira.repository.git import repository_root

TOKEN = "SPIRA_SERVE_TOKEN"


@click.command
@click.option("--package", type=click.Path(path_type=Path), default=Path("data/package"), show_default=True)
@click.option("--model", metavar="NAME", help="Instead of --package, of the registry: champion, or a version.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help=f"To be reached from other machines, such as 0.0.0.0; then {TOKEN} must be set.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes one that is free."
)
@click.option(
    "--decoders", type=click.IntRange(1, 64), default=2, show_default=True, help="Requests that are scored at once."
)
@click.option(
    "--queue", type=click.IntRange(0, 1000), default=16, show_default=True, help="Requests that wait; more are refused."
)
@click.option(
    "--max-megabytes", type=click.IntRange(1, 1000), default=32, show_default=True, help="Of one request, all files."
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    default=30.0,
    show_default=True,
    help="For one request, with its sending.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add numbers of each answer to this file, for spira drift and spira feedback. Unless given, nothing is kept.",
)
def command(
    *,
    package: Path,
    model: str | None,
    host: str,
    port: int,
    decoders: int,
    queue: int,
    max_megabytes: int,
    seconds: float,
    log: Path | None,
) -> None:
    """Serve the packaged model over HTTP, with a page to try it.

    Research, not a diagnosis. The page is at http://127.0.0.1:8000/, a description for programs at /openapi.json. Only
    this machine reaches it, unless --host says otherwise; then whoever asks must bring the token that
    SPIRA_SERVE_TOKEN holds. Nothing of a recording is written, unless --log asks for numbers of it: of its sound, its
    digest and its score, with the day; no sound, no name, no time of day. With --model the package is brought from
    DVC's cache or remote, held to its hash, and scores by its own code.

    \b
    Example:
      spira serve --port 8001
      curl --form sentence=@recording.wav http://127.0.0.1:8001/v1/predict

    Exit codes: 1 the package cannot be used, the port is taken or a token is missing; 130 and 143 after Ctrl-C and
    SIGTERM, which let what is being scored end.
    """
    from spira.server.connections import listening
    from spira.server.settings import Limits, access

    allowed = access(host, os.environ.get(TOKEN))
    if model:
        from spira.registry.served import become, brought, words

        given = click.get_current_context().params
        options = {f"--{name.replace('_', '-')}": given[name] for name in given if name not in ("package", "model")}
        become(brought(repository_root(), model, "origin"), "serve", words(options))
    with listening(host, port) as bound:  # what is wrong is said before seconds of loading
        arithmetic.settle()  # before NumPy and torch are imported
        from spira.server.run import run

        run(package, bound, Limits(decoders, queue, max_megabytes * 2**20, seconds), allowed, log)
