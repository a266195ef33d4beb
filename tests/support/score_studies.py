"""Labels and scores for tests of metrics, drawn by hypothesis: ties are common, both classes are there."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from spira.base.array_types import Floats, Ints
from spira.predictions.scored import ScoredClips


def ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def floats(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def as_clips(
    labels: Ints,
    scores: Floats,
    thresholds: Floats | float = 0.5,
    *,
    speakers: Sequence[str] = (),
    folds: Sequence[str] = (),
) -> ScoredClips:
    """Clips of one fold and of a speaker each, where nothing else is said; scores of one seed may be (n_clips,)."""
    names = tuple(f"c{i}" for i in range(labels.size))
    scores = np.atleast_2d(scores)
    at = np.broadcast_to(thresholds, scores.shape).astype(np.float64)
    return ScoredClips(names, tuple(speakers) or names, tuple(folds) or ("holdout",) * labels.size, labels, scores, at)


@st.composite
def studies(draw: st.DrawFn) -> tuple[Ints, Floats]:
    """(labels, scores) of 2 to 30 clips, both classes among them; half the scores are eighths, so ties are common."""
    labels = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=28))]
    score = st.one_of(st.integers(0, 8).map(lambda eighths: eighths / 8), st.floats(0, 1, allow_subnormal=False))
    return ints(labels), floats(draw(st.lists(score, min_size=len(labels), max_size=len(labels))))


@st.composite
def weighted_studies(draw: st.DrawFn) -> tuple[Ints, Floats, Ints]:
    """A study, and how often each clip counts: perhaps never, but some clip of each class does."""
    labels, scores = draw(studies())
    weights = draw(st.lists(st.integers(0, 3), min_size=labels.size, max_size=labels.size))
    return labels, scores, ints([1, 1, *weights[2:]])
