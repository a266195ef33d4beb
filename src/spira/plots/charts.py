"""Every chart of this repository, a function each: numbers -> an Altair chart for the page, the README and reviews.

Conventions:
    colours  the light ones of src/spira/report/base.html, by the names that its style gives them.
    lines    differ by dash as well as by colour, so that they can be distinguished in grey.
    layout   fixed: no position depends on how wide a text is, hence none on the fonts of a machine.
    titles   the chart's own says what is drawn, the caller's subtitle of which data.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import altair as alt

from spira.base.array_types import Floats
from spira.base.errors import visible

Chart = alt.Chart | alt.LayerChart
Options = dict[str, Any]  # as Vega-Lite names them

COLOURS = {
    "s0": "#1f5fa8",
    "s1": "#b4530a",
    "s2": "#6c4a9c",
    "text": "#1b232d",
    "soft": "#56616f",
    "grid": "#e7ebf0",
    "band": "#dfe9f5",
}
_BLUE, _TEXT, _SOFT = COLOURS["s0"], COLOURS["text"], COLOURS["soft"]
_LINES = [COLOURS["s0"], COLOURS["s1"], COLOURS["s2"]]
_DASHES = [[1, 0], [8, 4], [2, 4]]
_WIDTH, _HEIGHT = 412, 284  # pixels between the axes
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 36, 46  # margins of what is between the axes
_SUBTITLE, _ENTRY = 16, 24  # heights of a subtitle and of a legend's line
_ROW, _NAMES, _ESTIMATES = 26, 176, 140  # height of a forest's row, widths of its two columns of text
_UPRIGHT: Options = {"labelAngle": -90, "labelAlign": "center", "labelBaseline": "bottom"}
_CONFIG: Options = {
    "font": "Liberation Sans",  # which vl-convert brings along
    "aria": False,  # to a screen reader a chart is one picture
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "gridColor": COLOURS["grid"],
        "labelPadding": 6,
        "labelLimit": 0,
        "labelColor": _SOFT,
        "labelFontSize": 12,
        "labelOverlap": False,
        "labelFlush": False,
        "titleColor": _SOFT,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titleLimit": 0,
    },
    "legend": {
        "labelColor": _TEXT,
        "labelFontSize": 13,
        "labelLimit": 0,
        "labelOffset": 8,
        "rowPadding": 0,
        "symbolSize": 800,
        "symbolStrokeWidth": 2.4,
    },
    "title": {"anchor": "start", "fontSize": 13, "color": _TEXT, "subtitleFontSize": 12, "subtitleColor": _SOFT},
}


class Line(NamedTuple):
    """One curve; curves of one name, such as those of several seeds, look alike and are one entry of the legend."""

    name: str
    x: Floats
    y: Floats


class Row(NamedTuple):
    """A row of a forest: an estimate with its interval or, without one, only what is said of it."""

    name: str
    said: str
    at: tuple[float, float, float] | None  # estimate, low, high
    head: bool = False
    look: int = 0  # the colour of its mark: what is of one kind looks alike


class Attempt(NamedTuple):
    """A trial of a sweep: its lowest loss, and the lowest of all until then; None where there is none yet."""

    trial: int
    state: str  # complete or pruned
    loss: float | None
    best: float | None


class _Axis(NamedTuple):
    """What an axis says; without a domain it spans the values."""

    label: str
    domain: tuple[float, float] | None = None
    ticks: Sequence[float] | None = None
    whole: bool = False  # it counts
    log: bool = False  # as wide from 40 to 160 as from 160 to 640


def roc(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """True over false positive rate; the diagonal is guessing."""
    x, y = _share("False positive rate (1 - specificity)"), _share("True positive rate (sensitivity)")
    return _curves("ROC curves", subtitle, x, y, lines, diagonal=True)


def precision_recall(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """Precision over recall."""
    x, y = _share("Recall (sensitivity)"), _share("Precision (positive predictive value)")
    return _curves("Precision and recall", subtitle, x, y, lines)


def calibration(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """The share of patients over the mean score of each bin of clips; on the diagonal a score is a probability."""
    x, y = _share("Mean score of the bin (predicted probability)"), _share("Share of patients in the bin")
    return _curves("Calibration", subtitle, x, y, lines, diagonal=True, dots=True)


def share_labelled(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """The share of people whose truth is known over their mean score, a point a tenth of all who were answered."""
    x, y = _share("Mean score of a tenth of the people"), _share("Share whose truth is known")
    return _curves("Whose truth is known", subtitle, x, y, lines, dots=True)


def decision_curve(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """Net benefit over the threshold probability; what is below -0.1 is left out, since it falls without end."""
    top = max(0.1, *(float(line.y.max()) for line in lines))
    y = _Axis("Net benefit (true positives per clip)", (-0.1, top), [i / 10 for i in range(-1, 11) if i / 10 <= top])
    return _curves("Decision curve", subtitle, _share("Threshold probability"), y, lines)


def score_histogram(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """The share of a class's clips in each bin of scores, a curve a class."""
    x, y = _share("Score (predicted probability)"), _Axis("Share of the class's clips")
    return _curves("Scores by class", subtitle, x, y, lines)


