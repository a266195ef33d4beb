"""Each chart: the words on it, the order of its curves, and the same bytes on every machine."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import altair as alt
import numpy as np
import pytest

from spira.plots.charts import (
    COLOURS,
    Attempt,
    Chart,
    Line,
    Row,
    auc_by_speakers,
    calibration,
    confusion_matrix,
    decision_curve,
    forest,
    importances,
    learning_curves,
    precision_recall,
    roc,
    score_histogram,
    search_history,
    spec,
)
from spira.plots.png import write_png
from spira.plots.svg import svg
from tiny import ROOT

AT = np.linspace(0, 1, 11)
LINES = [Line("clean", AT, AT**0.2), Line("noisy", AT, AT**0.5), Line("noisy_controls", AT, AT**0.8)]
ROWS = [Row("everybody", "0.800 [0.700, 0.900]", (0.8, 0.7, 0.9), head=True), Row("sex", "", None, head=True)]
CHARTS: dict[str, Chart] = {
    "roc": roc(LINES, "of a test"),
    "precision_recall": precision_recall(LINES),
    "calibration": calibration(LINES[:2]),
    "decision_curve": decision_curve([Line("model", AT, 0.5 - AT)]),
    "score_histogram": score_histogram(LINES[:2]),
    "learning_curves": learning_curves([Line("train", 10 * AT, 1 - AT / 2), Line("validation", 10 * AT, 1 - AT / 3)]),
    "auc_by_speakers": auc_by_speakers([Line("a", np.array([40.0, 160.0, 640.0]), np.array([0.6, 0.8, 0.9]))]),
    "confusion_matrix": confusion_matrix(Counter({("control", "control"): 3, ("control", "patient"): 1})),
    "forest": forest([*ROWS, Row("F (20)", "too few", None)], (0.8, 0.7, 0.9), "under noisy"),
    "models": forest(
        [
            Row("clean", "", None, head=True),
            *(Row(f"model {i}", "0.800 [0.700, 0.900]", (0.8, 0.7, 0.9), look=i) for i in (0, 1)),
        ],
        None,
        title="AUC by model",
    ),
    "search_history": search_history([Attempt(0, "complete", 0.5, 0.5), Attempt(1, "pruned", 0.7, 0.5)], "plan"),
}
WIDE = "W" * 40
DRAWS = """
import sys
from hashlib import md5
from pathlib import Path
import numpy as np
from spira.plots.charts import Line, roc
from spira.plots.png import write_png
from spira.plots.svg import svg
chart = roc([Line("clean", np.linspace(0, 1, 11), np.linspace(0, 1, 11) ** 0.5)], "Gjpq: 0123456789")
path = Path(sys.argv[1])
if path.suffix == ".png":
    write_png(chart, path)
else:
    path.write_text(svg(chart))
print(md5(path.read_bytes()).hexdigest())
"""
DRAWN = {"png": "d7d756432a027d22465cdbaf641d9c37", "svg": "274df70a1ae8ec145df9ba1aa1069167"}


@cache
def drawing(name: str) -> str:
    """The chart as a page holds it, drawn once: a fifth of a second."""
    return svg(CHARTS[name])


def texts(drawn: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawn).iter("text")]


def curves(drawn: str) -> list[dict[str, str]]:
    """Attributes of every line of more than two points, in the order in which they are drawn."""
    return [path.attrib for path in ET.fromstring(drawn).iter("path") if path.get("d", "").count("L") > 1]


def widened(part: Any) -> Any:
    """The same chart with a longer word wherever one stands: titles, labels of axes and legends, estimates."""
    if isinstance(part, list):
        return [widened(value) for value in part]
    if not isinstance(part, dict):
        return part
    made = {key: value if key == "config" else widened(value) for key, value in part.items()}
    made |= {key: made[key] + WIDE for key in ("title", "said") if isinstance(made.get(key), str) and made[key]}
    if isinstance(made.get("text"), dict) and "value" in made["text"]:
        made["text"] = {"value": made["text"]["value"] + WIDE}
    labelled = [key for key in ("axis", "legend") if made.get(key)]
    return made | {key: {**made[key], "labelExpr": f"datum.label + '{WIDE}'"} for key in labelled}


@pytest.mark.parametrize("name", CHARTS)
def test_a_page_holds_it_as_it_is(name: str) -> None:
    """One labelled element of selectable text in the page's colours: no id, class, font, script or address."""
    drawn = drawing(name)
    assert re.match(r'<svg viewBox="0 0 480 \d+" role="img" aria-label="[A-Z][^"]+">', drawn)
    assert not re.search(r" (?:id|class|style|font-family|xmlns\S*|href)=|https?:|<script|#|url\(", drawn)
    assert {*re.findall(r"var\(--(\w+)\)", drawn)} <= COLOURS.keys()
    assert len(drawn) < 60_000
    assert len(texts(drawn)) > 4


