"""Uploads that end where the server stops taking them.

``read_timeout`` counts from the end of a request's body: to a server that takes the first part of a large body and then
nothing, plain DVC waits for ever.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from inspect import isawaitable
from io import BytesIO
from typing import Any

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import AsyncIterablePayload

N_BYTES = 65_536  # of one piece; each must be taken within the read timeout
_REQUESTS = ("PutObject", "UploadPart")


class _Watched(AsyncIterablePayload):
    """A request's body, sent in pieces; ``TimeoutError`` where one is not taken in time."""

    def __init__(self, body: Any, seconds: float) -> None:
        super().__init__(_pieces(body))
        self.body, self.seconds = body, seconds

    async def write_with_length(self, writer: AbstractStreamWriter, _content_length: int | None) -> None:
        async for piece in _pieces(self.body):
            async with asyncio.timeout(self.seconds):
                await writer.write(piece)
                await writer.drain()

    def seek(self, offset: int) -> None:
        """botocore goes back to the beginning before it sends anew."""
        if hasattr(self.body, "seek"):
            self.body.seek(offset)


async def _pieces(body: Any) -> AsyncIterator[bytes]:
    """Yields the body in pieces. (Over TLS botocore wraps it with a checksum, and ``read`` is a coroutine.)"""
    stream = BytesIO(body) if isinstance(body, bytes | bytearray) else body
    while True:
        read = stream.read(N_BYTES)
        piece: bytes = await read if isawaitable(read) else read
        if not piece:
            return
        yield piece


def watch(client: Any, seconds: float) -> None:
    """Makes the aiobotocore client's uploads wait at most so long for any piece to be taken."""
    for name in _REQUESTS:
        client.meta.events.register(f"before-send.s3.{name}", partial(_replace, seconds=seconds))


def _replace(request: Any, seconds: float, **_: object) -> None:
    if request.body:
        request.headers.pop("Expect", None)  # the wait for the server's "100 Continue" has no end either
        request.body = _Watched(request.body, seconds)
