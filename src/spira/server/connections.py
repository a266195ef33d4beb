"""Connections that end: those of a client that stops sending, and those that a decoder's process inherits."""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

from uvicorn.protocols.http.h11_impl import H11Protocol

from spira.base.errors import DataError


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP, which waits for the head of a request no longer than for the next on a connection.

    uvicorn waits for ever for a head that has begun. A body has its own time limit, in ``bodies``.
    """

    _head_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_clock()
        elif self._head_clock is None:
            self._head_clock = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def _stop_clock(self) -> None:
        if self._head_clock is not None:
            self._head_clock.cancel()
            self._head_clock = None


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen yet: a client is refused until the server is there.

    Args:
        host: a name or an address of this machine.
        port: 0 is any that is free.

    Raises:
        DataError: the port is taken, or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows that it may send small answers at once; else each waits 40 ms for the client.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise DataError(f"--host {host} --port {port}: {error.strerror}; take another, such as {port + 1}") from error
    return bound


def keep_from_children() -> None:
    """Every process that this one forks from now on has none of its connections.

    A decoder that is started anew would hold those of clients open, and for a moment the port after a ``kill -9``.
    """
    os.register_at_fork(after_in_child=_replace_connections)


def _replace_connections() -> None:
    """Puts /dev/null in the place of each: its number stays taken, so that nobody closes another file by it."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").glob("*")]:  # none where there is no /proc
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as one:
            if one.family in {socket.AF_INET, socket.AF_INET6}:
                os.dup2(null, descriptor)
    os.close(null)
