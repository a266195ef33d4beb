"""What a report is made of: sections of paragraphs, tables and figures; shown as HTML or as Markdown.

A line is text in parts. A plain string is only text, whatever characters it has; the other kinds say how a part is
shown. Nothing here is parsed: each kind has its HTML and its Markdown.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from spira.base.errors import visible
from spira.evaluation.markdown import Marked, code, inert, table


class Code(str):
    """A name as it is typed."""


class Strong(str):
    """A word that stands out."""


class Badge(Strong):
    """The verdict of a probe."""


class Unbroken(str):
    """An estimate with its interval, on one line."""


Line = str | Sequence[str]  # one part, or several


class Table(NamedTuple):
    """A table; ``otherwise`` stands in its place where it has no rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[Line]]
    otherwise: Line = ""


class Figure(NamedTuple):
    """A drawing and the sentence that explains how to read it; Markdown goes without it."""

    svg: str
    caption: str


class Section(NamedTuple):
    """A part of the report under its own heading."""

    id: str
    title: str
    blocks: Sequence[Line | Table]
    figures: Sequence[Figure] = ()
    model: str = ""  # whose numbers these are, where they are of one model

    @property
    def heading(self) -> Line:
        """The title, and the model's name."""
        return (self.title, ": ", Code(self.model)) if self.model else self.title


def sentence(text: str) -> tuple[str, ...]:
    """The parts of a sentence that another stage wrote: names between backticks, estimates with their intervals."""
    parts = re.split(r"(`\w[\w .,:/-]*`|[-+]?[\d.]+ \[[-+\d., ]+\])", text)  # every second is one or the other
    return tuple(_marked(part) if i % 2 else part for i, part in enumerate(parts) if part)


def _marked(part: str) -> str:
    return Code(part[1:-1]) if part.startswith("`") else Unbroken(part)


def html(line: Line) -> Markup:
    """The line as HTML: every part is escaped."""
    return Markup("").join(map(_html, _parts(line)))


def _html(part: str) -> Markup:
    text = escape(visible(part))
    match part:
        case Code():
            return Markup("<code>{}</code>").format(text)
        case Badge():
            return Markup('<strong class="badge {0}">{0}</strong>').format(text)
        case Strong():
            return Markup("<strong>{}</strong>").format(text)
        case Unbroken():
            return Markup('<span class="estimate">{}</span>').format(text)
    return text


def markdown(sections: Sequence[Section]) -> str:
    """The sections as Markdown, each under a heading of the second level."""
    blocks = [
        text
        for section in sections
        for text in (f"## {markdown_line(section.heading)}", *map(markdown_block, section.blocks))
    ]
    return "\n\n".join(blocks)


def markdown_block(block: Line | Table) -> str:
    """A paragraph or a table as Markdown, in which text is inert."""
    if not isinstance(block, Table):
        return markdown_line(block)
    if not block.rows:
        return markdown_line(block.otherwise)
    return table(block.head, [[markdown_line(cell) for cell in row] for row in block.rows])


def markdown_line(line: Line) -> Marked:
    """The line as Markdown, in which text is inert."""
    return Marked("".join(map(_markdown, _parts(line))))


def _markdown(part: str) -> str:
    match part:
        case Code():
            return code(part)
        case Strong():
            return f"**{inert(part)}**"
    return f"{' ' * part.startswith(' ')}{inert(part, len(part))}{' ' * part.endswith(' ')}" if part.strip() else part


def _parts(line: Line) -> Sequence[str]:
    return (line,) if isinstance(line, str) else line
