"""Waveforms -> what the model sees: MFCC, mel or spectrogram frames, in dB.

The floor is absolute (-100 dB), never relative to the loudest cell, so a clip
has the same features alone as in a batch. (``AmplitudeToDB(top_db=80)``, which
``torchaudio.transforms.MFCC`` sets, takes its cut-off from the maximum of
whatever tensor it is given: one loud neighbour changes a window's features.)

Where ``features.normalize`` is active, decibels are relative to the recording's own active level
(``features/activity.py``), and the absolute floor stays behind that.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from spira.features.activity import FLOOR, relative_power
from spira.features.params import FeatureParams

_DB_PER_NEPER = np.float32(10 / np.log(10))  # of power
_BLOCK = 128  # frames; their spectra are 0.8 MB


class Frames:
    """Features of a waveform, one row a frame.

    ``frames(waveform)``: samples in [-1, 1], shape (time,) -> shape (n_frames, n_features), float32. Frames are
    centred, n_frames = 1 + time // hop_length (of an odd n_fft, 1 + (time - 1) // hop_length). Beyond its ends a
    waveform of more than n_fft / 2 samples is reflected. With ``normalize=active`` it has silence there, of any length,
    so that silence in the recording itself changes nothing; and only the frames from the first active one to the last
    are left.

    Blocks of frames go from samples to decibels while they are in a core's cache; a whole clip's spectra would
    not fit. Only the taper is transformed, not the zeros that n_fft pads it with: see ``_interpolation``.

    Source:
        torchaudio's transforms, whose parameters keep their names here; HTK mel scale, no
        area normalisation, orthonormal DCT-II. ``tests/features/test_spectra.py`` holds them
        against torchaudio's and librosa's.
    """

    def __init__(self, p: FeatureParams, sample_rate: int) -> None:
        from torchaudio.functional import create_dct, melscale_fbanks  # slow; train does without

        self.p, self.sample_rate = p, sample_rate
        self.taper = torch.hann_window(p.win_length)
        self.bins = p.bins(sample_rate)
        self.size = p.n_fft if p.kind == "spectrogram" else min(p.n_fft, 2 * p.win_length)
        bank = melscale_fbanks(p.n_bins, p.f_min, p.f_max, p.n_mels, sample_rate).double()
        folded = (_interpolation(self.size, p.win_length, p.n_fft) @ bank).float()
        self.bank = folded.repeat_interleave(2, dim=0)  # for the squares of each bin's real and imaginary part
        self.dct = create_dct(p.n_mfcc, p.n_mels, norm="ortho") if p.kind == "mfcc" else None

    def __call__(self, waveform: Tensor) -> Tensor:
        slices = self._slices(waveform)
        powers = (self._power(block) for block in slices.split(_BLOCK))
        if self.p.normalize == "active":
            whole = torch.cat(list(powers)).numpy()
            relative = relative_power(whole, self.p.hop_length / self.sample_rate, self.p.active_db)
            powers = iter(torch.from_numpy(relative).split(_BLOCK))
        return torch.cat([self._features(power) for power in powers])

    def _slices(self, waveform: Tensor) -> Tensor:
        """The samples under the taper in each frame, (n_frames, win_length)."""
        edge = self.p.n_fft // 2
        mode = "constant" if self.p.normalize == "active" else "reflect"
        padded = pad(waveform[None], (edge, edge), mode=mode)[0]
        before = (self.p.n_fft - self.p.win_length) // 2  # zeros, in front of the taper
        within = padded[before : len(padded) - (self.p.n_fft - self.p.win_length - before)]
        return within.unfold(0, self.p.win_length, self.p.hop_length)

    def _power(self, slices: Tensor) -> Tensor:
        """The power of each band, or of each bin of a spectrogram, (n_frames, n_bands)."""
        tapered = slices.new_zeros(len(slices), self.size)
        torch.mul(slices, self.taper, out=tapered[:, : self.p.win_length])
        squares = torch.view_as_real(torch.fft.rfft(tapered)).square_()  # (frame, bin, real and imaginary)
        by_bin = self.p.kind == "spectrogram"
        return squares[:, self.bins].sum(2) if by_bin else _product(squares.flatten(1), self.bank)

    def _features(self, power: Tensor) -> Tensor:
        decibels = _decibels(power)
        return decibels if self.dct is None else _product(decibels, self.dct)


def _decibels(power: Tensor) -> Tensor:
    """10 log10 of the power, by NumPy's logarithm: torch's is MKL's, whose last bits are each processor maker's own."""
    logarithms = np.log(power.clamp_(min=FLOOR).numpy())
    return torch.from_numpy(np.multiply(logarithms, _DB_PER_NEPER, out=logarithms))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` by NumPy's OpenBLAS: torch's MKL takes three times as long where its sums must be every processor's."""
    return torch.from_numpy(np.matmul(a.numpy(), b.numpy()))


def _interpolation(size: int, win_length: int, n_fft: int) -> Tensor:
    """The matrix from a power spectrum of ``size`` points to that of ``n_fft``, (size // 2 + 1, n_fft // 2 + 1).

    Zeros behind a taper add no information: the power spectrum is the transform of the taper's autocorrelation,
    which has 2 * win_length - 1 lags, so that many points hold all of it, and any other point is a sum of them.
    Folded into the mel bank it costs nothing, and 800 points take less time than 1200.
    """
    if size == n_fft:
        return torch.eye(n_fft // 2 + 1, dtype=torch.float64)
    lags = torch.fft.irfft(torch.eye(size // 2 + 1, dtype=torch.float64), n=size)[:, :win_length]
    mirrored = torch.zeros(len(lags), n_fft, dtype=torch.float64)
    mirrored[:, :win_length] = lags
    mirrored[:, n_fft - win_length + 1 :] += lags[:, 1:].flip(1)
    interpolation: Tensor = torch.fft.rfft(mirrored).real
    return interpolation
