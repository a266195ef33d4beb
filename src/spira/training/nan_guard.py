"""Stops a training at the first NaN or infinity, and names the clips behind it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from spira.base.errors import DataError


class _Record(NamedTuple):
    what: str
    clips: Tensor  # of the batch
    extremes: Tensor  # least and greatest of each tensor; NaN is both


class NanGuard:
    """Checks the numbers of an epoch's steps: on a CPU at once, so that no step follows a bad one.

    On a GPU the host runs ahead of the device, and to read a number is to wait for it. There records stay on the
    device, and ``raise_if_bad`` reads all of them at once, in their order, at the end of the epoch: the steps after
    the first bad one are taken in vain, the message is the same, and no weights of that epoch are saved.
    """

    def __init__(self, epoch: int, names: Sequence[str], *, at_once: bool) -> None:
        self._epoch, self._names, self._at_once = epoch, names, at_once
        self._records: list[_Record] = []

    def record(self, what: str, clips: Tensor, tensors: Iterable[Tensor]) -> None:
        """Records the extremes of tensors that a batch with windows of ``clips`` led to.

        Raises:
            DataError: one of them is not finite, on a CPU.
        """
        extremes = torch.stack([extreme for tensor in tensors for extreme in tensor.aminmax()])
        self._records.append(_Record(what, clips, extremes))
        if self._at_once:
            self.raise_if_bad()

    def raise_if_bad(self) -> None:
        """Checks and forgets every record since the last time; on a GPU this waits for the device.

        Raises:
            DataError: one is not finite; the first of them is named, with the clips of its batch.
        """
        records, self._records = self._records, []
        if not records or torch.cat([record.extremes for record in records]).isfinite().all():
            return
        first = next(record for record in records if not record.extremes.isfinite().all())
        got = float(first.extremes[~first.extremes.isfinite()][0])
        where = f"in epoch {self._epoch}, in the batch with windows of {listed(self._names, first.clips)}"
        raise DataError(f"the {first.what} became {got} {where}; try a lower train.lr")


def listed(names: Sequence[str], clips: Tensor) -> str:
    """The names of some clips, each once, sorted."""
    return ", ".join(sorted({names[clip] for clip in clips.tolist()}))
