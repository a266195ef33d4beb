"""A bounded queue before the scorer: what does not fit is refused at once, rather than late."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore

from spira.scorer.answer import Answer
from spira.server.settings import Limits

Score = Callable[[Mapping[str, bytes]], Answer]


class QueueFullError(Exception):
    """As many requests are scored, and wait, as may."""


class Queue:
    """``await queue(recordings, deadline)`` -> the answer, from as many threads as requests are scored at once."""

    def __init__(self, score: Score, limits: Limits) -> None:
        self._score = score
        self._threads = ThreadPoolExecutor(limits.n_scored, "score")
        self._places = BoundedSemaphore(limits.n_scored + limits.n_waiting)

    async def __call__(self, recordings: Mapping[str, bytes], deadline: float | None) -> Answer:
        """The scorer's answer.

        Args:
            recordings: by name, their bytes.
            deadline: on the clock of the event loop; None for none. A request that still waits is then taken out; one
                that is being scored keeps its place until its decoder has ended, by its own limits.

        Raises:
            QueueFullError: there is no place.
            TimeoutError: there was no answer in time.
        """
        if not self._places.acquire(blocking=False):
            raise QueueFullError
        scored = self._threads.submit(self._score, recordings)
        scored.add_done_callback(self._release)
        async with asyncio.timeout_at(deadline):
            return await asyncio.wrap_future(scored)

    def _release(self, _: Future[Answer]) -> None:
        self._places.release()

    def close(self) -> None:
        """Waits for what is being scored."""
        self._threads.shutdown(cancel_futures=True)
