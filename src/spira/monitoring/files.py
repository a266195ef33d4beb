"""A finding about a model in use as files: a page, its Markdown twin and JSON."""

import sys
from pathlib import Path

from pydantic import BaseModel

from spira.base.errors import visible
from spira.monitoring.page import Page
from spira.report.files import render, write_texts

TEMPLATE = Path(__file__).with_name("page.html")


def delivered(page: Page, found: BaseModel, folder: Path | None, name: str, *, as_json: bool) -> str:
    """What a command prints, the Markdown or one line of JSON; where a folder is given, the files are written too."""
    if folder:
        _write(page, found, folder, name)
        print(f"{folder / name}.html: for people; {name}.md and {name}.json beside it", file=sys.stderr)
    return f"{found.model_dump_json()}\n" if as_json else visible(page.markdown(), lines=True)


def _write(page: Page, found: BaseModel, folder: Path, name: str) -> None:
    write_texts(
        {
            folder / f"{name}.html": render({"page": page}, TEMPLATE),
            folder / f"{name}.md": page.markdown(),
            folder / f"{name}.json": found.model_dump_json(indent=2) + "\n",
        }
    )
