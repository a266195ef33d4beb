"""The ML Test Score on its page follows from the marks of the tests; a mark that names no item is refused."""

from pathlib import Path

import pytest

from ml_test_score import ASKED, holding, page, scores
from tiny import ROOT


def test_the_page_is_what_the_command_prints() -> None:
    """A test that is renamed, unmarked or removed changes the page; `make ml-test-score` gives the new table."""
    assert page(holding()) in (ROOT / "docs/explanation/ml-test-score.md").read_text(encoding="utf-8")


def test_there_are_28_items_and_what_is_not_held_says_what_is_missing() -> None:
    """Seven a section; and no section claims more than it has."""
    found = holding()
    short = [
        item for item, (_, missing) in ASKED.items() if not missing and 1.0 not in [s for _, s in found.get(item, [])]
    ]
    assert (len(ASKED), short) == (28, [])
    assert set(scores({})) == {"Data", "Model", "Infrastructure", "Monitoring"}
    assert set(scores({}).values()) == {0}


def test_a_mark_counts_once_and_a_manual_one_half(tmp_path: Path) -> None:
    """Two tests of one item are one point; an item that nobody asks for is refused."""
    marks = ('"Data 1"', '"Data 1"', '"Data 2", manual=True', '"Monitoring 7"')
    text = "".join(f"@pytest.mark.ml_test_score({mark})\ndef test_{i}(): ...\n" for i, mark in enumerate(marks))
    (tmp_path / "test_a.py").write_text(text)
    assert scores(holding(tmp_path)) == {"Data": 1.5, "Model": 0, "Infrastructure": 0, "Monitoring": 1}
    (tmp_path / "test_a.py").write_text(text.replace("Data 2", "Data 8"))
    with pytest.raises(SystemExit, match="no items of the ML Test Score: Data 8"):
        holding(tmp_path)
