"""A request's body -> the recordings in it: in memory alone, of bounded size, within a time.

Raises:
    HTTPException: 400, 408, 413, 422 or 503, with a sentence.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from fastapi import HTTPException, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from spira.server.settings import MAX_FILES, Limits

NO_FILE = "no recording; send at least one as a file of a multipart form: curl --form sentence=@recording.wav"
_MAX_FIELDS = 100  # that are no files; they are not read
_NEVER = 2**62  # bytes


class _InMemory(MultiPartParser):
    """Keeps every file in memory: a voice never reaches a disk."""

    spool_max_size = _NEVER


class Bodies:
    """``await bodies(request, deadline)`` -> its recordings' bytes, by name."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0  # bytes of all bodies that are being read

    async def __call__(self, request: Request, deadline: float) -> dict[str, bytes]:
        """Reads the body until ``deadline``, on the clock of the event loop."""
        try:
            async with asyncio.timeout_at(deadline):
                with self._holding(request) as body:
                    async for chunk in request.stream():
                        self._admit(len(body) + len(chunk), len(chunk))
                        body += chunk
                    return await _recordings(request, bytes(body))
        except TimeoutError as error:
            raise HTTPException(408, f"the request did not arrive within {self._limits.seconds:g} s") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the client went away") from error

    @contextmanager
    def _holding(self, request: Request) -> Iterator[bytearray]:
        self._admit(_announced(request), 0)
        body = bytearray()
        try:
            yield body
        finally:
            self._held -= len(body)

    def _admit(self, n_bytes: int, n_new: int) -> None:
        """Refuses a body that has, or announces, ``n_bytes``; else counts its new ones."""
        if n_bytes > self._limits.n_bytes:
            raise HTTPException(413, f"at most {self._limits.n_bytes / 2**20:g} MB a request")
        if self._held + n_new > self._limits.n_bytes_together:
            raise HTTPException(503, "too many recordings are arriving at once", {"Retry-After": "1"})
        self._held += n_new


def _announced(request: Request) -> int:
    """What the header says; it need not say anything, and the bytes are counted whatever it says."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


async def _recordings(request: Request, body: bytes) -> dict[str, bytes]:
    """The files of a multipart form by the names of their fields; the files' own names are not read."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(422, NO_FILE)
    try:
        form = await _InMemory(request.headers, _once(body), max_files=MAX_FILES, max_fields=_MAX_FIELDS).parse()
    except MultiPartException as error:
        status = 413 if error.message.startswith("Too many") else 422
        raise HTTPException(status, f"not a form that can be read: {error.message}") from error
    except Exception as error:  # a character set that is none, and whatever else a stranger may write
        raise HTTPException(422, "not a form that can be read") from error
    try:
        return await _files(form)
    finally:
        await form.close()


async def _files(form: FormData) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for field, file in form.multi_items():
        if isinstance(file, UploadFile):
            name = field.encode("utf-8", "replace").decode()  # what cannot be written in an answer
            if name in found:
                raise HTTPException(422, "two recordings have the same name; give each a name of its own")
            found[name] = await file.read()
    if not found:
        raise HTTPException(422, NO_FILE)
    return found


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
