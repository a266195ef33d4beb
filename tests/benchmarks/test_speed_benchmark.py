"""The speed benchmark reports each table and side that fell far behind, and none that merely moved."""

import json

import pytest

from speed import TABLES, fallen
from tiny import ROOT

BEFORE = {"features": {"theirs": {"ratio": 1.0, "peak_mb": 900.0}, "ours": {"ratio": 8.0, "peak_mb": 400.0}}}


@pytest.mark.parametrize(
    ("ratio", "peak_mb", "reported"),
    [
        (4.1, 590.0, []),
        (80.0, 40.0, []),
        (3.9, 400.0, ["features: ours: 3.9 times the first, and was 8.0"]),
        (8.0, 610.0, ["features: ours: 610 MB, and was 400"]),
    ],
)
def test_half_the_speed_or_half_again_the_memory_is_reported(ratio: float, peak_mb: float, reported: list[str]) -> None:
    """And nothing else: a ratio moves by less between machines."""
    now = {"features": {"theirs": {"ratio": 1.0, "peak_mb": 9000.0}, "ours": {"ratio": ratio, "peak_mb": peak_mb}}}
    assert list(fallen(now, BEFORE)) == reported


def test_the_kept_figures_are_of_every_table_with_ours_last() -> None:
    """Else there is nothing to compare with, every week."""
    kept = json.loads((ROOT / "docs/explanation/speed.json").read_text())["found"]
    assert {name: list(sides)[-1] for name, sides in kept.items()} == {
        name: sides[-1] for name, sides in TABLES.items()
    }
