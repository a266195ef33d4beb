"""NaN or infinity in a training stops it, and the clips behind it are named."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from spira.base.errors import DataError


class _Look(NamedTuple):
    what: str
    clips: Tensor  # of the batch
    extremes: Tensor  # least and greatest of each tensor; NaN is both


class Watch:
    """Judges the numbers of an epoch's steps: on a CPU each as it comes, so that no step is taken upon a bad one.

    On a GPU the host runs ahead of the device, and to look is to wait for it. There a look stays on the device, and
    ``judge`` reads all of them at once, in their order, at the end of the epoch: the steps after the first bad one
    are taken in vain, the message is the same, and no weights of that epoch are saved or chosen.
    """

    def __init__(self, epoch: int, names: Sequence[str], *, at_once: bool) -> None:
        self._epoch, self._names, self._at_once = epoch, names, at_once
        self._looks: list[_Look] = []

    def look(self, what: str, clips: Tensor, tensors: Iterable[Tensor]) -> None:
        """Takes note of tensors that come of a batch with windows of ``clips``.

        Raises:
            DataError: one of them is not finite, and it is judged at once.
        """
        extremes = torch.stack([extreme for tensor in tensors for extreme in tensor.aminmax()])
        self._looks.append(_Look(what, clips, extremes))
        if self._at_once:
            self.judge()

    def judge(self) -> None:
        """Forgets every look since the last time; on a GPU this waits for the device.

        Raises:
            DataError: one was at something not finite; the first of them is named, with the clips of its batch.
        """
        looks, self._looks = self._looks, []
        if not looks or torch.cat([look.extremes for look in looks]).isfinite().all():
            return
        first = next(look for look in looks if not look.extremes.isfinite().all())
        got = float(first.extremes[~first.extremes.isfinite()][0])
        where = f"in epoch {self._epoch}, in the batch with windows of {listed(self._names, first.clips)}"
        raise DataError(f"the {first.what} became {got} {where}; try a lower train.lr")


def listed(names: Sequence[str], clips: Tensor) -> str:
    """The names of some clips, each once, sorted."""
    return ", ".join(sorted({names[clip] for clip in clips.tolist()}))
