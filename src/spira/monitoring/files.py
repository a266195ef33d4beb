"""A finding about a model in use as files: a page, its Markdown twin and JSON."""

from pathlib import Path

from pydantic import BaseModel

from spira.monitoring.page import Page
from spira.report.files import render, write_texts

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(page: Page, found: BaseModel, folder: Path, name: str) -> None:
    """Writes ``name.html``, ``name.md`` and ``name.json`` into a folder."""
    write_texts(
        {
            folder / f"{name}.html": render({"page": page}, TEMPLATE),
            folder / f"{name}.md": page.markdown(),
            folder / f"{name}.json": found.model_dump_json(indent=2) + "\n",
        }
    )
