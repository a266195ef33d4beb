"""Markdown that GitHub shows as it is meant, whatever the words in it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spira.base.array_types import Floats
from spira.base.errors import visible

COLOURS = ("#4c78a8", "#e45756")  # base, head
_LONGEST = 600  # characters of a text that somebody else may have written
_PLAIN = r"\w[\w .,:;/+=()%@-]{0,200}"  # what a code span shows as it is
_CODE = re.compile(rf"(`{_PLAIN}`)(?=[\s.,:;()]|$)")
_ACTIVE = re.compile(
    r"[\\`*~<|$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word it is a letter
    r"|!(?=\[)|\[(?=\^)|\](?=[(\[])"  # pictures, footnotes, links
    r"|&(?=#?\w+;)|:(?=[a-z+-][\w+-]*:)"  # entities, emoji
    r"|@|#(?=\d)|(?i:(?<=\bgh)-(?=\d))|:(?=//)|(?i:(?<=\bwww)\.)"  # mentions, references, addresses
    r"|^(?:[#>]|[+-](?=\s|$)|[=-](?=[=-])|\d+(?=[.)](?:\s|$)))"  # headings, quotations, lists, rules
    r"|^\[(?=[^\]]*\]:|[ xX]\])"  # where links lead, boxes to tick
)
_WRITTEN = {"<": "&lt;", "&": "&amp;", "|": "\\|"}
_FOUND_LATER = "@#-:."  # by GitHub, in what was rendered; a space of no width stands behind them


class Marked(str):
    """Markdown of our own making, which a table takes as it is; any other cell is made inert."""


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; a cell cannot break out of it."""
    if not rows:
        return "Nothing changed."
    lines = [[cell(name) for name in head], ["---"] * len(head), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def cell(value: object) -> str:
    """Our own Markdown as it is, anything else inert."""
    return value if isinstance(value, Marked) else inert(value)


def inert(value: object, longest: int = _LONGEST) -> str:
    """One line that shows the characters of a text that anybody may have written, and does nothing else.

    It has no markup of its own but `code` around plain words, links nowhere, draws nothing, notifies nobody, refers to
    no issue, and ends where its cell or line ends. What a terminal would act on is shown as its escape.

    Source:
        GitHub Flavored Markdown: entities are never markup. Mentions and references are found afterwards, in what was
        rendered, so a space of no width stands in them.
    """
    text = visible(" ".join(str(value).split()))
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text)} characters)"
    parts = _CODE.split(text)  # every second is a code span
    return "".join(part if i % 2 else _ACTIVE.sub(_entity, part) for i, part in enumerate(parts))


def code(value: object) -> str:
    """A name as a code span, where it can be shown in one; else inert."""
    text = str(value)
    return f"`{text}`" if re.fullmatch(_PLAIN, text) else inert(text)


def _entity(found: re.Match[str]) -> str:
    char = found[0][0]
    entity = _WRITTEN.get(char) or f"&#{ord(char)};"
    return entity + ("&#8203;" if char in _FOUND_LATER else "") + found[0][1:]


def chart(title: str, x: str, y: str, last_x: int, lines: Mapping[str, Floats]) -> str:
    """A mermaid chart of lines over 0, ..., last_x in equal steps; the first is base's blue, the second head's red.

    Mermaid spreads a line's points evenly over the axis, so all have as many; its charts have no legend of their own.
    """
    top = max(float(line.max()) for line in lines.values())
    palette = ", ".join(COLOURS)
    drawn = [f"    line [{', '.join(map(_number, line))}]" for line in lines.values()]
    return "\n".join(
        [
            "```mermaid",
            f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
            "xychart-beta",
            f'    title "{title}"',
            f'    x-axis "{x}" 0 --> {last_x}',
            f'    y-axis "{y}" 0 --> {_number(top)}',
            *drawn,
            "```",
        ]
    )


def _number(value: float) -> str:
    """Without an exponent, which mermaid cannot read."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
