"""release-check: the card -> nothing, or the fields that only a person can write and nobody has."""

from pathlib import Path

import click

from spira.base.errors import DataError


@click.command
def command() -> None:
    """Fail while a card lacks what only a person can write.

    The fields that only a person can write are in docs/card.yaml.

    \b
    Example:
      spira release-check

    Exit codes: 0 every field is written; 1 some are empty, which are named.
    """
    release_check(Path("docs/card.yaml"))


def release_check(path: Path) -> None:
    """Raises DataError that names every empty field."""
    from spira.report.cards import unwritten
    from spira.report.files import read_card

    if empty := unwritten(read_card(path)):
        raise DataError(f"{path}: a person must write {', '.join(empty)} before this can be released")
    click.echo(f"{path}: complete")
