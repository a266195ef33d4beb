"""A chart -> SVG that a page holds by itself: in the page's colours, its text selectable, without ids."""

import re
from xml.etree import ElementTree as ET

import vl_convert

from spira.plots.charts import COLOURS, Chart, spec

_KEPT = {
    *("d", "transform", "x1", "x2", "y1", "y2", "width", "height", "text-anchor", "font-size", "font-weight"),
    *("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity"),
}
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}


def svg(chart: Chart) -> str:
    """The chart as one ``<svg>`` element with a label; the page's style gives it its font and, by variable, colours."""
    whole = spec(chart)
    drawn = ET.fromstring(vl_convert.vegalite_to_svg({**whole, "background": None}))
    label = {"viewBox": drawn.attrib["viewBox"], "role": "img", "aria-label": whole["description"]}
    _reduce(drawn)
    drawn.attrib = label
    return ET.tostring(drawn, encoding="unicode")


def _reduce(element: ET.Element) -> None:
    """Without what cannot be seen and without Vega's own names; numbers to a hundredth of a pixel."""
    element.tag = element.tag.rpartition("}")[2]
    element.attrib = {name: _written(value) for name, value in element.attrib.items() if name in _KEPT}
    for child in list(element):
        _reduce(child)
        empty = child.tag == "g" and not len(child)
        if empty or (child.tag == "path" and not {"fill", "stroke"} & child.attrib.keys()):
            element.remove(child)


def _written(value: str) -> str:
    short = re.sub(r"-?\d+\.\d{3,}(?:e-\d+)?", lambda found: f"{round(float(found[0]), 2):g}", value)
    return _VARIABLES.get(value, short)