def auc_by_months(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """AUC by the months since a training's last recording."""
    months = sorted({float(month) for line in lines for month in line.x})
    x = _Axis("Months since the training's last", ticks=months, whole=True)
    return _curves("AUC by the age of the model", subtitle, x, _Axis("AUC", (0.4, 1.0)), lines, dots=True)


def before_and_after(lines: Sequence[Line], number: str, title: str) -> Chart:
    """The share of people whose number is at most so high, a curve for those before and one for those after."""
    return _curves(title, "", _Axis(number), _share("Share of people"), lines)


def learning_curves(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """Loss by epoch."""
    return _curves("Learning curves", subtitle, _Axis("Epoch", whole=True), _Axis("Loss"), lines)


def auc_by_speakers(lines: Sequence[Line], subtitle: str = "") -> Chart:
    """AUC by the number of speakers that a model was trained on, on a logarithmic axis."""
    sizes = sorted({float(size) for line in lines for size in line.x})
    x = _Axis("Speakers to train on", ticks=sizes, whole=True, log=True)
    return _curves("AUC by the number of speakers", subtitle, x, _Axis("AUC"), lines, dots=True)


def confusion_matrix(counts: Mapping[tuple[str, str], int], subtitle: str = "") -> Chart:
    """How many clips of each class are called what, by (actual, predicted); a shade is the share of its row."""
    names = sorted({name for pair in counts for name in pair})
    total = {name: sum(n for (actual, _), n in counts.items() if actual == name) for name in names}
    pairs = [(actual, predicted, counts.get((actual, predicted), 0)) for actual in names for predicted in names]
    cells = [
        {"actual": actual, "predicted": predicted, "n": n, "share": n / max(1, total[actual])}
        for actual, predicted, n in pairs
    ]
    x = alt.X("predicted:N", title="Predicted class", axis={**_below(_WIDTH), "grid": False, "labelAngle": 0})
    y = alt.Y("actual:N", title="Actual class", axis={**_beside(_HEIGHT), "grid": False, **_UPRIGHT})
    shade = alt.Opacity("share:Q", scale={"domain": [0, 1], "range": [0, 0.6]}, legend=None)
    base = _chart(cells).encode(x=x, y=y)
    shaded = base.mark_rect(color=_BLUE).encode(opacity=shade)
    return _framed([shaded, base.mark_text(fontSize=20, color=_TEXT).encode(text="n:Q")], "Confusion matrix", subtitle)


def forest(
    rows: Sequence[Row],
    reference: tuple[float, float, float] | None,
    subtitle: str = "",
    title: str = "AUC by group",
) -> Chart:
    """AUC by row, its interval as a bar; the band, where there is one, is an interval to hold them to."""
    width, height = _LEFT + _WIDTH + _RIGHT - _NAMES - _ESTIMATES, _ROW * len(rows)
    x = alt.X("at:Q", **_options(_share("AUC"), _below(width)))
    y = alt.Y("i:Q", axis=None, scale={"domain": [-0.5, len(rows) - 0.5], "reverse": True, "nice": False})
    layers = []
    if reference is not None:
        centre, low, high = reference
        layers.append(_chart([{"at": low, "to": high}]).mark_rect(color=COLOURS["band"]).encode(x=x, x2="to"))
        layers.append(_chart([{"at": centre}]).mark_rule(color=_SOFT, opacity=0.7).encode(x=x))
    for look in sorted({row.look for row in rows if row.at}):
        colour = _LINES[look % len(_LINES)]
        known = [(i, row.at) for i, row in enumerate(rows) if row.at and row.look == look]
        bars = _chart([{"i": i, "at": at[1], "to": at[2]} for i, at in known]).encode(x=x, y=y)
        ends = _chart([{"i": i, "at": end} for i, at in known for end in at[1:]]).encode(x=x, y=y)
        marks = _chart([{"i": i, "at": at[0]} for i, at in known]).encode(x=x, y=y)
        layers += [
            bars.mark_rule(color=colour, strokeWidth=2).encode(x2="to"),
            ends.mark_tick(color=colour, orient="vertical", size=8, thickness=2, opacity=1),
            marks.mark_square(color=colour, size=64, opacity=1),
        ]
    for head in (True, False):
        texts = [{"i": i, "name": row.name, "said": row.said} for i, row in enumerate(rows) if row.head is head]
        start = -_NAMES if head else 12 - _NAMES
        names = _chart(texts).mark_text(align="left", fontSize=13, fontWeight=700 if head else 400, color=_TEXT)
        said = _chart(texts).mark_text(align="right", fontSize=12, color=_TEXT)
        layers.append(names.encode(x=alt.value(start), y=y, text="name:N"))
        layers.append(said.encode(x=alt.value(width + _ESTIMATES - 2), y=y, text="said:N"))
    return _framed(layers, title, subtitle, size=(width, height), margins=(_NAMES, _ESTIMATES))


def search_history(attempts: Sequence[Attempt], subtitle: str = "") -> Chart:
    """Each trial's lowest loss, and the lowest so far as a line."""
    states = ["complete", "pruned"]
    colour = {"domain": states, "range": _LINES[:2]}
    x = alt.X("trial:Q", **_options(_Axis("Trial", whole=True), _below(_WIDTH)))
    base = _chart([attempt._asdict() for attempt in attempts]).encode(x=x)
    loss = _options(_Axis("Validation loss"), _beside(_HEIGHT))
    best = base.mark_line(interpolate="step-after", color=_SOFT).encode(y=alt.Y("best:Q", **loss))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        y=alt.Y("loss:Q", **loss),
        color=alt.Color("state:N", scale=colour, legend=_legend(symbolSize=60)),
        shape=alt.Shape("state:N", scale={"domain": states, "range": ["circle", "cross"]}, legend=_legend()),
    )
    return _framed([best, points], "Trials; the line is the lowest loss so far", subtitle, n_entries=2)


def importances(fractions: Mapping[str, float], subtitle: str = "") -> Chart:
    """What explains the loss: a bar a parameter, the longest on top. As wide as the longest name needs."""
    x = alt.X("fraction:Q", scale={"domain": [0, 1]}, title="Fraction of the loss's variance")
    y = alt.Y("name:N", sort="-x", title=None, axis={"grid": False})
    rows = [{"name": name, "fraction": fraction} for name, fraction in fractions.items()]
    title = alt.TitleParams("Importance of each parameter", subtitle=subtitle, frame="bounds", dx=0)
    bars = _chart(rows).mark_bar(color=_BLUE).encode(x=x, y=y)
    chart: alt.Chart = bars.properties(title=title, width=_WIDTH, height={"step": 40}, config=_CONFIG)
    return chart


def spec(chart: Chart) -> Options:
    """The chart in Vega-Lite. A control character is shown as its escape: it would end the process that draws it."""
    whole: Options = _visible(chart.to_dict())
    return whole


def _visible(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {key: _visible(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_visible(value) for value in part]
    return visible(part) if isinstance(part, str) else part


def _share(label: str) -> _Axis:
    return _Axis(label, (0, 1), [i / 5 for i in range(6)])


def _below(width: float) -> Options:
    """An axis whose title stands where no label is measured."""
    return {"titleX": width / 2, "titleY": 30}


def _beside(height: float) -> Options:
    return {"titleX": -42, "titleY": height / 2, "titleAngle": -90}


def _legend(**more: Any) -> Options:
    place = {"orient": "none", "legendX": -8, "legendY": _HEIGHT + _BOTTOM, "direction": "vertical", "title": None}
    return {**place, **more}


def _options(axis: _Axis, place: Options) -> Options:
    ticks = {"values": list(axis.ticks)} if axis.ticks else {"tickMinStep": 1} if axis.whole else {"tickCount": 6}
    scale = {"domain": list(axis.domain), "nice": False} if axis.domain else {"zero": False}
    scale = {"type": "log", "nice": False} if axis.log else scale
    return {"title": axis.label, "scale": scale, "axis": {**place, **ticks, "format": "d" if axis.whole else "~g"}}


def _curves(
    title: str, subtitle: str, x: _Axis, y: _Axis, lines: Sequence[Line], *, diagonal: bool = False, dots: bool = False
) -> Chart:
    """Curves over one pair of axes, and their names below; what leaves the chart is not drawn."""
    low, high = y.domain or (-float("inf"), float("inf"))
    points = [
        {"curve": curve, "i": i, "name": line.name, "x": a, "y": b}
        for curve, line in enumerate(lines)
        for i, (a, b) in enumerate(zip(line.x.tolist(), line.y.tolist(), strict=True))
        if isfinite(b) and low <= b <= high
    ]
    names = list(dict.fromkeys(line.name for line in lines))
    legend = _legend(symbolType="stroke")
    base = _chart(points).encode(
        x=alt.X("x:Q", **_options(x, _below(_WIDTH))),
        y=alt.Y("y:Q", **_options(y, _beside(_HEIGHT))),
        color=alt.Color("name:N", scale={"domain": names, "range": _LINES}, legend=legend),
    )
    dash = alt.StrokeDash("name:N", scale={"domain": names, "range": _DASHES}, legend=legend)
    # in the order of the points: a curve that goes straight up has several at one x
    drawn = [base.mark_line(strokeWidth=2.4, strokeJoin="round").encode(order="i:Q", detail="curve:N", strokeDash=dash)]
    if diagonal:
        ends = _chart([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        drawn.insert(0, ends.mark_line(color=_SOFT, strokeWidth=1, opacity=0.7).encode(x="x:Q", y="y:Q"))
    if dots:
        drawn.append(base.mark_circle(size=40, opacity=1))
    return _framed(drawn, title, subtitle, n_entries=len(names))


def _chart(rows: Sequence[Options]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=list(rows)))


def _text(text: str, x: float, y: float, **look: Any) -> alt.Chart:
    """Words at a place that is counted in pixels from the upper left corner between the axes."""
    words: alt.Chart = _chart([{}]).mark_text(align="left", baseline="alphabetic", **look)
    return words.encode(x=alt.value(x), y=alt.value(y), text=alt.value(text))


def _framed(
    layers: Sequence[alt.Chart],
    title: str,
    subtitle: str,
    *,
    size: tuple[float, float] = (_WIDTH, _HEIGHT),
    margins: tuple[float, float] = (_LEFT, _RIGHT),
    n_entries: int = 0,
) -> Chart:
    """Layers between fixed margins: left and right of them as said, above them the title, below them the legend."""
    padding = {
        "left": margins[0],
        "top": _TOP + _SUBTITLE * bool(subtitle),
        "right": margins[1],
        "bottom": _BOTTOM + _ENTRY * n_entries,
    }
    above = -22 - _SUBTITLE * bool(subtitle)
    heading = [
        _text(title, -margins[0], above, fontSize=13, fontWeight=700, color=_TEXT),
        _text(subtitle, -margins[0], -22, fontSize=12, color=_SOFT),
    ]
    return alt.LayerChart(
        layer=[*layers, *(heading if subtitle else heading[:1])],
        description=f"{title} {subtitle}".strip(),
        width=size[0],
        height=size[1],
        padding=padding,
        autosize=alt.AutoSizeParams(type="none"),
        config=_CONFIG,
    )
