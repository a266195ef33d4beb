"""Checkpoints: one file with all that the next epoch of a training depends on, to go on from after a kill."""

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

from spira.features.cache import cache_folder, work_key
from spira.training.state import State

_FACTS = "facts"  # JSON, as bytes in a tensor of that name, so that one checksum is over everything
_N_SUM = sha256().digest_size


class Checkpoint:
    """The checkpoint of one training; another one, of other data, parameters or code, has another file.

    The file is complete or absent.
    """

    def __init__(self, name: str, facts: Mapping[str, Any], data: Iterable[Path]) -> None:
        """Takes in ``facts`` all parameters, and in ``data`` all files, that the training depends on."""
        self.path = cache_folder() / f"{name}-{work_key(facts, data)}.ckpt"

    def read(self) -> bytes:
        """What was written last, for ``parts_in``; b"" where there is no file, or, with a message, a damaged one."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._warn(f"this checkpoint cannot be read ({error.strerror}); training starts from the first epoch")
            return b""
        if sha256(content[_N_SUM:]).digest() == content[:_N_SUM]:
            return content[_N_SUM:]
        self._warn("this checkpoint is damaged; training starts from the first epoch")
        return b""

    def write(self, parts: Mapping[str, State]) -> None:
        """Replaces the checkpoint; where the disk refuses it, a message says so and training goes on."""
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
            self._warn(f"this checkpoint cannot be written ({error.strerror}); training goes on without it")

    def remove(self) -> None:
        """Removes the checkpoint, and what a kill left of one that was being written."""
        for path in (self.path, *self.path.parent.glob(f"{self.path.stem}.*.part")):
            _unlink(path)

    def _warn(self, message: str) -> None:
        print(f"{self.path}: {message}", file=sys.stderr, flush=True)


def parts_in(content: bytes) -> dict[str, State]:
    """The parts that were written, from what ``Checkpoint.read`` has read."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load(content).items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = tensor
    facts = json.loads(bytes(parts.pop(_FACTS)[""].numpy()))
    return {part: State(parts.get(part, {}), part_facts) for part, part_facts in facts.items()}


def _unlink(path: Path) -> None:
    with suppress(OSError):  # what cannot be removed here, `make clean` removes
        path.unlink()
