"""compare: two commits or experiments -> which is better, by their predictions of the same clips.

``spira compare A B``: Markdown on stdout. A difference is B less A. It reads git and DVC's cache, never the
working tree; ``spira review`` says what else changed between the two.
"""

import argparse
import sys
from pathlib import Path

from spira.base.errors import visible
from spira.base.program import exit_on_error
from spira.commands.review import compare, side
from spira.compare.review import heading, of_corpus, refused, verdict_and_metrics
from spira.compare.revision import resolve


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m spira.commands.compare", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("a", help="a commit, a branch or an experiment's name: the base")
    parser.add_argument("b", help="another: the head")
    parser.add_argument("--fetch", action="store_true", help="bring missing predictions from DVC's remote")
    asked = parser.parse_args(arguments)
    base, head = (side(resolve(Path.cwd(), name), from_remote=asked.fetch) for name in (asked.a, asked.b))
    compared = compare(base, head)
    parts = [heading(compared), of_corpus(compared), refused(compared), verdict_and_metrics(compared)]
    sys.stdout.write(visible("\n\n".join(filter(None, parts)) + "\n", lines=True))


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:])
