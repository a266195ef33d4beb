"""Section of params.yaml for training; `check` reads it without importing torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spira.base.section import Count, Section


class SpecAugmentParams(Section):
    n_time_masks: int = Field(ge=0, le=1000)  # a window; 0 is off
    time_width: int = Field(ge=0, le=100_000)  # frames of the widest
    n_frequency_masks: int = Field(ge=0, le=1000)  # a window; 0 is off
    frequency_width: int = Field(ge=0, le=100_000)  # features of the widest


class TrainParams(Section):
    batch_size: int = Field(gt=0, le=65_536)  # windows an optimizer step
    micro_batch_size: int = Field(gt=0, le=4096)  # windows a forward pass; gradients are summed over a batch
    max_epochs: int = Field(gt=0, le=100_000)
    keep: Literal["last", "lowest"]  # whose weights: of the last epoch, or of that with the lowest validation loss
    patience: int = Field(gt=0, le=100_000)  # epochs without a lower validation loss; read where keep is lowest
    optimizer: Literal["adam", "adamw", "radam"]
    lr: float = Field(gt=0, le=100)  # at its highest
    weight_decay: float = Field(ge=0, le=100)
    schedule: Literal["noam", "cosine", "constant"]
    warmup_steps: Count  # optimizer steps until noam or cosine is at its highest
    max_grad_norm: float = Field(gt=0, le=10**9)
    windows: Literal["overlap", "random", "whole"]  # which windows an epoch trains on
    balance: Literal["none", "sampler", "loss"]
    mixup_alpha: float = Field(ge=0, le=1000)  # of Beta(alpha, alpha); 0 is off
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    spec_augment: SpecAugmentParams
    precision: Literal["float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda"]
    cuda_graph: bool  # a step is recorded once and replayed

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.precision != "float32" and self.device != "cuda":
            raise ValueError(f"precision: must be float32 unless train.device=cuda, got bfloat16 and {self.device}")
        if self.cuda_graph and self.device != "cuda":
            raise ValueError(f"cuda_graph: must be false unless train.device=cuda, got true and {self.device}")
        if self.mixup_alpha and self.batch_size < 2:
            raise ValueError(f"mixup_alpha: must be 0 where train.batch_size=1, got {self.mixup_alpha}")
        return self
