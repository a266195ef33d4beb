"""Waveforms -> what the model sees: MFCC, mel or spectrogram frames, in dB.

The floor is absolute (-100 dB), never relative to the loudest cell, so a clip
has the same features alone as in a batch. (``AmplitudeToDB(top_db=80)``, which
``torchaudio.transforms.MFCC`` sets, takes its cut-off from the maximum of
whatever tensor it is given: one loud neighbour changes a window's features.)
"""

from typing import Literal, Self

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torchaudio.functional import create_dct
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram, Spectrogram

from spira.core.section import Section


class FeatureParams(Section):
    kind: Literal["mfcc", "mel", "spectrogram"]
    n_fft: PositiveInt  # samples
    win_length: PositiveInt  # samples
    hop_length: PositiveInt  # samples
    n_mels: PositiveInt  # bands of mfcc and mel
    n_mfcc: PositiveInt  # coefficients of mfcc
    f_min: NonNegativeFloat  # Hz
    f_max: PositiveFloat  # Hz

    @model_validator(mode="after")
    def _layout(self) -> Self:
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length: must not exceed n_fft={self.n_fft}, got {self.win_length}")
        if self.hop_length > self.win_length:
            raise ValueError(
                f"hop_length: must not exceed win_length={self.win_length}, or samples are skipped, "
                f"got {self.hop_length}"
            )
        if self.n_mels > self.n_bins:
            raise ValueError(f"n_mels: must be in [1, {self.n_bins}] for n_fft={self.n_fft}, got {self.n_mels}")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc: must be in [1, {self.n_mels}] for n_mels={self.n_mels}, got {self.n_mfcc}")
        if self.f_min >= self.f_max:
            raise ValueError(f"f_min: must be below f_max={self.f_max}, got {self.f_min}")
        return self

    @property
    def n_bins(self) -> int:
        """Bins of a one-sided spectrum, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1

    def bins(self, sample_rate: int) -> slice:
        """The bins of a spectrogram whose centre lies in [f_min, f_max]."""
        hz = torch.arange(self.n_bins) * sample_rate / self.n_fft
        inside = torch.nonzero((hz >= self.f_min) & (hz <= self.f_max)).flatten()
        return slice(int(inside[0]), int(inside[-1]) + 1)

    def n_features(self, sample_rate: int) -> int:
        """Numbers in one frame."""
        if self.kind == "spectrogram":
            return len(range(self.n_bins)[self.bins(sample_rate)])
        return self.n_mfcc if self.kind == "mfcc" else self.n_mels


class Frames(nn.Module):
    """Features of a waveform, one row a frame.

    ``forward``: samples in [-1, 1], shape (..., time) -> shape (..., n_frames, n_features),
    float32, n_frames = 1 + time // hop_length. Frames are centred (reflection at both ends).

    Source:
        torchaudio's transforms, whose parameters keep their names here; HTK mel scale, no
        area normalisation, orthonormal DCT-II. ``tests/test_features.py`` holds them
        against librosa's.
    """

    dct: Tensor

    def __init__(self, p: FeatureParams, sample_rate: int) -> None:
        super().__init__()
        stft = {"n_fft": p.n_fft, "win_length": p.win_length, "hop_length": p.hop_length, "power": 2.0}
        if p.kind == "spectrogram":
            self.power = Spectrogram(**stft)
            self.bins = p.bins(sample_rate)
        else:
            self.power = MelSpectrogram(sample_rate, f_min=p.f_min, f_max=p.f_max, n_mels=p.n_mels, **stft)
            self.bins = slice(None)
        self.decibels = AmplitudeToDB(stype="power", top_db=None)
        dct = create_dct(p.n_mfcc, p.n_mels, norm="ortho") if p.kind == "mfcc" else torch.empty(0)
        self.register_buffer("dct", dct, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        decibels: Tensor = self.decibels(self.power(waveform)[..., self.bins, :]).mT
        return decibels @ self.dct if self.dct.numel() else decibels
