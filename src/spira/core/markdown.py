"""Markdown that GitHub shows as it is meant, whatever the words in it."""

import re
from collections.abc import Mapping, Sequence
from html import escape, unescape
from typing import Any

from spira.core.metrics import Floats

COLOURS = ("#4c78a8", "#e45756")  # base, head


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; a cell cannot break out of it."""
    if not rows:
        return "Nothing changed."
    lines = [head, ["---"] * len(head), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def cell(value: object) -> str:
    """One line, no markup of its own, and nobody is notified."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;").replace("@", "&#64;")


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


def html(text: str) -> str:
    """HTML of the Markdown that this repository writes: paragraphs, tables, **bold** and `code`, and nothing else.

    A verdict in bold is a badge, and an estimate with its interval stays on one line.
    """
    blocks = [block for block in text.strip().split("\n\n") if block]
    return "\n".join(
        _table(block.splitlines()) if block.startswith("|") else f"<p>{_inline(block)}</p>" for block in blocks
    )


def _table(lines: Sequence[str]) -> str:
    head, _, *rows = ([_inline(part.strip()) for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    top = "".join(f'<th scope="col">{part}</th>' for part in head)
    body = "".join(f"<tr>{''.join(f'<td>{part}</td>' for part in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _inline(text: str) -> str:
    safe = escape(unescape(text.replace("\\|", "|")))
    safe = re.sub(r"\*\*(pass|warn|fail)\*\*", r'<strong class="badge \1">\1</strong>', safe)
    safe = re.sub(r"[-+]?[\d.]+ \[[^\]]+\]", r'<span class="estimate">\g<0></span>', safe)  # never broken over lines
    safe = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", safe)
