"""What a server takes at once, how much and how long, and what it says of itself."""

from dataclasses import dataclass
from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict, Field

from spira.base.errors import DataError

MAX_FILES = 16  # of one request: a person's recordings are few
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Limits:
    """What one request, and all together, may ask of the machine."""

    n_scored: int  # requests that are scored at once
    n_waiting: int  # requests that wait for one of these to end
    n_bytes: int  # of one request's body
    seconds: float  # from a request's first byte to its answer

    @property
    def n_bytes_together(self) -> int:
        """Of all bodies that are in memory at once."""
        return self.n_bytes * (self.n_scored + self.n_waiting)


@dataclass(frozen=True)
class Access:
    """Who may ask."""

    token: str | None  # that a request must bring; None where none is asked for
    hosts: tuple[str, ...]  # names by which a client may call the server; ("*",) is any


def is_loopback(host: str) -> bool:
    """Whether this machine alone can reach it; a name but ``localhost`` may be anybody's."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def access(host: str, token: str | None) -> Access:
    """Who may ask a server on this host.

    Without a token the server's names are those of loopback, and a page of elsewhere that calls it by a name of its own
    is refused. With one, a proxy may call it by any.

    Raises:
        DataError: others can reach the host, and there is no token.
    """
    if token:
        return Access(token, ("*",))
    if not is_loopback(host):
        raise DataError(
            f"--host {host}: other machines can reach it, so whoever asks must bring a token: "
            "export SPIRA_SERVE_TOKEN=$(openssl rand -hex 20)"
        )
    return Access(None, _LOCAL)


class About(BaseModel):
    """Which model answers, and what it takes."""

    model_config = ConfigDict(frozen=True)

    notice: str
    version: str = Field(description="of the program")
    package: str = Field(description="SHA-256 of the package's SHA256SUMS, which holds every other hash")
    model: str
    corpus: str = Field(description="whose recordings it was trained on")
    tasks: tuple[str, ...] = Field(description="what was said in them: names for the recordings of a request")
    threshold: float = Field(description="a score from it upwards is positive")
    inconclusive_width: float = Field(description="width of the band about the threshold that is inconclusive")
    min_seconds: float = Field(description="of a recording")
    max_seconds: float = Field(description="of a recording")
    max_megabytes: float = Field(description="of a request")
    max_files: int = Field(description="of a request")
