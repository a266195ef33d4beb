"""Cache of a stage for its next run: a folder, and keys by which only the same work finds a file again.

DVC deletes a stage's outs before it runs, and sets ``DVC_ROOT`` to the repository that it was started in, also where
the experiment runs in a temporary copy; there a file survives whatever becomes of the copy.
"""

import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from spira.base.arithmetic import processor
from spira.base.array_types import Float32s
from spira.base.errors import DataError
from spira.base.files import hash_file, linked, write_bytes

# Prefixes of the environment variables that decide how numbers are computed.
_SETTINGS = ("ATEN_", "MKL_", "NPY_", "NUMBA_", "ONEDNN_", "OPENBLAS_")
_HASH = "[0-9a-f]" * 32
_DIGEST = 32  # bytes of a SHA-256


def cache_folder() -> Path:
    """SPIRA_CHECKPOINTS, or .ckpt in the repository that DVC was started in."""
    return Path(os.environ.get("SPIRA_CHECKPOINTS") or Path(os.environ.get("DVC_ROOT", "."), ".ckpt"))


def work_key(facts: Mapping[str, Any], data: Iterable[Path]) -> str:
    """A hash of all that decides the result of some work; other work has another.

    Args:
        facts: all parameters, and what else is no file.
        data: all files that the work reads.
    """
    inputs = {
        "facts": dict(facts),
        "code": {name: hash_file(file) for name, file in _code()},
        "data": {str(file): hash_file(file) for file in data},
        "versions": [sys.version, torch.__version__, np.__version__],
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "processor": [processor(), torch.backends.cpu.get_cpu_capability()],
        "settings": {name: value for name, value in os.environ.items() if name.startswith(_SETTINGS)},
        "threads": torch.get_num_threads(),  # among which torch splits the sums of some networks
    }
    return _hash(inputs)


def _code() -> Iterator[tuple[str, Path]]:
    """The modules of this package that this process has imported, and the one that it was started with."""
    package = Path(__file__).resolve().parents[1]
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in {package.name, "__main__"} and (file := getattr(module, "__file__", None)):
            path = Path(file).resolve()
            if path.is_relative_to(package):
                yield str(path.relative_to(package)), path


def work_folder(name: str, facts: Mapping[str, Any], data: Iterable[Path]) -> Path | None:
    """Where a stage keeps what was made of these facts; None where DVC did not start it.

    What was kept for other facts is removed: its room is free before the first file is written.
    """
    if "DVC_ROOT" not in os.environ:
        return None
    folder = cache_folder() / name / work_key(facts, data)
    for other in folder.parent.glob(_HASH):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


class Shards:
    """Outputs of this run and the one before, each found again by all that decides its bytes.

    Those of the run before are second names of its outputs (hard links; where DVC's cache copies, DVC makes the output
    another file, and they take its room once more). Nothing is an output because it is kept: without them a run takes
    longer and writes the same bytes. Nothing is kept where the disk has no such links, nor where DVC did not start the
    stage: by hand, it makes all.

    With an output goes a note, of what the work found out and the output does not say: it lies beside it, and one hash
    is over both.
    """

    def __init__(self, name: str, facts: Mapping[str, Any], data: Iterable[Path]) -> None:
        """Takes ``facts`` and ``data`` as ``work_key`` does: what all outputs of the stage depend on."""
        self._made: dict[str, _Kept] = {}  # by name
        self._folder = work_folder(name, facts, data)
        self._notes: dict[str, list[Path]] = defaultdict(list)  # of the run before, by name
        for note in self._folder.glob(f"{_HASH}-*.json") if self._folder else ():
            self._notes[note.name.partition("-")[0]].append(note)

    def restored(self, path: Path, facts: object) -> list[int] | None:
        """Restores the output ``path``, which also depends on ``facts``; returns its note, None if it is not kept."""
        name = _hash(facts)
        for kept in self._found(name):
            with suppress(OSError):
                if _digest(kept.path, kept.note) == kept.digest:  # else it was changed since, under one of its names
                    linked(kept.path, path)
                    self._made[name] = _Kept(path, kept.note, kept.digest)
                    return kept.note
        return None

    def keep(self, path: Path, facts: object, note: list[int], file_hash: str = "") -> None:
        """Keeps an output that is written, and its note; ``file_hash`` is that of the file, where it is known."""
        name, digest = _hash(facts), _hash([file_hash or hash_file(path), note])
        self._made[name] = _Kept(path, note, digest)
        if self._folder:
            kept = self._folder / f"{name}-{digest}"
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                _note_path(kept).write_text(json.dumps(note, allow_nan=False))
                kept.unlink(missing_ok=True)
                kept.hardlink_to(path)

    def forget_others(self) -> None:
        """Removes what earlier runs kept and this one does not use."""
        used = {f"{name}-{kept.digest}" for name, kept in self._made.items()}
        for kept in self._folder.glob(f"{_HASH}-*") if self._folder else ():
            if kept.stem not in used:
                with suppress(OSError):
                    kept.unlink()

    def _found(self, name: str) -> "Iterator[_Kept]":
        if name in self._made:
            yield self._made[name]
        for note in self._notes.get(name, ()):
            with suppress(OSError, ValueError):
                yield _Kept(note.with_suffix(""), json.loads(note.read_text()), note.stem.rpartition("-")[2])


class Kept:
    """Frames of single renderings, for the next run: an encoder takes long where a spectrum does not.

    Shards are written anew where one clip of theirs is new; its neighbours' frames are then found here. Nothing is kept
    where DVC did not start the stage.
    """

    def __init__(self, folder: Path | None) -> None:
        """Takes the ``work_folder`` of what all frames depend on."""
        self._used: set[str] = set()
        self._folder = folder

    def frames(self, facts: object, compute: Callable[[], Float32s]) -> Float32s:
        """The frames that also depend on ``facts``: those of an earlier run where they are sound, else computed."""
        if not self._folder:
            return compute()
        path = self._folder / _hash(facts)
        with suppress(OSError, ValueError):
            held = path.read_bytes()
            if sha256(held[_DIGEST:]).digest() == held[:_DIGEST]:  # else it was cut short, or damaged
                return np.asarray(np.load(BytesIO(held[_DIGEST:]), allow_pickle=False))
        found, file = compute(), BytesIO()
        np.save(file, found)
        with suppress(OSError, DataError):  # a full disk: the next run computes it again
            write_bytes(sha256(file.getvalue()).digest() + file.getvalue(), path)
        return found

    def use(self, facts: Iterable[object]) -> None:
        """Marks frames as this run's, which ``forget_others`` leaves."""
        self._used.update(map(_hash, facts))

    def forget_others(self) -> None:
        """Removes what earlier runs kept and this one does not use."""
        for path in self._folder.iterdir() if self._folder and self._folder.is_dir() else ():
            if path.name not in self._used:
                with suppress(OSError):
                    path.unlink()


class _Kept(NamedTuple):
    """An output under one of its names."""

    path: Path
    note: list[int]
    digest: str  # of both


def _note_path(kept: Path) -> Path:
    return kept.with_suffix(".json")


def _digest(path: Path, note: list[int]) -> str:
    return _hash([hash_file(path), note])


def _hash(facts: object) -> str:
    return sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]
