"""A bounded queue before the scorer: what does not fit is refused at once, rather than late."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore

from spira.scorer.answer import Answer
from spira.server.settings import Limits


class QueueFullError(Exception):
    """As many requests are scored, and wait, as may."""


class Queue:
    """``await queue(work, deadline)`` -> its answer, in as many threads as requests are scored at once."""

    def __init__(self, limits: Limits) -> None:
        self._threads = ThreadPoolExecutor(limits.n_scored, "score")
        self._places = BoundedSemaphore(limits.n_scored + limits.n_waiting)

    async def __call__(self, work: Callable[[], Answer], deadline: float | None) -> Answer:
        """What the work gives.

        Args:
            work: scores one request's recordings.
            deadline: on the clock of the event loop; None for none. A request that still waits is then taken out; one
                that is being scored keeps its place until its decoder has ended, by its own limits.

        Raises:
            QueueFullError: there is no place.
            TimeoutError: there was no answer in time.
        """
        if not self._places.acquire(blocking=False):
            raise QueueFullError
        scored = self._threads.submit(work)
        scored.add_done_callback(self._release)
        async with asyncio.timeout_at(deadline):
            return await asyncio.wrap_future(scored)

    def _release(self, _: Future[Answer]) -> None:
        self._places.release()

    def close(self) -> None:
        """Waits for what is being scored."""
        self._threads.shutdown(cancel_futures=True)
