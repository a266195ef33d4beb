"""release-check: the card -> nothing, or the fields that only a person can write and nobody has."""

from pathlib import Path

import click

from spira.base.errors import DataError


@click.command
def command() -> None:
    """Fail while a card lacks what only a person can write.

    The fields that only a person can write are in docs/card.yaml. The demo is never released: it is synthetic speech.

    \b
    Example:
      spira release-check

    Exit codes: 0 every field is written; 1 some are empty, which are named, or it is the demo.
    """
    from spira.base.params import load
    from spira.base.section import FolderName

    release_check(Path("docs/card.yaml"), load("corpus", FolderName))


def release_check(path: Path, corpus: str) -> None:
    """Raises DataError that names every empty field, and that refuses the demo.

    Args:
        path: docs/card.yaml.
        corpus: its name in params.yaml.
    """
    from spira.evaluation.origin import origin
    from spira.report.cards import card_of, unwritten
    from spira.report.files import read_card

    if origin(corpus) != corpus:
        raise DataError(f"{origin(corpus)}: cannot be released, whatever its card says")
    card = read_card(path)
    if empty := unwritten(card_of(card, corpus)):
        whose = f" (the card is of the corpus {card.corpus})" if card.corpus not in ("", corpus) else ""
        raise DataError(f"{path}: a person must write {', '.join(empty)} before this can be released{whose}")
    click.echo(f"{path}: complete")
