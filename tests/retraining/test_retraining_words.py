"""What a retraining writes for people: the commit's message, and a page that GitHub takes."""

from datetime import date

import pytest

from spira.registry.record import Check, Gate, Verdict
from spira.retraining.body import BY_HAND, body, branch_name, cut, day_in, gate_section, message, title, why_in


def gate(verdict: Verdict, against: str | None = "v0.0.1") -> Gate:
    checks = (Check(name="tree", verdict="pass", reason="so"), Check(name="AUC", verdict=verdict, reason="a|b"))
    return Gate(
        registry="tiny",
        commit="a" * 40,
        package="b" * 64,
        model="statistics",
        corpus="tiny",
        against=against,
        test_set=None,
        checks=checks,
    )


def test_a_message_has_the_reasons_and_gives_them_back() -> None:
    """Its subject fits a line of git's, whatever the corpus is called."""
    name = branch_name(date(2026, 11, 28), 2)
    reasons = ["drift: 2 of the last 2 reports say drift", "age: the champion is old"]
    text = message("voices", name, reasons)
    assert text.endswith(f"\n\nRetrain-Branch: {name}\n")
    assert why_in(text) == reasons
    assert why_in(message("voices", name, [])) == [BY_HAND]
    assert (name, day_in(name)) == ("retrain/2026-11-28-2", "2026-11-28")
    assert len(title("x" * 200, "2026-11-28")) <= 72


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("pass", "**The package may be promoted**. It was held against the champion v0.0.1."),
        ("no verdict", "**The gate refuses the package**: AUC. It was held against the champion v0.0.1."),
    ],
)
def test_the_gates_section_says_whether_and_why(verdict: Verdict, said: str) -> None:
    text = gate_section(gate(verdict))
    assert said in text
    assert f"| AUC | {verdict} | a\\|b |" in text
    assert "for there is no champion" in gate_section(gate("pass", against=None))


def test_the_page_begins_with_the_verdict_and_that_nothing_is_promoted() -> None:
    """What anybody wrote into a reason draws nothing and calls nobody."""
    text = body("voices", "retrain/2026-11-28", ["age: @all ![x](y)"], gate("fail"), "# The review")
    assert text.startswith("Trained anew on `voices` as it was on 2026-11-28. The gate refuses the package. Nothing is")
    assert "@all" not in text
    assert "![x](y)" not in text
    assert text.endswith("# The review")


def test_a_long_page_is_cut_to_what_a_pull_request_takes_and_says_so() -> None:
    """GitHub refuses more than 65,536 characters."""
    assert cut("x" * 60_000) == "x" * 60_000
    text = cut("x" * 200_000)
    assert 60_000 < len(text) < 65_536
    assert text.endswith("Cut here: `spira review` prints all of it.\n")
