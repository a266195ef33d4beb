"""The process that makes a stage's shards for a Dask worker: new for each run of a stage, and ended with it.

So nothing is left in it of another stage, of another revision's code or of another ``params.yaml``; it may fork, for it
has no threads of Dask's; and it may be killed, which costs the shard that it was making one more try.
"""

if __name__ == "__main__":  # before NumPy, torch or numba is imported
    from spira.base import arithmetic

    arithmetic.settle()

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from spira.base.errors import DataError, MachineError, ParamError
from spira.base.files import hash_file
from spira.base.system_errors import ADVICE, sentence
from spira.cluster.facts import facts
from spira.cluster.messages import Lost, Made, Raised, opened, packed

_SECONDS_BETWEEN_LOOKS = 0.25


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the stage, which ends this
    Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    os.dup2(2, 1)  # nothing that is printed here is an output
    job, packages, programs, seconds_idle = opened(connection.recv_bytes())
    gc.disable()  # looking for garbage among modules that stay is a sixth of the time in which they are imported
    work = _answer(lambda: opened(job)())
    gc.freeze()
    gc.enable()
    connection.send_bytes(
        packed(work if isinstance(work, Raised | Lost) else _answer(partial(facts, packages, programs)))
    )
    with suppress(EOFError):  # the worker has ended this
        while connection.poll(seconds_idle):  # a worker starts another process where the stage is not gone
            asked, path = opened(connection.recv_bytes())
            connection.send_bytes(packed(_answer(partial(_made, work, asked, path))))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def _made(work: Callable[..., Any], asked: Any, path: Path | None) -> Made:
    if path is None:
        return Made(work(asked), "")
    result = work(asked, path)
    return Made(result, hash_file(path) if path.exists() else "")


def _answer(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (DataError, ParamError) as error:
        return Raised(type(error).__name__, str(error), "")
    except MachineError as error:
        return Lost(str(error))
    except OSError as error:
        if error.errno in ADVICE:
            return Raised("DataError", f"{error.filename or 'a file'}: {sentence(error)}", "")
        return Raised("OSError", str(error), traceback.format_exc())
    except Exception as error:  # a defect, which the stage shows
        return Raised(type(error).__name__, str(error), traceback.format_exc())


if __name__ == "__main__":
    main()