@pytest.mark.parametrize("name", CHARTS)
def test_no_position_depends_on_how_wide_a_text_is(name: str) -> None:
    """So none depends on the fonts of the machine that draws: longer words move nothing."""
    wide = svg(alt.LayerChart.from_dict(widened(CHARTS[name].to_dict())))
    before, after = (re.sub(r">[^<]+<|aria-label=\"[^\"]*\"", "", drawn) for drawn in (drawing(name), wide))
    assert wide.count(WIDE) > 5
    assert before == after


@pytest.mark.parametrize("name", CHARTS)
def test_all_of_it_is_in_the_picture(name: str) -> None:
    """Nothing begins beyond an edge."""
    whole = ET.fromstring(drawing(name))
    width, height = map(float, whole.attrib["viewBox"].split()[2:])
    places = list(starts(whole, 0.0, 0.0))
    assert len(places) > 4
    assert all(0 <= x <= width and 8 < y < height - 2 for x, y in places), places


def starts(element: ET.Element, x: float, y: float) -> Iterator[tuple[float, float]]:
    """Where each text stands."""
    for number in re.findall(r"translate\(([^)]*)\)", element.get("transform", "").partition("rotate")[0]):
        dx, dy = map(float, number.split(","))
        x, y = x + dx, y + dy
    if element.tag == "text":
        yield x, y
    for child in element:
        yield from starts(child, x, y)


@pytest.mark.parametrize("kind", DRAWN)
def test_the_same_bytes_whatever_the_machine(kind: str, tmp_path: Path) -> None:
    """Its fonts, language, time zone and home. The hash is that of another machine, and of vl-convert 1.9.0."""
    nowhere = tmp_path / "fonts.conf"
    nowhere.write_text(f"<fontconfig><dir>{tmp_path}/empty</dir></fontconfig>")
    everywhere = tmp_path / "every.conf"
    everywhere.write_text("<fontconfig><dir>/usr/share/fonts</dir></fontconfig>")
    machines = [
        {},
        {"FONTCONFIG_FILE": str(nowhere), "HOME": str(tmp_path), "LANG": "C", "TZ": "Asia/Tokyo"},
        {"FONTCONFIG_FILE": str(everywhere), "LC_ALL": "pt_BR.UTF-8", "TZ": "America/Sao_Paulo"},
    ]
    assert {drawn_by(machine, tmp_path / f"drawn.{kind}") for machine in machines} == {DRAWN[kind]}


def drawn_by(machine: dict[str, str], path: Path) -> str:
    here = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **machine}
    command = [sys.executable, "-c", DRAWS, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=here).stdout.strip()


def test_curves_differ_by_dash_as_well_as_by_colour() -> None:
    """In grey they still differ; a guide is thinner than all of them."""
    drawn = curves(drawing("roc"))
    assert len({line["stroke"] for line in drawn}) == len({line["stroke-dasharray"] for line in drawn}) == 3


def test_curves_of_one_name_look_alike_and_are_one_entry() -> None:
    """Several seeds of one side of a comparison."""
    seeds = [Line(name, AT, shift + AT) for name in ("base", "head") for shift in (0.0, 0.1, 0.2)]
    drawn = svg(learning_curves(seeds))
    looks = [(line["stroke"], line["stroke-dasharray"]) for line in curves(drawn)]
    assert [Counter(looks)[look] for look in dict.fromkeys(looks)] == [3, 3]
    assert (texts(drawn).count("base"), texts(drawn).count("head")) == (1, 1)


