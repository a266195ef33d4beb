"""A program that runs by a package's own code, whatever version of it is checked out here: see ``scoring``.

Standard input: recordings of several kinds, ``{kind: {name: path}}``. Standard output: what each gets, in the same
form, and the package's golden recordings under ``golden``: a score, or the code of a refusal. Under ``cost`` are
``seconds``, the median over recordings of the CPU time for one, its decoding left out, and ``megabytes``, the most
memory that the process had.
"""

import json
import resource
import sys
import time
from pathlib import Path
from statistics import median


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder / "code"))
    from spira.scorer.scorer import GOLDEN, Scorer

    asked = json.load(sys.stdin)
    with Scorer(folder, check=False) as scorer:  # who asks has held its files to their hashes
        found = {"golden": scorer.golden_answers(folder / GOLDEN)}
        seconds = []
        for kind, recordings in asked.items():
            found[kind] = {}
            for name, path in recordings.items():
                before = time.process_time()  # of this process, and not of its decoders
                one = scorer.score(Path(path))
                found[kind][name] = one if isinstance(one, float) else one.code
                if isinstance(one, float):
                    seconds.append(time.process_time() - before)
        if seconds:
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
            found["cost"] = {"seconds": median(seconds), "megabytes": most}
    json.dump(found, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
