"""Names of files are UTF-8 and what a terminal cannot show is escaped, whatever the locale.

Python takes file names for text in the locale's encoding, so that ``gravação.wav`` of the table would be another file,
or none, under ``LC_ALL=pt_BR.ISO-8859-1``. Which encoding it takes is decided once, as it starts.
"""

import codecs
import io
import locale
import os
import sys
from pathlib import Path

_UTF8 = ["-X", "utf8"]


def utf8_variables() -> dict[str, str]:
    """The variables under which a Python, and each that it starts, takes names for UTF-8; {} where this one does."""
    return {} if sys.getfilesystemencoding() == "utf-8" else {"PYTHONUTF8": "1"}


def restart_in_utf8() -> None:
    """Starts this program of ours anew, as the same process, where its names would not be UTF-8. It has done nothing.

    A DVC above it does not, so it is named: its hashes of a corpus depend on the locale.
    """
    program = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    package = Path(__file__).parents[1]
    # a stage or ``python -m spira``; the console script lies in a bin/
    ours = package in program.resolve().parents or program.name == package.name
    if not (variables := utf8_variables()) or not ours or sys.orig_argv[1:3] == _UTF8:
        return
    if "DVC_ROOT" in os.environ:
        print(
            f"{program.stem}: names of files are UTF-8 here, but dvc reads them in the locale's "
            f"{sys.getfilesystemencoding()}, and hashes data/raw otherwise than elsewhere where one is not ASCII: "
            "export PYTHONUTF8=1",
            file=sys.stderr,
            flush=True,
        )
    os.execve(sys.executable, [sys.executable, *_UTF8, *sys.orig_argv[1:]], {**os.environ, **variables})


def locale_encoding() -> str:
    """By its one name; UTF-8 in an ASCII locale, as Python takes it."""
    name = codecs.lookup(locale.getencoding()).name
    return "utf-8" if name == "ascii" else name


def escape_what_cannot_be_shown() -> None:
    r"""A terminal gets the letters that it has and others as ``gravac\u0327a\u0303o.wav``; a file gets UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            own = "PYTHONIOENCODING" not in os.environ and stream.isatty()
            stream.reconfigure(encoding=locale_encoding() if own else None, errors="backslashreplace")
