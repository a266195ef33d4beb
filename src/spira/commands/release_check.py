"""release-check: the card -> nothing, or the fields that only a person can write and nobody has.

``spira release-check``: exit 1 while docs/card.yaml has an empty field.
"""

from pathlib import Path

from spira.base.errors import DataError
from spira.base.program import exit_on_error
from spira.report.cards import unwritten
from spira.report.files import read_card


def release_check(path: Path) -> None:
    """Raises DataError that names every empty field."""
    if empty := unwritten(read_card(path)):
        raise DataError(f"{path}: a person must write {', '.join(empty)} before this can be released")
    print(f"{path}: complete")


if __name__ == "__main__":
    with exit_on_error():
        release_check(Path("docs/card.yaml"))
