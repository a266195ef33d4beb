"""A finding about a model in use as people read it: a page, its Markdown twin and JSON, from one set of sections."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from spira.report.blocks import Line, Section, markdown, markdown_line

Level = Literal["pass", "warn", "fail"]


class Page(NamedTuple):
    """What is shown."""

    title: str
    origin: str  # a sentence: of which model, and when
    level: Level  # the colour of the verdict
    verdict: str
    why: Line
    sections: Sequence[Section]

    def markdown(self) -> str:
        """All of it but the figures."""
        head = f"# {markdown_line(self.title)}\n\n{markdown_line(self.origin)} Research, not a diagnosis."
        return f"{head}\n\n**{self.verdict}**: {markdown_line(self.why)}\n\n{markdown(self.sections)}\n"
