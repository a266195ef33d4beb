"""SPIRA's first version, by its published procedure: one recording after the other, window by window, every epoch anew.

Written here from the paper's description, in plain torch, as the reference that `benchmarks/speed.py` measures against:
for each clip of a batch it decodes, resamples, mixes noises (each decoded and resampled too), cuts windows and computes
each window's MFCC; then SpiraConvV2 of torch's own modules learns from the batch.

Source:
    Casanova et al., "Deep learning against COVID-19", Findings of ACL 2021: 4 s windows every second, 40 MFCCs,
    3 noises a clip, Adam. Their published experiments take 5 clips a batch, the settings that come with their code 30.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torchaudio.functional import resample
from torchaudio.transforms import MFCC

from spira.models.params import V2

RATE, SECONDS, N_NOISES = 16_000, 4, 3


class Features:
    """A recording -> the MFCCs of its windows, (n_windows, 401, 40); nothing is kept between calls."""

    def __init__(self, noises: Sequence[Path]) -> None:
        self.noises, self.rng = noises, np.random.default_rng(0)
        stft = {"n_fft": 1200, "win_length": 400, "hop_length": 160, "n_mels": 40}
        self.mfcc = MFCC(RATE, n_mfcc=40, melkwargs=stft)

    def __call__(self, clip: Path) -> Tensor:
        waveform = load(clip)
        for _ in range(N_NOISES):
            noise = load(self.noises[int(self.rng.integers(len(self.noises)))])
            start = int(self.rng.integers(max(1, noise.numel() - waveform.numel())))
            noise = noise[start : start + waveform.numel()]
            scaled = noise * (self.rng.uniform(0.0335, 0.1923) / noise.abs().max())
            waveform[: noise.numel()] += scaled
        return torch.stack([self.mfcc(window).T for window in windows(waveform)])


def load(path: Path) -> Tensor:
    """Mono samples at 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    waveform: Tensor = resample(torch.from_numpy(samples.mean(axis=1)), rate, RATE)
    return waveform


def windows(waveform: Tensor) -> list[Tensor]:
    """4 s every second, the last moved back to end with the clip."""
    last = max(0, waveform.numel() - SECONDS * RATE)
    return [waveform[start : start + SECONDS * RATE] for start in [*range(0, last, RATE), last]]


class SpiraConvV2(nn.Module):
    """The published network in torch's own modules; (batch, 401, 40) -> (batch,) logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        shapes = zip((1, *V2.channels), V2.channels, V2.kernels, V2.dilations, strict=False)
        for i, (n_in, n_out, kernel, dilation) in enumerate(shapes, start=1):
            layers += [nn.Conv2d(n_in, n_out, (kernel, 1), dilation=(dilation, 1)), nn.GroupNorm(n_out // 2, n_out)]
            layers += [nn.Mish()] + ([nn.MaxPool2d((2, 1))] if i < len(V2.channels) else []) + [nn.Dropout(V2.dropout)]
        self.conv = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(6880, 100), nn.Mish(), nn.Dropout(V2.dropout), nn.Linear(100, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv(x.unsqueeze(1)).transpose(1, 2).flatten(1)).squeeze(1)
        return logits


def learn(net: SpiraConvV2, features: Features, clips: Sequence[tuple[Path, int]], n_at_once: int) -> int:
    """One epoch, of so many clips a batch; how many windows it saw."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=0.01)
    seen = 0
    for first in range(0, len(clips), n_at_once):
        batch = clips[first : first + n_at_once]
        made = [features(path) for path, _ in batch]
        labels = torch.cat([torch.full((len(of),), float(label)) for of, (_, label) in zip(made, batch, strict=True)])
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(net(torch.cat(made)), labels).backward()
        optimizer.step()
        seen += len(labels)
    return seen
