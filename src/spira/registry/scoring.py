"""A package -> what it answers, in a process of its own and by its own code: two versions never share a process."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.ingest.sources import Source
from spira.package.golden import bad_inputs

PROGRAM = Path(__file__).with_name("in_package.py")
SOURCE = Path(__file__).parents[2]
_SECONDS, _SECONDS_A_RECORDING = 300, 10
_BY_OTHER_CODE = (
    "import sys; sys.path.insert(0, {code!r}); import spira; spira.__path__.append({source!r}); "
    "from spira.__main__ import main; sys.argv[0] = 'spira'; main()"
)


class Answered(NamedTuple):
    """Scores in [0, 1] or codes of refusals, by name."""

    golden: dict[str, float | str]
    bad: dict[str, float | str]
    scores: dict[str, float | str]
    cost: dict[str, float | str]  # of one of them: ``seconds`` of CPU time, and ``megabytes`` of the process


def answers(package: Path, recordings: Mapping[str, Source], *, try_bad: bool = False) -> Answered:
    """What a package says of its golden recordings, of these, and of crafted ones.

    Its process computes by the instructions that this one was held to: see ``spira.base.arithmetic``.

    Args:
        package: its folder, whose files were held to their hashes.
        recordings: by name, where each lies.
        try_bad: whether the crafted recordings of ``bad_inputs`` are given to it too.

    Raises:
        DataError: it cannot be loaded or does not answer; its last words are in the message.
    """
    crafted = bad_inputs() if try_bad else {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in crafted.items():
            write_bytes(content, Path(folder, name))
        asked: dict[str, Mapping[str, Source]] = {
            "scores": recordings,
            "bad": {name: Path(folder, name) for name in crafted},
        }
        return Answered(**{"cost": {}} | _run(package, asked))


def _run(package: Path, asked: Mapping[str, Mapping[str, Source]]) -> dict[str, dict[str, float | str]]:
    command = [sys.executable, "-B", "-P", str(PROGRAM), str(package.absolute())]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    seconds = _SECONDS + _SECONDS_A_RECORDING * sum(map(len, asked.values()))
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked, default=str, allow_nan=False),
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{package}: gave no answer within {seconds} s") from error
    if done.returncode:
        words = next(reversed(done.stderr.strip().splitlines()), f"exit status {done.returncode}")
        raise DataError(f"{package}: cannot be used: {words}")
    try:
        return TypeAdapter(dict[str, dict[str, float | str]]).validate_json(done.stdout)
    except ValidationError as error:
        raise DataError(f"{package}: its answer is not readable: {error.errors()[0]['msg']}") from error


def by_its_own_code(package: Path, arguments: list[str]) -> list[str]:
    """The command of a subcommand of this checkout in which all that the package has comes from the package."""
    program = _BY_OTHER_CODE.format(code=str(package.absolute() / "code"), source=str(SOURCE / "spira"))
    return [sys.executable, "-B", "-P", "-c", program, *arguments]
