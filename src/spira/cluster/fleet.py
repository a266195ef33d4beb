"""The workers of a Dask cluster, each checked before it is given work, and what they are told."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future as Here
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from spira.base.errors import DataError, MachineError
from spira.base.files import write_bytes
from spira.cluster import on_worker
from spira.cluster.address import ASKED, Local, Scheduler
from spira.cluster.facts import PACKAGE, Facts, differences, facts, locked_packages
from spira.cluster.messages import Errand, Lost, Raised, opened, packed

if TYPE_CHECKING:
    from distributed import Client

SECONDS_TO_CONNECT = 5
SECONDS_BETWEEN_LOOKS = 0.5
_SHARDS = Path(".ckpt/shards")

Job = Callable[[], Callable[..., Any]]  # pickled by name; called once in a process, it reads what all its work needs


@contextmanager
def fleet(where: Local | Scheduler, job: Job, seconds_idle: float) -> Iterator["Fleet"]:
    """The workers that may do the job; what they started for it is ended with the block.

    Args:
        job: called once in each process that a worker starts for it; what it returns is called with what is asked for.
        seconds_idle: without a message, after which such a process takes the caller to be gone, and ends.

    Raises:
        DataError: Dask is not installed, or the scheduler cannot be reached.
    """
    with _client(where) as client, _errand(job, seconds_idle) as errand:
        workers = Fleet(client, errand)
        try:
            yield workers
        finally:
            workers.close()


@contextmanager
def _client(where: Local | Scheduler) -> Iterator["Client"]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise DataError(f"{ASKED}: needs Dask's distributed: pip install 'spira[cluster]' ({error})") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what ends a stage is said in our own words
    with ExitStack() as stack:
        if isinstance(where, Local):  # scheduler and workers are threads of this process; what computes is not
            cluster = LocalCluster(
                n_workers=where.n,
                threads_per_worker=1,
                processes=False,
                dashboard_address=None,
                scheduler_kwargs={
                    "dashboard_address": "127.0.0.1:0"
                },  # of its HTTP server; by itself 8787, for all to reach
                silence_logs=logging.CRITICAL,
            )
            yield stack.enter_context(Client(stack.enter_context(cluster), set_as_default=False))
            return
        if where.exposed:
            print(
                f"{where.address}: not encrypted, and whoever reaches it can run code on its workers: use it on a "
                "private network only, or tls://",
                file=sys.stderr,
            )
        try:
            client = Client(where.address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # nobody there; no certificate; another protocol
            raise DataError(f"{ASKED}: no Dask scheduler can be reached at {where.address}: {error}") from error
        yield stack.enter_context(client)


@contextmanager
def _errand(job: Job, seconds_idle: float) -> Iterator[Errand]:
    """What workers are told; beside it lies what they write until it has its name, which is gone in the end."""
    name = getattr(type(job), "__name__", "job")
    for left in _SHARDS.glob(f"{name}-*"):  # by a run that was killed; one stage runs once in its folder
        shutil.rmtree(left, ignore_errors=True)
    token, here, source = f"{name}-{token_hex(8)}", Path.cwd(), PACKAGE.parent
    sign, signed = _SHARDS / token / "sign", token_hex(16)
    write_bytes(signed.encode(), sign)
    found_at = source.relative_to(here) if source.is_relative_to(here) else source
    try:
        yield Errand(token, str(here), str(found_at), str(sign), signed, locked_packages(), packed(job), seconds_idle)
    finally:
        shutil.rmtree(sign.parent, ignore_errors=True)


class Fleet:
    """The workers that are there and fit for the job: each is checked before it is given work."""

    def __init__(self, client: "Client", errand: Errand) -> None:
        self.client, self.errand = client, errand
        self._fit: set[str] = set()
        self._unfit: set[str] = set()
        self._pool = ThreadPoolExecutor(1)
        self._checking: Here[dict[str, Any]] | None = None
        self._facts: Facts | None = None
        self._said = False

    def workers(self) -> list[str]:
        """Addresses. The first workers are waited for, and all of them must be fit; who comes later may be left out."""
        try:
            there = set(self.client.nthreads())
        except (OSError, TimeoutError) as error:
            raise DataError(f"{ASKED}: the Dask scheduler is gone: {error}") from error
        new = there - self._fit - self._unfit
        if new and self._checking is None:
            self._checking = self._pool.submit(
                self.client.run, on_worker.check, self.errand, workers=sorted(new), on_error="return"
            )
        if self._checking and (self._checking.done() or not self._fit & there):
            self._judge(there, first=not self._fit)
        if not self._fit & there and not self._said:
            self._said = True
            print(f"{ASKED}: waiting for workers", file=sys.stderr, flush=True)
        return sorted(self._fit & there)

    def ask(self, worker: str, asked: Any) -> Any:
        """What the job's work answers on a worker; from any thread.

        Raises:
            MachineError: the worker is gone, or its process for the job.
            DataError: the work raised an error.
        """
        try:
            if worker not in self.client.nthreads():  # else Dask tries to reach it for half a minute
                raise MachineError(f"worker {worker} is gone")
            message = packed((asked, None))
            answer = opened(self.client.run(on_worker.ask, self.errand, message, workers=[worker])[worker])
        except (OSError, TimeoutError, KeyError) as error:  # it died just then
            raise MachineError(f"worker {worker} gave no answer ({type(error).__name__}: {error})") from error
        if isinstance(answer, Lost):
            raise MachineError(f"on worker {worker} its process {answer.reason}")
        if isinstance(answer, Raised):
            raise DataError(f"worker {worker}: {answer.kind}: {answer.message}\n{answer.trace}".rstrip())
        return answer.result

    def _judge(self, there: set[str], *, first: bool) -> None:
        self._facts = self._facts or facts(self.errand.packages)
        checked, self._checking = self._checking.result() if self._checking else {}, None
        answers = {address: answer for address, answer in checked.items() if address in there}
        wrong = {address: why for address, answer in sorted(answers.items()) if (why := self._why_not(answer))}
        self._fit |= answers.keys() - wrong.keys()
        self._unfit |= wrong.keys()
        for address, why in wrong.items():
            if first:
                raise DataError(f"worker {address}: {why}")
            print(f"worker {address} is given no work: {why}", file=sys.stderr, flush=True)

    def _why_not(self, answer: Any) -> str:
        """ "" where the worker may be given work."""
        if not isinstance(answer, tuple):  # it could not even import this package
            return f"cannot do this work: {type(answer).__name__}: {answer}"
        loaded, message = answer
        if loaded != on_worker.LOADED:
            return "was started with another version of src/spira/cluster/on_worker.py; start it anew"
        found = opened(message)
        if isinstance(found, Lost):
            return found.reason
        if isinstance(found, Raised):
            return f"{found.kind}: {found.message}\n{found.trace}".rstrip()
        return differences(self._facts or found, found)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        with suppress(Exception):  # the scheduler, or a worker, may be gone, and its process with it
            self.client.run(on_worker.end, self.errand.token, on_error="ignore")
