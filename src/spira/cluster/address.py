"""SPIRA_CLUSTER -> where shards are made: in processes of this machine, or on a Dask cluster; and by which disk."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from spira.base.errors import ParamError

ASKED = "SPIRA_CLUSTER"
STORAGE = "SPIRA_CLUSTER_STORAGE"
MOST = 256  # processes of this machine, each with all that it has loaded


class Local(NamedTuple):
    """Processes that the stage starts on this machine, and ends."""

    n: int
    storage: str = ""  # see ``Scheduler``


class Scheduler(NamedTuple):
    """A Dask scheduler that is there, and whose workers are."""

    address: str
    exposed: bool  # others can reach it, and nothing is encrypted
    storage: str = ""  # address by which files reach workers; "" where they see the same disk


Elsewhere = Local | Scheduler


def asked(environment: Mapping[str, str]) -> Elsewhere | None:
    """What SPIRA_CLUSTER asks for, with SPIRA_CLUSTER_STORAGE; None where it is not set, or empty.

    Raises:
        ParamError: it is neither ``local:N`` nor the address of a scheduler; or the storage has no scheme.
    """
    text, storage = environment.get(ASKED), environment.get(STORAGE, "")
    if not text:
        return None
    if storage and not _has_scheme(storage):
        raise ParamError(f"{STORAGE}: must be an address such as s3://bucket/folder, got {storage!r}")
    if "@" in storage.partition("://")[2].partition("/")[0]:
        raise ParamError(
            f"{STORAGE}: must hold no user and no password, for messages repeat it; see docs/how-to/storage.md"
        )
    kind, _, number = text.partition(":")
    if kind == "local" and number.isascii() and number.isdigit() and str(int(number)) == number:
        if 1 <= int(number) <= MOST:
            return Local(int(number), storage)
    elif host := _host(text):
        return Scheduler(text, text.startswith("tcp:") and not _is_loopback(host), storage)
    raise ParamError(
        f"{ASKED}: must be tcp://host:port or tls://host:port of a Dask scheduler, or local:N with N in [1, {MOST}], "
        f"got {text!r}"
    )


def _host(address: str) -> str:
    """The host of a scheduler's address; "" where it is no such address."""
    try:
        parts = urlsplit(address)
        sound = parts.scheme in {"tcp", "tls"} and parts.port and address == f"{parts.scheme}://{parts.netloc}"
    except ValueError:  # a port that is no number
        return ""
    return (parts.hostname or "") if sound and "@" not in parts.netloc else ""


def _has_scheme(address: str) -> bool:
    scheme, separator, rest = address.partition("://")
    return scheme.isalnum() and bool(separator and rest.strip("/"))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
