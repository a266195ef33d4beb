"""How a program of ours starts and ends: names in UTF-8, a message without a traceback, an exit status."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from spira.base.errors import DataError, ParamError, visible
from spira.base.system_errors import ADVICE, sentence
from spira.base.utf8 import escape_what_cannot_be_shown, restart_in_utf8


@contextmanager
def exit_on_error(help_text: str | None = None) -> Iterator[None]:
    """The message of a ``ParamError`` or ``DataError``, or of a disk that fails, without a traceback; exit status 1.

    130 after Ctrl-C and 143 after SIGTERM, each once what was half done is put away. The program starts anew where the
    locale would change names of files.

    Args:
        help_text: printed where ``-h`` or ``--help`` is asked for, and then nothing is run; None where the program
            reads its own arguments.
    """
    restart_in_utf8()
    escape_what_cannot_be_shown()
    if help_text is not None and {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text, "Settings are in params.yaml, files and descriptions in dvc.yaml.", sep="\n")
        sys.exit()
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except (ParamError, DataError) as error:
        sys.exit(f"{type(error).__name__}: {visible(str(error), lines=True)}")
    except OSError as error:
        if error.errno not in ADVICE:
            raise
        sys.exit(f"DataError: {visible(str(error.filename or 'a file'))}: {sentence(error)}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _: object) -> NoReturn:
    """A second SIGTERM ends it there and then."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)
