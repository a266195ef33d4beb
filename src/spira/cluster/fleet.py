"""The workers of a Dask cluster, each checked before it is given work, and what they are told."""

import logging
import shutil
import sys
import time
from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from spira.base.errors import DataError, MachineError
from spira.base.files import write_bytes
from spira.base.params import PARAMS
from spira.cluster import on_worker
from spira.cluster.address import ASKED, Elsewhere, Local
from spira.cluster.facts import PACKAGE, REQUIREMENTS, Facts, differences, facts, locked_packages
from spira.cluster.messages import Errand, Lost, Raised, SentFolder, SharedFolder, opened, packed
from spira.cluster.stage_folder import SENT_SOURCE, archived
from spira.storage.objects import Sender
from spira.storage.reads import Read

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS_TO_CONNECT = 5
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_OF_SILENCE = 60  # after which it is said for whom or what the work waits
MOST_TRIES = 3
_HERE_ALONE = "127.0.0.1:0"  # of Dask's HTTP servers, which are there whether there is a dashboard or not
_SHARDS = Path(".ckpt/shards")

Job = Callable[[], Callable[..., Any]]  # pickled by name; called once in a process, it reads what all its work needs


@contextmanager
def fleet(
    where: Elsewhere, job: Job, seconds_idle: float, sender: Sender | None = None, reads: Iterable[Read] = ()
) -> Iterator["Fleet"]:
    """The workers that may do the job; what they started for it is ended with the block.

    Args:
        where: they are to be found.
        job: called once in each process that a worker starts for it; what it returns is called with what is asked for.
        seconds_idle: without a message, after which such a process takes the caller to be gone, and ends.
        sender: to storage, where workers are not to look for this folder.
        reads: what is sent for all that they do.

    Raises:
        DataError: Dask is not installed, or the scheduler cannot be reached; a file cannot be read.
        MachineError: the storage cannot be reached.
    """
    with _client(where) as client, _errand(job, seconds_idle, sender, reads) as errand:
        workers = Fleet(client, errand)
        try:
            yield workers
        finally:
            workers.close()