def test_a_curve_that_leaves_its_chart_is_cut_not_bent() -> None:
    """A net benefit far below 0 is not drawn at the edge; an infinite loss not at all."""
    model = Line("model", np.array([0.0, 0.2, 0.4, 0.5]), np.array([0.5, 0.4, 0.3, -5.0]))
    (line,) = curves(svg(decision_curve([model])))
    assert line["d"].count("L") == 2
    (line,) = curves(svg(learning_curves([Line("train", np.arange(4.0), np.array([2.0, 1.5, np.inf, 1.0]))])))
    assert line["d"].count("L") == 2


def test_a_curve_that_goes_straight_up_does_so() -> None:
    """Points keep their order: a ROC curve has several at one false positive rate."""
    (line,) = curves(svg(roc([Line("clean", np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.3, 0.7, 1.0]))])))
    assert line["d"] == "M0,284L0,198.8L0,85.2L412,0"


def test_any_word_can_stand_on_a_chart() -> None:
    """Tags and quotes are text; a control character, which would end the process that draws, is its escape."""
    row = Row('<b class="x">&\x01\u202e', "too few", None)
    drawn = svg(forest([*ROWS, row], (0.8, 0.7, 0.9), "a\nb"))
    assert '<b class="x">&\\x01\\u202e' in texts(drawn)
    assert "<b" not in drawn
    assert r"a\nb" in texts(drawn)


def test_a_forest_has_a_row_an_estimate_and_a_band() -> None:
    """Head rows stand to the left and are bold; what has too few people has words and no bar."""
    drawn = ET.fromstring(drawing("forest"))
    weights = {text.text: text.get("font-weight") for text in drawn.iter("text")}
    assert (weights["everybody"], weights["F (20)"]) == ("700", "400")
    assert sum(path.get("fill") == "var(--band)" for path in drawn.iter("path")) == 1
    marks = [path for path in drawn.iter("path") if path.get("fill") == "var(--s0)"]
    assert len(marks) == 2 + 1  # the interval's ends and the estimate, of the one row that has them


def test_models_of_a_forest_differ_by_colour_and_are_held_to_no_band() -> None:
    """Each row's mark and both ends of its bar have the colour of its look; the title is the caller's."""
    drawn = ET.fromstring(drawing("models"))
    fills = Counter(path.get("fill") for path in drawn.iter("path"))
    assert (fills["var(--s0)"], fills["var(--s1)"], fills["var(--band)"]) == (3, 3, 0)
    assert "AUC by model" in texts(drawing("models"))


def test_a_confusion_matrix_counts() -> None:
    """Rows are the actual class; where nobody is called so, a 0 stands."""
    drawn = texts(
        svg(confusion_matrix({("control", "control"): 31, ("patient", "control"): 7, ("patient", "patient"): 8}))
    )
    assert {"31", "0", "7", "8", "Actual class", "Predicted class"} <= {*drawn}


def test_the_longest_parameter_is_on_top_and_written_out() -> None:
    """However long its name is."""
    whole = spec(importances({"a" * 60: 0.2, "b": 0.8}))
    assert whole["encoding"]["y"]["sort"] == "-x"
    assert whole["config"]["axis"]["labelLimit"] == 0


def test_the_colours_are_those_of_the_page() -> None:
    """A picture in the README and the page in light mode look alike."""
    style = (ROOT / "src/spira/report/base.html").read_text(encoding="utf-8").partition("prefers-color-scheme")[0]
    assert {name: re.findall(rf"--{name}: (#\w+);", style) for name in COLOURS} == {
        name: [colour] for name, colour in COLOURS.items()
    }


def test_a_png_leaves_the_environment_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fonts of other programs that this process starts are their own affair."""
    write_png(CHARTS["roc"], tmp_path / "a.png")
    assert "FONTCONFIG_FILE" not in os.environ
    monkeypatch.setenv("FONTCONFIG_FILE", "mine")
    write_png(CHARTS["roc"], tmp_path / "b.png")
    assert os.environ["FONTCONFIG_FILE"] == "mine"
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.png", "b.png"]
