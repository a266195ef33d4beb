"""Operations of torch, NumPy and SciPy on many numbers, and a digest of what each comes to: for determinism.py.

``python benchmarks/operations.py`` prints a line each, of this processor and under the variables that are set.
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, stdtrit
from torch import Tensor
from torch.nn import functional

UNARY = "cos erf exp log log10 log1p log2 reciprocal rsqrt sigmoid sin sqrt tan tanh".split()  # noqa: SIM905
ACTIVATIONS = "elu gelu logsigmoid mish silu softplus".split()  # noqa: SIM905
BY_NUMPY = "cos exp expm1 log log10 log1p sin sqrt tanh".split()  # noqa: SIM905


Result = Tensor | NDArray[Any]


def named(kind: torch.dtype) -> list[tuple[str, Callable[[], Result]]]:
    """Each operation with its name."""
    x = torch.rand(200_000, dtype=kind, generator=torch.Generator().manual_seed(0)) * 8 + 1e-6
    square, rows, a = x[:160_000].view(400, 400), x.view(-1, 100), x.numpy()
    by_torch: dict[str, Callable[[], Result]] = {name: partial(getattr(torch, name), x) for name in UNARY}
    by_torch |= {name: partial(getattr(functional, name), x - 4) for name in ACTIVATIONS}
    by_torch |= {
        "pow 1.7": lambda: x**1.7,
        "softmax": lambda: functional.softmax(rows, dim=1),
        "layer_norm": lambda: functional.layer_norm(rows, (100,)),
        "conv2d": lambda: functional.conv2d(x[:25_600].view(2, 8, 40, 40), x[:1152].view(16, 8, 3, 3), padding=1),
        "sum": lambda: torch.stack([x.sum(), x.std(), x.norm()]),
        "sum of rows": lambda: rows.sum(0),
        "matmul": lambda: square @ square,
        "rfft": lambda: torch.view_as_real(torch.fft.rfft(x[:51_200].view(64, 800))),
        "normal_": lambda: torch.empty(1000, dtype=kind).normal_(generator=torch.Generator().manual_seed(0)),
    }
    by_numpy: dict[str, Callable[[], Result]] = {name: partial(getattr(np, name), a) for name in BY_NUMPY}
    by_numpy |= {
        "matmul": lambda: square.numpy() @ square.numpy(),
        "sum": lambda: np.stack([a.sum(), a.std(), *rows.numpy().sum(axis=1)]),
        "rfft": lambda: np.abs(np.fft.rfft(a[:65_536])),
        "solve": lambda: np.linalg.solve(a[:10_000].reshape(100, 100) + np.eye(100), np.ones(100)),
        "svd": lambda: np.linalg.svd(a[:10_000].reshape(100, 100))[1],
        "expit": lambda: expit(a - 4),
        "stdtrit": lambda: stdtrit(20, np.linspace(0.01, 0.99, 50)),
    }
    width = str(kind).removeprefix("torch.")
    named = [(f"torch {name} of {width}", work) for name, work in by_torch.items()]
    return named + [(f"NumPy and SciPy {name} of {width}", work) for name, work in by_numpy.items()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, work in [*named(torch.float32), *named(torch.float64)]:
        print(f"{name}: {sha256(np.ascontiguousarray(work()).tobytes()).hexdigest()}")
