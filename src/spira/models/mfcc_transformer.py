"""A transformer over MFCC frames."""

import torch
from torch import Tensor, nn

from spira.models.params import MfccTransformerParams
from spira.models.standardize import Standardize


class MfccTransformer(nn.Module):
    """One logit a window: a transformer encoder over its frames, the mean of its outputs, a linear layer.

    ``forward``: (batch, n_frames, n_features) -> (batch,), logits of `patient`.

    Each coefficient is brought to mean 0 and variance 1 over the window's own frames; in a
    window that is padded with zeros, over these too.

    Source:
        Gauy and Finger, "Audio MFCC-gram transformers for respiratory insufficiency detection
        in COVID-19", STIL 2021 (their baseline, without self-supervised pretraining). The
        encoder is Vaswani et al., 2017, with each layer normalised before it and not after (Xiong et al., ICML 2020):
        the other way round its loss did not fall in some hundred steps. The sizes, the normalisation
        of the window and the mean over frames are ours: the paper's were not at hand.
    """

    positions: Tensor

    def __init__(self, p: MfccTransformerParams, n_frames: int, n_features: int) -> None:
        super().__init__()
        self.standardize = Standardize(n_features)
        self.project = nn.Linear(n_features, p.width)
        self.register_buffer("positions", sinusoids(n_frames, p.width), persistent=False)
        layer = nn.TransformerEncoderLayer(
            p.width, p.n_heads, p.feed_forward, p.dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, p.n_layers, nn.LayerNorm(p.width), enable_nested_tensor=False)
        self.classify = nn.Linear(p.width, 1)

    def forward(self, windows: Tensor) -> Tensor:
        windows = self.standardize(windows)
        centred = windows - windows.mean(dim=1, keepdim=True)
        frames = centred * (centred.square().mean(dim=1, keepdim=True) + 1e-5).rsqrt()
        # Vaswani et al. (3.4) scale the other way round; at full size position codes drown the features.
        embedded = self.project(frames) + self.positions / self.project.out_features**0.5
        encoded = self.encoder(embedded)
        logits: Tensor = self.classify(encoded.mean(dim=1)).squeeze(1)
        return logits


def sinusoids(n_frames: int, width: int) -> Tensor:
    """Position codes, shape (n_frames, width): sines in even columns, cosines in odd ones (Vaswani et al., 2017)."""
    rates = 10_000 ** -(torch.arange(0, width, 2) / width)
    angles = torch.arange(n_frames)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
