"""The baseline `statistics`: a logistic regression on numbers that describe a whole clip."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from spira.base.array_types import Float32s, Floats, Mask
from spira.models.params import Block

N_FIRST = 20  # coefficients of the small block, and of the slopes
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHORTEST_PAUSE = 0.1  # seconds; what is shorter is the closure of a stop
MODULATIONS = ((0.5, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))  # Hz: phrases and breaths, words, syllables, phones
_FLAT = 1e-3  # dB by which the bands of a frame that was made flat still differ, from rounding


@dataclass(frozen=True)
class FrameLayout:
    """What the numbers of a frame are."""

    kind: str  # of the features: mfcc, mel, spectrogram or embedding
    n_mels: int  # bands under an MFCC
    rate: float  # frames a second; not read of an embedding

    def envelope(self, frames: Floats) -> Floats:
        """The level of each frame in dB, shape (n_frames,): the mean over its bands.

        Of an MFCC that is coefficient 0 divided by the square root of the number of bands, for the DCT is orthonormal.
        """
        levels: Floats = frames[:, 0] / self.n_mels**0.5 if self.kind == "mfcc" else frames.mean(axis=1)
        return levels

    def inactive(self, frames: Floats) -> Mask:
        """Which frames have the same level in every band, shape (n_frames,).

        ``features.normalize: active`` makes those between two words so. With ``none`` only digital silence is.
        """
        if frames.shape[1] < 2:
            return np.zeros(len(frames), dtype=np.bool_)
        span = np.abs(frames[:, 1:]).max(axis=1) if self.kind == "mfcc" else np.ptp(frames, axis=1)
        return np.asarray(span < _FLAT)


@dataclass(frozen=True)
class Regression:
    """A logistic regression on standardised numbers."""

    centre: Floats  # (n_numbers,), what is subtracted
    spread: Floats  # (n_numbers,), > 0, what the difference is divided by
    weight: Floats  # (n_numbers,)
    bias: float

    def logits(self, numbers: Floats) -> Floats:
        """Of `patient`: shape (..., n_numbers) -> (...)."""
        logits: Floats = ((numbers - self.centre) / self.spread) @ self.weight + self.bias
        return logits


@dataclass(frozen=True)
class Statistics:
    """A fitted baseline. A clip is scored by itself and unpadded: its score does not depend on what is beside it.

    Source:
        Cox, "The regression analysis of binary sequences", 1958; baselines/regression.py fits it.
    """

    block: Block
    layout: FrameLayout
    regression: Regression

    def probability(self, frames: Float32s) -> float:
        """The probability of `patient`, in [0, 1], of a clip with frames (n_frames, n_features)."""
        return float(expit(self.regression.logits(clip_statistics(frames, self.block, self.layout))))


def clip_statistics(frames: Float32s, block: Block, layout: FrameLayout) -> Floats:
    """The numbers of a block.

    ``small``: mean and deviation of the first 20 coefficients, the deviation of their slopes (the difference between
    one frame and the next), and pauses and envelope: 79 numbers. ``large``: mean, deviation and five quantiles of
    every coefficient, the same slopes, pauses and envelope: 319 for 40 coefficients.

    The numbers of an embedding have neither an order nor a level: ``small`` is the mean of each, ``large`` the mean,
    the deviation and the quantiles.

    Args:
        frames: of the whole clip, shape (n_frames, n_features).
        block: small or large.
        layout: what the numbers of a frame are.

    Returns:
        Shape (n_statistics,), float64, finite.
    """
    numbers = frames.astype(np.float64)
    quantiles = np.quantile(numbers, QUANTILES, axis=0).ravel() if block == "large" else np.empty(0)
    if layout.kind == "embedding":
        deviations = numbers.std(axis=0) if block == "large" else np.empty(0)
        return np.concatenate([numbers.mean(axis=0), deviations, quantiles])
    first = numbers[:, :N_FIRST]
    levels = first if block == "small" else numbers
    slopes = np.diff(first, axis=0).std(axis=0) if len(first) > 1 else np.zeros(first.shape[1])
    envelope, inactive = layout.envelope(numbers), layout.inactive(numbers)
    counted = (pauses(inactive, layout.rate), distribution(envelope, inactive), modulation(envelope, layout.rate))
    return np.concatenate([levels.mean(axis=0), levels.std(axis=0), quantiles, slopes, *counted])


def pauses(inactive: Mask, rate: float) -> Floats:
    """How a clip is divided into sound and pauses, shape (9,).

    The share of inactive frames; pauses a second; mean, deviation and longest of the pauses, then of the stretches of
    sound between inactive frames, each as log(1 + seconds) and 0 where there is none; and the logarithm of the clip's
    seconds.

    Args:
        inactive: shape (n_frames,), n_frames >= 1.
        rate: frames a second.
    """
    seconds = len(inactive) / rate
    silent, sounding = runs(inactive) / rate, runs(~inactive) / rate
    silent = silent[silent >= SHORTEST_PAUSE]
    lengths = [(s.mean(), s.std(), s.max()) if len(s) else (0.0, 0.0, 0.0) for s in (silent, sounding)]
    return np.array([inactive.mean(), len(silent) / seconds, *np.log1p(np.ravel(lengths)), np.log(seconds)])


def runs(mask: Mask) -> Floats:
    """The lengths of the stretches of True, in their order::

    F T T F T      2, 1
    """
    steps = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return (np.flatnonzero(steps == -1) - np.flatnonzero(steps == 1)).astype(np.float64)


def distribution(envelope: Floats, inactive: Mask) -> Floats:
    """How the level varies, shape (6,), in dB but for the skewness.

    Over the active frames: deviation, the quantiles 0.1 and 0.9 less the mean, skewness. Over all: mean absolute and
    deviation of the step from one frame to the next.

    Args:
        envelope: shape (n_frames,), dB.
        inactive: shape (n_frames,); where all are, all count.
    """
    active = envelope if inactive.all() else envelope[~inactive]
    steps = np.diff(envelope) if len(envelope) > 1 else np.zeros(1)
    centred, deviation = active - active.mean(), active.std()
    low, high = np.quantile(centred, [0.1, 0.9])
    skewness = (centred**3).mean() / (deviation**3 + 1e-9)
    return np.array([deviation, low, high, np.abs(steps).mean(), steps.std(), skewness])


def modulation(envelope: Floats, rate: float) -> Floats:
    """The logarithms of the shares of ``MODULATIONS`` in the envelope's power from 0.5 to 32 Hz, shape (4,).

    Args:
        envelope: shape (n_frames,), dB.
        rate: frames a second.

    Source:
        Greenberg and Kingsbury, "The modulation spectrogram", ICASSP 1997.
    """
    n = max(len(envelope), 1024)  # zeros behind a short clip, so that every band has bins
    power = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope)), n)) ** 2
    hertz = np.fft.rfftfreq(n, 1 / rate)

    def between(low: float, high: float) -> float:
        return float(power[(hertz >= low) & (hertz < high)].sum())

    total = between(0.5, 32.0) + 1e-9
    return np.log([between(low, high) / total + 1e-4 for low, high in MODULATIONS])
