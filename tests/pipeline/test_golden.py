"""Golden bytes: the same on every x86-64 processor with AVX2, whichever made them here.

Beside each digest are numbers, which say by how much where the bytes are others. First made on an Intel Xeon with
AVX-512 (family 6, model 167), then seen on it as Haswell and as AMD's EPYC by ``qemu-x86_64 -cpu``.
"""

from hashlib import sha256
from itertools import islice

import numpy as np
import pytest
import torch

from spira.features.spectra import Frames
from spira.features.windows import Windows
from spira.models.build import build, with_cpu_kernels
from spira.predictions.scoring import clip_scores
from spira.training.loop import train_epochs
from spira_features import RATE, params
from tiny import network_params, train_params

pytestmark = pytest.mark.usefixtures("one_thread")
FEATURES = [
    [-68.44827, -19.27664, 10.42971, -7.31836],
    [68.75733, 30.89358, -3.23692, -1.46359],
    [65.01946, 9.34244, -12.86689, 0.97166],
]
FEATURES_DIGEST = "081e32113b0e10eec0efd99a41f4f473de24d83fa86f044719206fcf7be23847"
TRAININGS: dict[str, tuple[list[float], list[float], str]] = {  # losses, scores, and the digest of the weights
    "spiraconv_v2": (
        [0.62412, 0.61689],
        [0.48259, 0.49382, 0.49052, 0.46385, 0.48761, 0.49053],
        "dfc4627549279b462a8e513a5661264e6068085c87ac0c0dd964e5007ca2c334",
    ),
    "pooled_cnn": (
        [0.79397, 0.72692],
        [0.45677, 0.46122, 0.45201, 0.46341, 0.46307, 0.4719],
        "38de3d45bf41b5d7d0b4bf7a4925794646ae4b369723fd0b586aad34ba4a29b3",
    ),
}


def sound(n: int) -> np.ndarray:
    """A second of chirp and noise, of whole numbers, so that it is the same on any machine."""
    t = np.arange(RATE, dtype=np.int64)
    chirp = (t * t // (900 + 100 * n)) % 2000 - 1000
    noise = (t * 1103515245 + 12345 + n) // 65536 % 200 - 100
    return ((chirp + noise) / 4096).astype(np.float32)


def test_features_are_these_numbers() -> None:
    """An FFT of other instructions adds in another order: 0.00002 dB."""
    frames = np.asarray(Frames(params(), RATE)(torch.from_numpy(sound(0))))
    np.testing.assert_allclose(frames[[10, 50, 90]][:, [0, 1, 5, 39]], FEATURES, atol=0.0001)
    assert sha256(frames.tobytes()).hexdigest() == FEATURES_DIGEST


@pytest.fixture(scope="module")
def windows() -> Windows:
    """One window of each of six sounds, every second one a patient's."""
    frames = torch.cat([Frames(params(), RATE)(torch.from_numpy(sound(i))) for i in range(6)])
    n = len(frames) // 6
    return Windows(
        frames=(frames,),
        arrays=torch.zeros(6, dtype=torch.int64),
        starts=torch.arange(6) * n,
        remaining=torch.full((6,), n),
        labels=(torch.arange(6) % 2).float(),
        clips=torch.arange(6),
        views=torch.zeros(6, dtype=torch.int64),
        weights=torch.ones(6, dtype=torch.float64),
        length=n,
    )


@pytest.mark.parametrize("kind", TRAININGS)
def test_a_training_ends_at_these_scores(kind: str, windows: Windows) -> None:
    """Two epochs of a network, seed 1."""
    losses, scores, digest = TRAININGS[kind]
    torch.manual_seed(1)
    net = with_cpu_kernels(build(kind, network_params(), windows.length, 40), "compiled")
    p = train_params(device="cpu", batch_size=3, schedule="constant", lr=0.001, max_epochs=2)
    found = [epoch.loss for epoch in islice(train_epochs(net, windows, p, seed=1, names=["?"] * 6), 2)]
    np.testing.assert_allclose(found, losses, atol=0.001)
    np.testing.assert_allclose(clip_scores(net, windows, 6, 4).numpy(), scores, atol=0.001)
    weights = b"".join(weight.detach().numpy().tobytes() for weight in net.parameters())
    assert sha256(weights).hexdigest() == digest
