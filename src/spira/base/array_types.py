"""Arrays by what they hold, as annotations name them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Waveform = NDArray[np.float32]  # (time,), mono samples in [-1, 1]
