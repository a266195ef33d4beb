"""Conditions: what noise is behind the clips while they are trained on or scored."""

from typing import Literal, get_args

Condition = Literal["clean", "noisy", "noisy_controls"]  # ``NoiseParams.n_noises`` says how many noises each adds
CONDITIONS: tuple[Condition, ...] = get_args(Condition)  # in the order of tables and plots
TRAINING_CONDITION: Condition = "noisy"  # of every training clip, and of the validation clips that stop a training
