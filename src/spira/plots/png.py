"""A chart -> a PNG file, without a browser or a network; the same bytes whatever fonts a machine has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import vl_convert

from spira.base.files import write_bytes
from spira.plots.charts import Chart, spec

_PIXELS_A_POINT = 1.5
_MARGIN = 10  # points on every side, beside those of the chart


def write_png(chart: Chart, path: Path) -> None:
    """The chart on white."""
    whole = spec(chart)
    padding = {side: _MARGIN + whole.get("padding", {}).get(side, 0) for side in ("left", "top", "right", "bottom")}
    with _no_fonts_but_its_own():
        framed = {**whole, "background": "white", "padding": padding}
        png = vl_convert.vegalite_to_png(framed, scale=_PIXELS_A_POINT)
    write_bytes(png, path)


@contextmanager
def _no_fonts_but_its_own() -> Iterator[None]:
    """vl-convert prefers a machine's Liberation Sans, of any version, to the one that it brings.

    It looks for fonts once in a process, before its first chart, where Fontconfig's settings send it: here, nowhere.
    """
    before = os.environ.get("FONTCONFIG_FILE")
    with TemporaryDirectory() as folder:
        settings = Path(folder) / "fonts.conf"
        settings.write_text("<fontconfig><dir>/nonexistent</dir></fontconfig>", encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(settings)
        try:
            yield
        finally:
            del os.environ["FONTCONFIG_FILE"]
            if before is not None:
                os.environ["FONTCONFIG_FILE"] = before
