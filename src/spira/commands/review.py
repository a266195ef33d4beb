"""review: two revisions -> what changed in data, parameters and metrics, as a reviewer reads it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spira.base.errors import visible
from spira.repository.git import repository_root

if TYPE_CHECKING:
    from spira.compare.sides import Comparison


@click.command
@click.argument("base")
@click.argument("head", default="HEAD")
@click.option("--check", is_flag=True, help="Exit with 1 where HEAD's dvc.lock is stale, or a file cannot be read.")
@click.option("--fetch", is_flag=True, help="Bring missing predictions and curves from DVC's remote.")
@click.option("--plots", type=Path, metavar="FOLDER", help="Draw the curves of both there, as PNG files.")
def command(base: str, head: str, *, check: bool, fetch: bool, plots: Path | None) -> int:
    """Report what changed between two commits, for their reviewer.

    BASE and HEAD (unless given: the last commit) are commits, branches or experiments' names. Markdown, with the
    verdict first. The working tree is not read. The workflow `metrics` posts it on a pull request.

    \b
    Example:
      spira review main

    Exit codes: 0 done, whatever changed; 1 one of the two cannot be read, or --check found something.
    """
    from spira.registry.reviewed import reviewed

    root = repository_root()
    text, pair, stale = reviewed(root, base, head, from_remote=fetch)
    if plots:
        draw(pair, plots)
    click.echo(visible(text, lines=True), nl=False)
    return int(check and bool(stale or pair.head.refused))


def draw(pair: "Comparison", folder: Path) -> None:
    """The curves of both sides, a PNG file each."""
    from spira.compare.plots import drawings
    from spira.plots.png import write_png

    for name, chart in drawings(pair).items():
        write_png(chart, folder / name)
