"""wav2vec 2.0, HuBERT and WavLM in their base size, by torchaudio's own architectures."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spira.encoders.params import LAYOUTS, Architecture


class SpeechTransformer(nn.Module):
    """What one layer of a transformer holds of a waveform, every 20 ms.

    ``forward``: samples at 16 kHz, shape (time,) -> (n_frames, 768), float32, n_frames = 1 + (time - 400) // 320; a
    sound shorter than 400 samples is filled up with silence. ``model``, torchaudio's own, has no numbers until its
    weights are assigned: to draw 95 million takes longer than to read them.

    Source:
        Baevski et al., "wav2vec 2.0", NeurIPS 2020; Hsu et al., "HuBERT", TASLP 2021; Chen et al., "WavLM", JSTSP 2022.
    """

    def __init__(self, architecture: Architecture, layer: int) -> None:
        from torchaudio import models  # slow; train does without

        super().__init__()
        self.layer, self.shortest = layer, LAYOUTS[architecture].context
        factories = {"wav2vec2_base": models.wav2vec2_base, "hubert_base": models.hubert_base}
        with torch.device("meta"):
            self.model = {**factories, "wavlm_base": models.wavlm_base}[architecture]()

    def forward(self, waveform: Tensor) -> Tensor:
        padded = pad(waveform, (0, max(0, self.shortest - len(waveform))))
        layers, _ = self.model.extract_features(padded[None], num_layers=self.layer)
        frames: Tensor = layers[-1][0]
        return frames
