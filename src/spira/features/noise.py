"""Noise insertion: the same noise for patients and controls, so that a model cannot learn the ward.

SPIRA's patients were recorded in wards and its controls at home. Unless noise is
inserted into both, a model learns the ward and not the breathing.
"""

from hashlib import sha256
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from spira.base.array_types import Waveform
from spira.base.section import Section, Seed
from spira.clips.noise_bank import NoiseBank, peak
from spira.features.conditions import Condition


class NoiseParams(Section):
    seed: Seed
    views: int = Field(gt=0, le=100)  # noisy renderings of each training clip
    clean_weight: float = Field(ge=0, le=1)  # of the view without noise, among a training clip's; 0 renders none
    n_patient: int = Field(ge=0, le=100)  # recordings summed onto each patient's clip
    n_control: int = Field(ge=0, le=100)  # recordings summed onto each control's clip
    min_peak: float = Field(gt=0, le=1)  # of one inserted noise, full scale is 1
    max_peak: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.min_peak > self.max_peak:
            raise ValueError(f"min_peak: must not exceed max_peak={self.max_peak}, got {self.min_peak}")
        return self

    def n_noises(self, label: int, condition: Condition) -> int:
        """How many recordings are summed onto a clip: the only place where preprocessing depends on the label."""
        if condition == "clean" or (condition == "noisy_controls" and label == 1):
            return 0
        return self.n_patient if label == 1 else self.n_control

    def training_views(self) -> dict[int, float]:
        """The weight of each view of a training clip; they sum to 1, and a view that would weigh nothing is not there.

        View 0 has no noise. The noisy ones are 1, 2, ..., for view 0 of noise is drawn for validation and test.
        """
        noisy = (1 - self.clean_weight) / self.views
        weights = {0: self.clean_weight} | dict.fromkeys(range(1, self.views + 1), noisy)
        return {view: weight for view, weight in weights.items() if weight > 0}

    def validation_weight(self, condition: Condition) -> float:
        """The weight of a condition in the validation loss: that of training, by which a training is stopped."""
        return {"clean": self.clean_weight, "noisy": 1 - self.clean_weight}.get(condition, 0.0)


def clip_generator(seed: int, clip_id: str, view: int) -> np.random.Generator:
    """The random generator of one view of one clip, whatever its position or neighbours."""
    identity = int.from_bytes(sha256(clip_id.encode()).digest()[:16], "big")
    return np.random.default_rng([seed, identity, view])


def insert_noise(
    waveform: Waveform, bank: NoiseBank, n_noises: int, p: NoiseParams, rng: np.random.Generator
) -> Waveform:
    """The waveform with ``n_noises`` recordings on it, each at a random start and level.

    Each noise is scaled so that its own peak |amplitude| over the clip is drawn from
    U(min_peak, max_peak). The speech is neither scaled nor clipped. The first k noises
    are the same for every ``n_noises >= k``.

    Args:
        waveform: shape (time,).
        bank: recordings at the same sample rate.
        n_noises: how many; 0 gives the waveform back.
        p: the range of peaks.
        rng: see ``clip_generator``.

    Returns:
        Shape (time,), float32.

    Source:
        Casanova et al., Findings of ACL 2021; the range of peaks is theirs.
    """
    mixed = waveform.astype(np.float32, copy=True)
    for _ in range(n_noises):
        noise, loudest = _excerpt(bank, int(rng.integers(len(bank.starts))), waveform.size, rng)
        mixed += noise * np.float32(rng.uniform(p.min_peak, p.max_peak) / loudest)
    return mixed


def _excerpt(bank: NoiseBank, index: int, time: int, rng: np.random.Generator) -> tuple[Waveform, np.float32]:
    """``time`` samples of a recording from a random start, looped, and their peak; never a stretch of near silence.

    A stretch 40 dB under the recording's own peak is drawn again: scaled to a peak
    it would be the amplified floor of the recorder.
    """
    recording, audible = bank.recording(index), 0.01 * bank.peaks[index]
    while True:
        start = int(rng.integers(recording.size))
        n_loops, last = divmod(start + time, recording.size)
        loops = [recording] * (n_loops - 1)
        excerpt = np.concatenate([recording[start:], *loops, recording[:last]]) if n_loops else recording[start:last]
        loudest = peak(excerpt)
        if loudest >= audible:
            return excerpt, loudest
