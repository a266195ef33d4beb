"""Optuna: what the trials of a study said so far -> the next one's parameters, and whether one is worth going on with.

No study is kept: each question is answered from the history alone, by a sampler seeded with the study's seed and the
trial's number. So the same history proposes the same trial, also after an interruption.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import TrialState

from spira.sweeps.plan import Range, Study

optuna.logging.set_verbosity(optuna.logging.WARNING)
Curve = Sequence[tuple[int, float]]  # (step over all seeds, validation loss)


@dataclass(frozen=True)
class Trial:
    """One that is over, and was not a failure."""

    number: int
    state: Literal["complete", "pruned"]
    parameters: Mapping[str, Any]
    loss: float | None  # the objective; None where pruned
    seconds: float
    curve: Curve = field(default_factory=tuple)


def proposal(study: Study, history: Sequence[Trial], number: int) -> dict[str, Any]:
    """The parameters of the next trial."""
    trial = _optuna(study, history, number).ask(_distributions(study))
    return {
        key: varied.rounded(trial.params[key]) if isinstance(varied, Range) else trial.params[key]
        for key, varied in study.parameters.items()
    }


def unpromising(study: Study, history: Sequence[Trial], curve: Curve) -> bool:
    """The best loss of the curve is worse than the median of the earlier trials at the curve's last step."""
    if not study.params.prune or not curve:
        return False
    trial = _optuna(study, history, 0).ask()
    for step, loss in curve:
        trial.report(loss, step)
    return trial.should_prune()


def importances(study: Study, history: Sequence[Trial]) -> dict[str, float]:
    """Fraction of the loss's variance that each parameter explains (fANOVA); {} with fewer than two losses."""
    losses = {trial.loss for trial in history if trial.state == "complete"}
    if len(losses) < 2:
        return {}
    evaluator = FanovaImportanceEvaluator(seed=study.params.seed)
    return optuna.importance.get_param_importances(_optuna(study, history, 0), evaluator=evaluator)


def _optuna(study: Study, history: Sequence[Trial], number: int) -> optuna.Study:
    p = study.params
    made = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=p.seed + number, n_startup_trials=p.n_startup),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=p.n_startup),
    )
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    for trial in sorted(history, key=lambda trial: trial.number):
        made.add_trial(
            optuna.create_trial(
                state=states[trial.state],
                value=trial.loss,
                params=dict(trial.parameters),
                distributions=_distributions(study),
                intermediate_values=dict(trial.curve),
            )
        )
    return made


def _distributions(study: Study) -> dict[str, BaseDistribution]:
    return {
        key: FloatDistribution(varied.low, varied.high, log=varied.log)
        if isinstance(varied, Range)
        else CategoricalDistribution(varied.choices)
        for key, varied in study.parameters.items()
    }
