"""The speaker encoder of Resemblyzer: mel power -> LSTM -> a point on the unit sphere for each 1.6 s of sound."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from spira.encoders.params import LAYOUTS, SAMPLE_RATE

_N_MELS, _WIN_LENGTH, _HOP_LENGTH = 40, 400, 160  # 25 ms every 10 ms
_PARTIAL = LAYOUTS["resemblyzer"].context // _HOP_LENGTH  # mel frames that one embedding is made of: 160
_STEP = LAYOUTS["resemblyzer"].hop_length // _HOP_LENGTH  # mel frames from one embedding to the next: 40


class Resemblyzer(nn.Module):
    """256 numbers of a voice, every 0.4 s.

    ``forward``: samples at 16 kHz, shape (time,) -> (n_partials, 256), float32, each row >= 0 and of length 1.
    n_partials = 1 + ceil(max(0, time // 160 - 160) / 40): the last partial ends with the sound, and a sound shorter
    than 1.6 s is filled up with silence. (Resemblyzer itself takes a step of 0.77 s, and fills up the last partial.)

    The names of the weights are those of the published file.

    Source:
        Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018; Jemine's Resemblyzer 0.1.4
        (Apache-2.0), whose sizes these are. Its mel bank is librosa's: Slaney's scale and area, no logarithm.
    """

    def __init__(self) -> None:
        from torchaudio.functional import melscale_fbanks  # slow; train does without

        super().__init__()
        self.lstm = nn.LSTM(_N_MELS, 256, num_layers=3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.taper = torch.hann_window(_WIN_LENGTH)
        n_bins = _WIN_LENGTH // 2 + 1
        scale = {"norm": "slaney", "mel_scale": "slaney"}
        self.bank = melscale_fbanks(n_bins, 0.0, SAMPLE_RATE / 2, _N_MELS, SAMPLE_RATE, **scale)

    def forward(self, waveform: Tensor) -> Tensor:
        mel = self.mel(pad(waveform, (0, max(0, LAYOUTS["resemblyzer"].context - len(waveform)))))
        last = len(mel) - _PARTIAL
        starts = [*range(0, last, _STEP), last]
        _, (state, _) = self.lstm(torch.stack([mel[start : start + _PARTIAL] for start in starts]))
        directions = relu(self.linear(state[-1])).numpy()
        lengths = np.sqrt(np.square(directions).sum(axis=1, keepdims=True))  # not torch's: see base/arithmetic.py
        return torch.from_numpy(directions / np.maximum(lengths, np.float32(1e-9)))

    def mel(self, waveform: Tensor) -> Tensor:
        """The power in each band of each frame: (time,) -> (time // 160, 40); frames are centred."""
        padded = pad(waveform, (_WIN_LENGTH // 2, _WIN_LENGTH // 2))
        slices = padded.unfold(0, _WIN_LENGTH, _HOP_LENGTH)[: len(waveform) // _HOP_LENGTH]
        power = torch.view_as_real(torch.fft.rfft(slices * self.taper)).square().sum(dim=2)
        return torch.from_numpy(power.numpy() @ self.bank.numpy())
