"""A program that runs by a package's own code, whatever version of it is checked out here: see ``scoring``.

Standard input: ``{"recordings": {name: path}}``. Standard output: what the package answers, and what its golden
recordings and those get, as ``{"golden": ..., "scores": ...}``, each a score or the code of a refusal.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder / "code"))
    from spira.scorer.scorer import GOLDEN, Scorer

    recordings = json.load(sys.stdin)["recordings"]
    with Scorer(folder, check=False) as scorer:  # who asks has held its files to their hashes
        golden = scorer.golden_answers(folder / GOLDEN)
        answers = {name: scorer.score(Path(path)) for name, path in recordings.items()}
    scores = {name: one if isinstance(one, float) else one.code for name, one in answers.items()}
    json.dump({"golden": golden, "scores": scores}, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
