"""Where a training goes on after it was killed: one file with all that its next epoch depends on."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from spira.features.cache import kept_in, key_of
from spira.training.state import State

_FACTS = "facts"  # JSON, as bytes in a tensor of that name, so that one checksum is over everything
_N_SUM = sha256().digest_size


class Checkpoint:
    """A file that is there whole or not at all, and only for the same training of the same data by the same code."""

    def __init__(self, name: str, facts: Mapping[str, Any], data: Iterable[Path]) -> None:
        """``facts`` are all parameters, ``data`` all files that the training depends on."""
        self.path = kept_in() / f"{name}-{key_of(facts, data)}.ckpt"

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


def _unlink(path: Path) -> None:
    with suppress(OSError):  # what cannot be removed here, `make clean` removes
        path.unlink()
