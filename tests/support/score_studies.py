"""Labels and scores for tests of metrics, drawn by hypothesis: ties are common, both classes are there."""

import numpy as np
from hypothesis import strategies as st

from spira.base.array_types import Floats, Ints


def ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def floats(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)


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
