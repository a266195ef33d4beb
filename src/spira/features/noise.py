"""Noise insertion: the same noise for patients and controls, so that a model cannot learn the ward.

SPIRA's patients were recorded in wards and its controls at home. Unless noise is
inserted into both, a model learns the ward and not the breathing.
"""

from hashlib import sha256
from math import ceil, sqrt
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from spira.base.array_types import Waveform
from spira.base.section import Section, Seed
from spira.clips.noise_bank import NoiseBank, peak
from spira.features.conditions import Condition
from spira.split.holdout import id_hash


class Range(Section):
    """A number drawn uniformly from [low, high)."""

    low: float
    high: float

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low: must not exceed high={self.high}, got {self.low}")
        return self


class PeakRange(Range):
    """|amplitude| of one inserted noise; full scale is 1."""

    low: float = Field(gt=0, le=1)
    high: float = Field(gt=0, le=1)


class RatioRange(Range):
    """Signal-to-noise ratio of one inserted noise; dB, over the recording's active level."""

    low: float = Field(ge=-60, le=100)
    high: float = Field(ge=-60, le=100)


class NoiseParams(Section):
    seed: Seed
    views: int = Field(gt=0, le=100)  # noisy renderings of each training clip
    clean_weight: float = Field(ge=0, le=1)  # of the view without noise, among a training clip's; 0 renders none
    n_patient: int = Field(ge=0, le=100)  # recordings summed onto each patient's clip
    n_control: int = Field(ge=0, le=100)  # recordings summed onto each control's clip
    level: Literal["snr", "peak"]
    snr_db: RatioRange  # read where level is snr
    peak: PeakRange  # read where level is peak
    unseen: float = Field(ge=0, lt=1)  # share of the recordings, by source, that test conditions alone use

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


class NoiseBanks(NamedTuple):
    """Recordings by what is rendered with them; the same where none can be kept apart, or none is to be."""

    training: NoiseBank  # of training views and of validation clips: nothing is chosen by what test clips are given
    test: NoiseBank


def divide(bank: NoiseBank, p: NoiseParams) -> NoiseBanks:
    """Keeps ``p.unseen`` of the groups, rounded up and at least one, for test clips, and leaves at least one.

    Which ones a hash of the seed and the group's name decides. With one group, or where ``p.unseen`` is 0, both banks
    are the whole.
    """
    groups = sorted(set(bank.groups), key=lambda group: id_hash(group, p.seed))
    if p.unseen == 0 or len(groups) < 2:
        return NoiseBanks(bank, bank)
    n_test = min(ceil(round(p.unseen * len(groups), 9)), len(groups) - 1)  # 0.1 * 30 is a little more than 3
    return NoiseBanks(bank.keep(groups[n_test:]), bank.keep(groups[:n_test]))


def insert_noise(
    waveform: Waveform,
    bank: NoiseBank,
    n_noises: int,
    p: NoiseParams,
    rng: np.random.Generator,
    active_power: float | None,
) -> Waveform:
    """The waveform with ``n_noises`` recordings on it, each at a random start and level.

    The speech is neither scaled nor clipped. With ``p.level=snr`` each noise is scaled so that the ratio of
    ``active_power`` to its own mean square over the clip is drawn from U(p.snr_db), in dB; with ``peak`` so that its
    peak |amplitude| over the clip is drawn from U(p.peak). The first k noises are the same for every ``n_noises >= k``.

    Args:
        waveform: shape (time,).
        bank: recordings at the same sample rate.
        n_noises: how many; 0 gives the waveform back.
        p: the ranges.
        rng: see ``clip_generator``.
        active_power: mean square of the speech where it is active; read with ``p.level=snr``.

    Returns:
        Shape (time,), float32.

    Source:
        Casanova et al., Findings of ACL 2021; the range of peaks is theirs. A ratio to the level of speech where there
        is speech: ITU-T P.56, whose threshold is absolute.
    """
    mixed = waveform.astype(np.float32, copy=True)
    for _ in range(n_noises):
        noise, loudest = _excerpt(bank, int(rng.integers(len(bank))), waveform.size, rng)
        if p.level == "peak":
            gain = np.float32(rng.uniform(p.peak.low, p.peak.high) / loudest)
        else:
            gain = _gain(noise, rng.uniform(p.snr_db.low, p.snr_db.high), active_power)
        mixed += noise * gain
    return mixed


def _gain(noise: Waveform, snr_db: float, active_power: float | None) -> np.float32:
    """What a noise is multiplied by, so that the power of speech is ``snr_db`` above its mean square."""
    if active_power is None:
        raise ValueError("active_power: must be given for noise.level=snr")
    wanted = active_power / 10 ** (snr_db / 10)
    return np.float32(sqrt(wanted / np.square(noise, dtype=np.float64).mean()))


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
