"""Where a training goes on after it was killed: one file with all that its next epoch depends on."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from spira.adapters.outputs import digest_of
from spira.core.resuming import State

_FACTS = "facts"  # JSON, as bytes in a tensor of that name, so that one checksum is over everything
_N_SUM = sha256().digest_size


class Checkpoint:
    """A file that is there whole or not at all, and only for the same training of the same data by the same code.

    DVC deletes a stage's outs before it runs, and sets ``DVC_ROOT`` to the repository that it was started in, also
    where the experiment runs in a temporary copy; there the file survives whatever becomes of the copy.
    """

    def __init__(self, name: str, facts: Mapping[str, Any], data: Iterable[Path]) -> None:
        """``facts`` are all parameters, ``data`` all files that the training depends on."""
        folder = Path(os.environ.get("SPIRA_CHECKPOINTS") or Path(os.environ.get("DVC_ROOT", "."), ".ckpt"))
        self.path = folder / f"{name}-{_key(facts, data)}.ckpt"

    def read(self) -> dict[str, State] | None:
        """What was written last; None, and a sentence, where it is damaged."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say(f"cannot be read ({error.strerror}); training starts anew")
            return None
        if sha256(content[_N_SUM:]).digest() != content[:_N_SUM]:
            self._say("is damaged; training starts anew")
            return None
        held = load(content[_N_SUM:])
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in held.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = tensor
        facts = json.loads(bytes(parts.pop(_FACTS)[""].numpy()))
        return {part: State(parts.get(part, {}), of) for part, of in facts.items()}

    def write(self, parts: Mapping[str, State]) -> None:
        """In place of what was there. Where the disk does not take it, training goes on without."""
        facts = json.dumps({part: state.facts for part, state in parts.items()}, allow_nan=False).encode()
        held = {f"{part}/{name}": tensor for part, state in parts.items() for name, tensor in state.tensors.items()}
        content = save(held | {_FACTS: torch.frombuffer(bytearray(facts), dtype=torch.uint8)})
        half = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with half.open("wb") as file:
                file.write(sha256(content).digest())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            half.replace(self.path)
        except OSError as error:
            _unlink(half)
            self._say(f"cannot be written ({error.strerror}); training goes on without a checkpoint")

    def remove(self) -> None:
        """With what a kill left of one that was being written."""
        for path in (self.path, *self.path.parent.glob(f"{self.path.stem}.*.part")):
            _unlink(path)

    def _say(self, what: str) -> None:
        print(f"{self.path}: {what}", file=sys.stderr, flush=True)


def _key(facts: Mapping[str, Any], data: Iterable[Path]) -> str:
    """A hash of all that decides what a training comes to: another one has another."""
    all_ = {
        "facts": dict(facts),
        "code": {name: digest_of(file) for name, file in _code()},
        "data": {str(file): digest_of(file) for file in data},
        "versions": [sys.version, torch.__version__, np.__version__],
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),  # among which torch splits the sums of some networks
    }
    return sha256(json.dumps(all_, sort_keys=True, allow_nan=False).encode()).hexdigest()[:32]


def _code() -> Iterator[tuple[str, Path]]:
    """The modules of this package that this process has imported, and the one that it was started with."""
    package = Path(__file__).resolve().parents[1]
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in {package.name, "__main__"} and (file := getattr(module, "__file__", None)):
            path = Path(file).resolve()
            if path.is_relative_to(package):
                yield str(path.relative_to(package)), path


def _unlink(path: Path) -> None:
    with suppress(OSError):  # what cannot be removed here, `make clean` removes
        path.unlink()
