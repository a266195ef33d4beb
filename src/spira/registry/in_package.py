"""A program that runs by a package's own code, whatever version of it is checked out here: see ``scoring``.

Standard input: recordings of several kinds, ``{kind: {name: path}}``. Standard output: what each gets, in the same
form, and the package's golden recordings under ``golden``: a score, or the code of a refusal.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder / "code"))
    from spira.scorer.scorer import GOLDEN, Scorer

    asked = json.load(sys.stdin)
    with Scorer(folder, check=False) as scorer:  # who asks has held its files to their hashes
        found = {"golden": scorer.golden_answers(folder / GOLDEN)}
        for kind, recordings in asked.items():
            answers = {name: scorer.score(Path(path)) for name, path in recordings.items()}
            found[kind] = {name: one if isinstance(one, float) else one.code for name, one in answers.items()}
    json.dump(found, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
