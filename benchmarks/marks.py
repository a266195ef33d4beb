"""Figures on a page: between two marks, so that every other line is a person's."""

from pathlib import Path

_END = "<!-- end -->"


def renew(page: Path, name: str, text: str) -> None:
    """Puts the text between ``<!-- name -->`` and the ``<!-- end -->`` behind it.

    Raises:
        ValueError: the page does not have that mark once, with an end behind it.
    """
    before, first, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, last, after = rest.partition(_END)
    if not last or first in after:
        raise ValueError(f"{page}: must have <!-- {name} --> once, and {_END} behind it")
    page.write_text(f"{before}{first}{text}{last}{after}", encoding="utf-8")
