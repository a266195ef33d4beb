"""The two errors that a person is meant to read, and how a stage shows them.

Both say where, what was expected and what was found; everything else that
escapes a stage is a defect of this repository and keeps its traceback.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class ParamError(ValueError):
    """``params.yaml`` asks for something that no stage can do."""


class DataError(ValueError):
    """A file that a stage was given is missing, broken or contradictory."""


@contextmanager
def told() -> Iterator[None]:
    """The message of a ``ParamError`` or ``DataError`` without a traceback, exit status 1; 130 after Ctrl-C.

    A command that is asked for ``--help`` says what it does, and does nothing.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(
            sys.modules["__main__"].__doc__,
            "Settings are in params.yaml, files and descriptions in dvc.yaml.",
            sep="\n",
        )
        sys.exit()
    try:
        yield
    except (ParamError, DataError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
