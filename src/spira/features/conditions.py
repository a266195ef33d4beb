"""Conditions: what noise is behind the clips while they are trained on or scored."""

from typing import Literal, get_args

Condition = Literal["clean", "noisy", "noisy_controls"]  # ``NoiseParams.n_noises`` says how many noises each adds
CONDITIONS: tuple[Condition, ...] = get_args(Condition)  # in the order of tables and plots
TRAINING_VIEWS = "views"  # of every training clip: without noise, and under several draws of the condition `noisy`
VALIDATION_CONDITIONS: tuple[Condition, ...] = ("clean", "noisy")  # of the clips that stop a training, by their weights
