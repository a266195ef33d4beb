"""corpus_changes: two revisions -> which clips were added, removed, relabelled, and whose they are.

``spira changes [BASE [HEAD]]``. BASE is HEAD unless given; without HEAD, it is compared with what
the last ``dvc repro`` made. Prints nothing where the clips are the same.
"""

import argparse
import sys
from pathlib import Path

from spira.base.errors import DataError, visible
from spira.base.program import exit_on_error
from spira.compare.corpus_versions import changes_between, locked, locked_now
from spira.compare.revision import resolve


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m spira.commands.changes", description="What changed in the corpus.")
    parser.add_argument("base", nargs="?", default="HEAD")
    parser.add_argument("head", nargs="?", help="default: what the last dvc repro made")
    asked = parser.parse_args(arguments)
    root = Path.cwd()
    if not (root / "dvc.yaml").is_file():
        raise DataError(f"{root}: no dvc.yaml here; run from the repository's root")
    head = locked(resolve(root, asked.head)) if asked.head else locked_now(root)
    if text := changes_between(root, locked(resolve(root, asked.base)), head):
        print(visible(text, lines=True))


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:])
