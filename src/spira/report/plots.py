"""Numbers -> SVG that a page holds by itself: axes with units, colours and dashes by the page's own style.

Positions are in the drawing's own units, 480 wide; text is the page's. Every line differs by its dash as well as by
its colour, so that it prints in grey.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from spira.base.array_types import Floats

_WIDTH, _HEIGHT = 480, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 46  # margins
_ROW = 26  # height of a forest's row
_NAMES = 176  # width of a forest's names


class Line(NamedTuple):
    """One curve; lines of one chart take the style's colours and dashes in turn."""

    name: str
    x: Floats
    y: Floats
    dots: bool = False


class Axis(NamedTuple):
    """What an axis says, from where to where, and where it is marked."""

    label: str
    low: float
    high: float
    ticks: Sequence[float]

    def place(self, value: float, start: float, stop: float) -> float:
        return start + (min(max(value, self.low), self.high) - self.low) / (self.high - self.low) * (stop - start)


class Row(NamedTuple):
    """A row of a forest: an estimate with its interval, or, without one, only what is said of it."""

    name: str
    said: str
    at: tuple[float, float, float] | None  # estimate, lo, hi
    head: bool = False


SHARE = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def line_chart(title: str, x: Axis, y: Axis, lines: Sequence[Line], guide: Sequence[tuple[float, float]] = ()) -> str:
    """Curves over one pair of axes, and their names below; ``guide`` is a thin line to hold them against."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    legend = bottom + _BOTTOM + 8
    parts = [_grid(x, y)]
    if guide:
        parts.append(f'<path class="guide" d="{_path(x, y, guide)}"/>')
    for i, line in enumerate(lines):
        every = zip(line.x.tolist(), line.y.tolist(), strict=True)
        points = [point for point in every if y.low <= point[1] <= y.high]  # what leaves the chart is not drawn
        parts.append(f'<path class="line s{i}" d="{_path(x, y, points)}"/>')
        if line.dots:
            parts += [f'<circle class="dot s{i}" cx="{a}" cy="{b}" r="3.5"/>' for a, b in _places(x, y, points)]
        at = legend + 18 * i
        parts.append(f'<path class="line s{i}" d="M{_LEFT} {at}h34"/>')
        parts.append(f'<text x="{_LEFT + 42}" y="{at + 4}">{escape(line.name)}</text>')
    height = legend + 18 * len(lines) - 4
    parts.append(f'<text class="label" x="{(_LEFT + right) / 2}" y="{bottom + 36}">{escape(x.label)}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text class="label" transform="translate(14 {middle}) rotate(-90)">{escape(y.label)}</text>')
    return _svg(title, height, parts)


def forest(title: str, axis: Axis, rows: Sequence[Row], reference: tuple[float, float, float]) -> str:
    """A row an estimate, its interval as a bar; the band is the interval of everybody together."""
    bottom = _TOP + _ROW * len(rows)
    start, stop = _NAMES, _WIDTH - 130
    centre, lo, hi = (round(axis.place(value, start, stop), 1) for value in reference)
    parts = [f'<rect class="band" x="{lo}" y="{_TOP}" width="{round(hi - lo, 1)}" height="{bottom - _TOP}"/>']
    for tick in axis.ticks:
        at = round(axis.place(tick, start, stop), 1)
        parts.append(f'<path class="grid" d="M{at} {_TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 16}">{tick:g}</text>')
    parts.append(f'<path class="guide" d="M{centre} {_TOP}V{bottom}"/>')
    for i, row in enumerate(rows):
        y = _TOP + _ROW * (i + 0.5)
        kind, indent = ("name head", 0) if row.head else ("name", 12)
        parts.append(f'<text class="{kind}" x="{indent}" y="{y + 4}">{escape(row.name)}</text>')
        parts.append(f'<text class="said" x="{_WIDTH - 2}" y="{y + 4}">{escape(row.said)}</text>')
        if row.at is not None:
            at, left, right = (round(axis.place(value, start, stop), 1) for value in row.at)
            parts.append(f'<path class="whisker" d="M{left} {y}H{right}M{left} {y - 4}v8M{right} {y - 4}v8"/>')
            parts.append(f'<rect class="mark" x="{round(at - 4, 1)}" y="{y - 4}" width="8" height="8"/>')
    parts.append(f'<text class="label" x="{(start + stop) / 2}" y="{bottom + 36}">{escape(axis.label)}</text>')
    return _svg(title, bottom + 44, parts)


def envelope(title: str, peaks: Floats, seconds: float) -> str:
    """A waveform by the loudest sample of each of its parts, above and below 0; peaks are in [0, 1]."""
    height, n = 64, peaks.size
    step = _WIDTH / n
    tops = [f"{round(i * step, 1)} {round(height / 2 * (1 - peak), 1)}" for i, peak in enumerate(peaks.tolist())]
    lows = [f"{round(i * step, 1)} {round(height / 2 * (1 + peak), 1)}" for i, peak in enumerate(peaks.tolist())]
    shape = f'<path class="wave" d="M{"L".join([*tops, *reversed(lows)])}Z"/>'
    said = f'<text class="tick" x="{_WIDTH - 2}" y="{height + 12}" style="text-anchor:end">{seconds:.1f} s</text>'
    return _svg(title, height + 16, [shape, '<text class="tick" x="8" y="76">0</text>', said])


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return "".join([head, *parts, "</svg>"])


def _grid(x: Axis, y: Axis) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for tick in x.ticks:
        at = round(x.place(tick, _LEFT, right), 1)
        parts.append(f'<path class="grid" d="M{at} {_TOP}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 16}">{tick:g}</text>')
    for tick in y.ticks:
        at = round(y.place(tick, bottom, _TOP), 1)
        parts.append(f'<path class="grid" d="M{_LEFT} {at}H{right}"/>')
        parts.append(f'<text class="tick y" x="{_LEFT - 6}" y="{at + 4}">{tick:g}</text>')
    return "".join(parts)


def _places(x: Axis, y: Axis, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    return [(round(x.place(a, _LEFT, right), 1), round(y.place(b, bottom, _TOP), 1)) for a, b in points]


def _path(x: Axis, y: Axis, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{a} {b}" for a, b in _places(x, y, points))
