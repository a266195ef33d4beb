"""SPIRA's convolutional detector."""

from torch import Tensor, nn

from spira.core.dropout import Dropout

# (channels in, channels out, kernel, dilation, groups, pooled), all along time
_BLOCKS = (
    (1, 32, 7, 2, 16, True),
    (32, 16, 5, 2, 8, True),
    (16, 8, 3, 2, 4, True),
    (8, 4, 2, 1, 2, False),
)
_DROPOUT = 0.7
_HIDDEN = 100


class SpiraConvV2(nn.Module):
    """One logit a window: the window is an image whose convolutions run along time only.

    ``forward``: (batch, n_frames, n_features) -> (batch,), logits of `patient`.

    At 4 s (401 frames of 40 coefficients): 389, 194, 186, 93, 89, 44, 43 frames after
    each convolution and pooling, 6,880 inputs to the first linear layer, 691,613
    parameters, 3,412 of them in the convolutional blocks.

    Source:
        Casanova et al., "Deep learning against COVID-19: respiratory insufficiency
        detection in Brazilian Portuguese speech", Findings of ACL 2021.
    """

    def __init__(self, n_frames: int, n_features: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out, kernel, dilation, n_groups, pooled in _BLOCKS:
            layers += [nn.Conv2d(n_in, n_out, (kernel, 1), dilation=(dilation, 1))]
            layers += [nn.GroupNorm(n_groups, n_out), nn.Mish()]
            layers += [nn.MaxPool2d((2, 1))] if pooled else []
            layers += [Dropout(_DROPOUT)]
        self.conv = nn.Sequential(*layers)
        self.fc1 = nn.Linear(frames_after_convolutions(n_frames) * _BLOCKS[-1][1] * n_features, _HIDDEN)
        self.activation = nn.Mish()
        self.dropout = Dropout(_DROPOUT)
        self.fc2 = nn.Linear(_HIDDEN, 1)

    def forward(self, windows: Tensor) -> Tensor:
        image = self.conv(windows.unsqueeze(1))  # (batch, channel, frame, coefficient)
        flat = image.transpose(1, 2).flatten(1)  # in (frame, channel, coefficient) order
        logits: Tensor = self.fc2(self.dropout(self.activation(self.fc1(flat)))).squeeze(1)
        return logits


def frames_after_convolutions(n_frames: int) -> int:
    """Frames that reach the linear layer; less than 1 where the window is too short."""
    for _, _, kernel, dilation, _, pooled in _BLOCKS:
        n_frames -= dilation * (kernel - 1)
        n_frames = n_frames // 2 if pooled else n_frames
    return n_frames
