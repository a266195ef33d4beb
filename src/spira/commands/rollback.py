"""rollback: the champion -> withdrawn, and the one before it in use again."""

from typing import Literal

import click

from spira.base import arithmetic
from spira.repository.git import repository_root


@click.command
@click.argument("version", required=False)
@click.option("--stage", type=click.Choice(["champion", "challenger"]), default="champion", show_default=True)
@click.option("--why", required=True, help="Why it is withdrawn, in a sentence that is kept.")
@click.option("--by", help="Who withdraws it; unless given, whom git takes for the maker of a tag.")
@click.option("--remote", default="origin", show_default=True, help="The git remote that has the registry's tags.")
def command(
    *, version: str | None, stage: Literal["champion", "challenger"], why: str, by: str | None, remote: str
) -> None:
    """Withdraw the champion; the one before it is in use again.

    That one is brought and must answer its golden recordings first. VERSION is the one to withdraw: with it the
    command may be repeated; without it, the one in use is withdrawn.

    \b
    Example:
      spira rollback v0.0.2 --why "refuses recordings of the new phones"

    Exit codes: 0 the one before is in use, or was already; 1 there is none, or it does not work, or tags could not be
    sent.
    """
    root = repository_root()
    arithmetic.settle()  # for the process that scores
    from spira.registry.promotion import Asked, rollback, whoever

    click.echo(rollback(Asked(root, remote, stage, by or whoever(root), why), version))
