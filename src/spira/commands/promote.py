"""promote: this commit's package -> the champion, if the gate passes it."""

from typing import Literal

import click

from spira.base import arithmetic
from spira.repository.git import repository_root


@click.command
@click.option("--stage", type=click.Choice(["champion", "challenger"]), default="champion", show_default=True)
@click.option("--why", required=True, help="Why it is promoted, in a sentence that is kept.")
@click.option("--by", help="Who promotes it; unless given, whom git takes for the maker of a tag.")
@click.option("--remote", default="origin", show_default=True, help="The git remote that has the registry's tags.")
def command(*, stage: Literal["champion", "challenger"], why: str, by: str | None, remote: str) -> None:
    """Make this commit's package the champion.

    The gate runs first. Then the bytes of this revision are sent to DVC's remote and the package is read back, and
    last two tags go to the git remote, with the gate's record, by whom and why. If it is killed, the same command
    finishes it; where somebody else was faster, nothing is promoted.

    \b
    Example:
      spira promote --why "trained on the recordings of May"

    Exit codes: 0 it is in use, or was already; 1 the gate refuses it, or bytes or tags could not be sent.
    """
    root = repository_root()
    arithmetic.settle()  # before NumPy is imported
    from spira.registry.promotion import Asked, promote, whoever

    click.echo(promote(Asked(root, remote, stage, by or whoever(root), why)))
