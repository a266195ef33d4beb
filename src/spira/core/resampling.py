"""Any channels and rate -> mono at one rate."""

import numpy as np
import soxr
from numpy.typing import NDArray


def to_mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the channels: (n_frames, n_channels) -> (n_frames,)."""
    return samples.mean(axis=1, dtype=np.float32) if samples.shape[1] > 1 else samples[:, 0]


def resample(waveform: NDArray[np.float32], source_rate: int, target_rate: int) -> NDArray[np.float32]:
    """The same sound at another rate, band-limited, shape (~ time * target_rate / source_rate,).

    Source:
        the SoX resampler at high quality, as ``librosa.resample`` calls it by default.
    """
    if source_rate == target_rate:
        return waveform
    resampled: NDArray[np.float32] = soxr.resample(waveform, source_rate, target_rate, quality="HQ")
    return resampled
