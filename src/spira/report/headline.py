"""The metrics as a person reads them."""

from collections.abc import Mapping
from math import isnan
from typing import Any

from spira.evaluation.markdown import table

_COLUMNS = ("auc", "sensitivity", "specificity", "accuracy", "f1")


def opening(
    corpus: str, people: tuple[int, int, int], n_folds: int, n_seeds: int, confidence: float, condition: str
) -> str:
    """On whom, how often and how sure, in one paragraph.

    Args:
        corpus: as ``origin`` says it.
        people: (speakers, patients among them, clips) of the test set.
        confidence: of the intervals, in (0, 1).
        condition: under which validation's clips chose the thresholds.
    """
    n_speakers, n_patients, n_clips = people
    counted = f"{n_speakers} speakers ({n_patients} patients), {n_clips} clips"
    tested, chosen = f"Test: {counted}, none of them heard in training.", "validation clips"
    if n_folds > 1:
        tested = f"{n_folds}-fold cross-validation: {counted}, each judged by the model that did not hear its speaker."
        chosen = "each fold's own validation clips"
    return (
        f"Corpus: {corpus}. {tested} Mean over {n_seeds} seeds; in brackets the "
        f"{100 * confidence:g}% interval over resampled speakers. Thresholds were chosen on {chosen} under "
        f"`{condition}`."
    )


def markdown_table(conditions: Mapping[str, Mapping[str, float]]) -> str:
    """One row a condition, each cell ``mean [lo, hi]``; the interval is over speakers.

    Args:
        conditions: what ``estimates.summarize`` gives, by condition.
    """
    rows = [[condition, *(estimate(of, name) for name in _COLUMNS)] for condition, of in conditions.items()]
    return table(["condition", *map(title, _COLUMNS)], rows) + "\n"


def title(metric: str) -> str:
    """As the head of a column."""
    return "AUC" if metric == "auc" else metric


def estimate(of: Mapping[str, float], name: str) -> str:
    """``mean [lo, hi]``; a dash where the clips do not determine it."""
    if isnan(of[name]):
        return "–"
    return f"{of[name]:.3f} [{of[f'{name}_lo']:.3f}, {of[f'{name}_hi']:.3f}]"


def headline(conditions: Mapping[str, Mapping[str, float]], condition: str, validation_auc: float) -> dict[str, Any]:
    """The few numbers that are columns of ``dvc exp show``; each metric a group, so that they sort together.

    Args:
        conditions: what ``estimates.summarize`` gives, by condition.
        condition: the one that has an interval, sensitivity and specificity here.
        validation_auc: under the same condition; what to choose settings by, so that test stays unseen.
    """
    of = conditions[condition]
    interval = {f"{condition}_lo": of["auc_lo"], f"{condition}_hi": of["auc_hi"]}
    return {
        "auc": {name: m["auc"] for name, m in conditions.items()} | interval | {"validation": validation_auc},
        "sensitivity": {condition: of["sensitivity"]},
        "specificity": {condition: of["specificity"]},
    }
