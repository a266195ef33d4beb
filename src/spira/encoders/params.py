"""The section `embedding` of params.yaml, and the layout of each encoder; `check` reads both without torch."""

from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from spira.base.section import FolderName, Section

Architecture = Literal["resemblyzer", "wav2vec2_base", "hubert_base", "wavlm_base"]
SAMPLE_RATE = 16_000  # Hz; every encoder here was trained on it


class Layout(NamedTuple):
    """What an encoder makes of a waveform."""

    width: int  # numbers in a frame
    hop_length: int  # samples from one frame to the next
    context: int  # samples that one frame is made of


_TRANSFORMER = Layout(width=768, hop_length=320, context=400)
LAYOUTS: dict[Architecture, Layout] = {
    "resemblyzer": Layout(width=256, hop_length=6400, context=25_600),
    "wav2vec2_base": _TRANSFORMER,
    "hubert_base": _TRANSFORMER,
    "wavlm_base": _TRANSFORMER,
}


class EmbeddingParams(Section):
    architecture: Architecture
    file: FolderName  # none, or a .safetensors file in data/pretrained
    layer: int = Field(ge=1, le=12)  # of the transformers; resemblyzer has one output
    pool_frames: int = Field(ge=1, le=1000)  # neighbouring frames of the encoder whose mean is one frame

    @model_validator(mode="after")
    def _plain(self) -> Self:
        if self.file != "none" and not self.file.endswith(".safetensors"):
            raise ValueError(f"file: must be none or end in .safetensors, got {self.file!r}")
        return self

    @property
    def layout(self) -> Layout:
        """Of the frames that a model is given: the encoder's, after pooling."""
        width, hop_length, context = LAYOUTS[self.architecture]
        return Layout(width, hop_length * self.pool_frames, context + hop_length * (self.pool_frames - 1))
