"""Arrays by what they hold, as annotations name them, and the classes that labels stand for."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]  # as arrays lie on disk
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Waveform = NDArray[np.float32]  # (time,), mono samples in [-1, 1]

CLASSES = ("control", "patient")  # the name of label 0, of label 1
