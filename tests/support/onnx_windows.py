"""The input of an exported network, cut by hand from what package.json says."""

import numpy as np

from spira.base.array_types import Float32s, Waveform
from spira.features.params import frame_shape
from spira.features.rendering import make_renderer
from spira.features.windows import window_starts
from spira.scorer.manifest import Manifest


def windows_of(waveform: Waveform, p: Manifest) -> Float32s:
    """The input, (n_windows, n_frames, n_features): slices of the frames, the last one filled up with zeros."""
    frames = make_renderer(p.features, p.windows, p.sample_rate, None)(waveform).numpy()
    length, step = p.windows.frames(p.sample_rate, frame_shape(p.features, p.embedding, p.sample_rate))
    padded = np.pad(frames, ((0, max(0, length - len(frames))), (0, 0)))
    return np.stack([padded[start : start + length] for start in window_starts(len(frames), length, step)])
