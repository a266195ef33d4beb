"""release-check: the card -> nothing, or the fields that only a person can write and nobody has.

``python -m spira.release_check``: exit 1 while docs/card.yaml has an empty field.
"""

from pathlib import Path

from spira.core.cards import unwritten
from spira.errors import DataError, told
from spira.stages.report import read_card


def release_check(path: Path) -> None:
    """Raises DataError that names every empty field."""
    if empty := unwritten(read_card(path)):
        raise DataError(f"{path}: a person must write {', '.join(empty)} before this can be released")
    print(f"{path}: complete")


if __name__ == "__main__":
    with told():
        release_check(Path("docs/card.yaml"))
