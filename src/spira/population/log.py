"""What `spira serve --log FILE` keeps of each answer: a line of JSON with numbers, and nothing of a voice or a name."""

import fcntl
import os
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path

from pydantic import ValidationError

from spira.base.errors import DataError
from spira.population.people import Answered

_LONGEST = 2**20  # bytes of a line; a request has 16 recordings at most


def require_writable(path: Path) -> None:
    """Raises DataError where no line could be added."""
    try:
        os.close(_opened(path))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name a file in a folder that this server may write to") from error


def append(answered: Answered, path: Path) -> None:
    """Adds a line, whole or not at all beside others that are written; the file is its owner's alone.

    It is opened anew each time, so that it may be moved away at any time.

    Raises:
        OSError: there was no room, or the file cannot be written; it is as it was.
    """
    line = answered.model_dump_json().encode() + b"\n"
    file = _opened(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # released as it is closed
        end = os.fstat(file).st_size
        if end and os.pread(file, 1, end - 1) != b"\n":  # of one whose writer died
            line = b"\n" + line
        if os.write(file, line) != len(line):
            os.ftruncate(file, end)
            raise OSError(ENOSPC, "no room for a line", str(path))
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def read_log(path: Path) -> Iterator[Answered]:
    """Each answer, in the order of the file.

    Raises:
        DataError: a line is not as ``append`` writes it; its number is named, and nothing of its content.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; it is the file that `spira serve --log` writes") from error
    with file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            if not line.endswith(b"\n"):
                why = "is longer than any answer" if len(line) == _LONGEST else "was cut off"
                raise DataError(f"{path}:{number}: {why}; remove the line")
            try:
                yield Answered.model_validate_json(line)
            except ValidationError as error:
                problem = error.errors(include_input=False)[0]
                key = ".".join(map(str, problem["loc"])) or "the line"
                raise DataError(f"{path}:{number}: {key}: {problem['msg']}; remove the line") from error