@contextmanager
def _client(where: Elsewhere) -> Iterator["Client"]:
    try:
        from distributed import Client, LocalCluster
        from distributed.security import Security
    except ImportError as error:
        raise DataError(f"{ASKED}: needs Dask's distributed: pip install 'spira[cluster]' ({error})") from error
    for name in ("distributed", "distributed.client"):  # what ends the work is said in our own words
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if isinstance(where, Local):  # scheduler and workers are threads of this process; what computes is not
            cluster = LocalCluster(
                n_workers=where.n,
                threads_per_worker=1,
                processes=False,
                dashboard_address=_HERE_ALONE,
                worker_dashboard_address=_HERE_ALONE,
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
        if where.address.startswith("tls:") and not Security().get_connection_args("client").get("ssl_context"):
            raise DataError(
                f"{ASKED}: {where.address} needs certificates, and Dask's configuration names none: "
                "distributed.comm.tls, as docs/how-to/several-machines.md has it"
            )
        try:
            client = Client(where.address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # nobody there; another protocol
            raise DataError(f"{ASKED}: no Dask scheduler can be reached at {where.address}: {error}") from error
        yield stack.enter_context(client)


@contextmanager
def _errand(job: Job, seconds_idle: float, sender: Sender | None, reads: Iterable[Read]) -> Iterator[Errand]:
    """What workers are told; what they write until it has its name is gone in the end."""
    name = getattr(type(job), "__name__", "job")
    for left in _SHARDS.glob(f"{name}-*"):  # by a run that was killed; one stage runs once in its folder
        shutil.rmtree(left, ignore_errors=True)
    token, here, source, packages = f"{name}-{token_hex(8)}", Path.cwd(), PACKAGE.parent, locked_packages()
    written = _SHARDS / token
    found_at = source.relative_to(here) if source.is_relative_to(here) else source
    try:
        yield Errand(
            token=token,
            folder=_sent(written, sender, reads) if sender else _shared(written),
            source=SENT_SOURCE if sender else str(found_at),
            written=written,
            packages=packages,
            programs=tuple(getattr(job, "programs", ())),
            job=packed(job),
            seconds_idle=seconds_idle,
        )
    finally:
        shutil.rmtree(written, ignore_errors=True)


def _shared(written: Path) -> SharedFolder:
    sign, signed = written / "sign", token_hex(16)
    write_bytes(signed.encode(), sign)
    return SharedFolder(str(Path.cwd()), str(sign), signed)


def _sent(written: Path, sender: Sender, reads: Iterable[Read]) -> SentFolder:
    written.mkdir(parents=True)
    code = archived(PACKAGE, [PARAMS, REQUIREMENTS], written)
    first, *others = sender.sent([Read(code), *reads])
    return SentFolder(sender.storage.url, first, tuple(others))


class _Check(NamedTuple):
    """Of a worker, which has been asked."""

    answer: "Future"
    since: float  # by time.monotonic()


class Fleet:
    """The workers that are there and fit for the job: each is checked before it is given work."""

    def __init__(self, client: "Client", errand: Errand) -> None:
        self.client, self.errand = client, errand
        self._first: set[str] = set()  # those that were there when somebody first was
        self._fit: set[str] = set()
        self._unfit: set[str] = set()
        self._checks: dict[str, _Check] = {}
        self._held: dict[str, Future] = {}  # kept, for with them all ends
        self._n_lost: Counter[str] = Counter()
        self._facts: Facts | None = None
        self._said: set[str] = set()

    def workers(self) -> list[str]:
        """Addresses of those that are fit, and there; it waits for nobody.

        Raises:
            DataError: the scheduler is gone; or one of the first workers is not fit. Who comes later is left out.
        """
        try:
            there = set(self.client.nthreads())
        except (OSError, TimeoutError) as error:
            raise DataError(f"{ASKED}: the Dask scheduler is gone: {error}") from error
        self._first = self._first or there
        for address in there - self._fit - self._unfit - self._checks.keys():
            if address not in self._held:
                held = self.client.submit(on_worker.hold, self.errand.token, workers=[address], pure=False)
                self._held[address] = held
            answer = self.client.submit(on_worker.check, self.errand, workers=[address], pure=False)
            self._checks[address] = _Check(answer, time.monotonic())
        for address, check in list(self._checks.items()):
            if address not in there:
                del self._checks[address]
            elif check.answer.done():
                del self._checks[address]
                self._judge(address, check.answer)
            elif time.monotonic() - check.since > SECONDS_OF_SILENCE:
                self._say(f"worker {address} has not answered for {SECONDS_OF_SILENCE} s, and has no work yet")
        if not there:
            self._say(f"{ASKED}: waiting for workers")
        return sorted(self._fit & there)

    def is_settled(self) -> bool:
        """Whether somebody is fit, and all that are there have been checked, or do not answer."""
        now = time.monotonic()
        return bool(self._fit) and all(now - check.since > SECONDS_OF_SILENCE for check in self._checks.values())

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
            raise MachineError(f"on worker {worker}: {answer.reason}")
        if isinstance(answer, Raised):
            raise DataError(f"worker {worker}: {answer.kind}: {answer.message}\n{answer.trace}".rstrip())
        return answer.result

    def _judge(self, address: str, answer: "Future") -> None:
        try:
            loaded, message = answer.result(timeout=SECONDS_TO_CONNECT)
        except (OSError, TimeoutError, CancelledError) as error:  # it died just then, or the scheduler
            self._lose(address, f"{type(error).__name__}: {error}")
            return
        except Exception as error:  # it could not even import this package
            self._refuse(address, f"cannot do this work: {type(error).__name__}: {error}")
            return
        if loaded != on_worker.LOADED:
            self._refuse(address, "was started with other code of spira.cluster or spira.storage; start it anew")
            return
        self._facts = self._facts or facts(self.errand.packages, self.errand.programs)
        found = opened(message)
        if isinstance(found, Lost):
            self._lose(address, found.reason)
        elif isinstance(found, Raised):
            self._refuse(address, f"{found.message}\n{found.trace}".rstrip())
        elif why := differences(self._facts, found):
            self._refuse(address, why)
        else:
            self._fit.add(address)

    def _lose(self, address: str, why: str) -> None:
        """It is asked again, but not for ever."""
        self._n_lost[address] += 1
        if self._n_lost[address] >= MOST_TRIES:
            self._refuse(address, f"did not begin in {MOST_TRIES} tries; the last time {why}")

    def _refuse(self, address: str, why: str) -> None:
        if address in self._first:
            raise DataError(f"worker {address}: {why}")
        self._unfit.add(address)
        self._say(f"worker {address} is given no work: {why}")

    def _say(self, text: str) -> None:
        """Once."""
        if text not in self._said:
            self._said.add(text)
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends what was started for the job, where workers answer: for one that hangs nobody waits."""

        def end() -> None:
            with suppress(Exception):  # the scheduler, or a worker, may be gone, and its process with it
                self.client.run(on_worker.end, self.errand.token, on_error="ignore")

        for check in self._checks.values():
            with suppress(Exception):
                check.answer.cancel()
        ending = Thread(target=end, daemon=True)
        ending.start()
        ending.join(SECONDS_TO_CONNECT)
