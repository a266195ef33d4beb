"""Jobs that compute nothing, so that their processes start in a moment."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spira.base.errors import DataError
from spira.storage.reads import Read, Span


@dataclass(frozen=True)
class Naming:
    """Writes the name of each shard into its file, as often as it is long; trouble comes where there is a sign of it.

    ``<name>.kill`` is how often the process that makes the shard is killed, ``<name>.wait`` has it wait until that is
    gone, ``<name>.wrong`` is what is wrong with it. ``<name>.begun`` says which process makes it, ``<name>.by`` whose.
    """

    seconds: float = 0.0

    def __call__(self) -> "Naming.Maker":
        """``start.kill`` is how many processes are killed here."""
        _killed("start")
        return Naming.Maker(self.seconds)

    def reads(self) -> tuple[Read, ...]:
        return ()

    def reads_for(self, _: str, /) -> tuple[Read, ...]:
        return ()

    @dataclass(frozen=True)
    class Maker:
        seconds: float

        def __call__(self, name: str, path: Path) -> list[int]:
            Path(f"{name}.begun").write_text(str(os.getpid()))
            Path(f"{name}.by").write_text(os.environ.get("WORKER", ""))
            while Path(f"{name}.wait").exists():
                time.sleep(0.02)
            _killed(name)
            if (wrong := Path(f"{name}.wrong")).exists():
                raise (TypeError if name == "defect" else DataError)(wrong.read_text())
            time.sleep(self.seconds)
            path.write_bytes(name.encode() * len(name))
            return [len(name)]


class Joining:
    """Writes what ``before`` holds and what a file holds; for ``part2`` the third and fourth byte of ``part``.

    The result is the folder in which that was done.
    """

    def __call__(self) -> Callable[[str, Path], str]:
        before = Path("before").read_bytes()

        def made(name: str, path: Path) -> str:
            file, spans = _read(name)
            time.sleep(0.05 * len(spans))  # in which another thread of the worker brings its own
            content = file.read_bytes()
            path.write_bytes(before + b"".join([content[start:end] for start, end in spans] or [content]))
            return str(Path.cwd())

        return made

    def reads(self) -> list[Read]:
        return [Read(Path("before"))]

    def reads_for(self, asked: str, /) -> list[Read]:
        return [Read(*_read(asked))]


def _read(name: str) -> tuple[Path, list[Span]]:
    if not name.startswith("part"):
        return Path("in", name), []
    start = int(name.removeprefix("part"))
    return Path("in/part"), [(start, start + 2)]


def _killed(name: str) -> None:
    if (kills := Path(f"{name}.kill")).exists():
        left = int(kills.read_text()) - 1
        kills.write_text(str(left)) if left else kills.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
