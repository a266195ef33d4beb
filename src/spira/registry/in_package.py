"""A program that runs by a package's own code, whatever version of it is checked out here: see ``scoring``.

Standard input: recordings of several kinds, ``{kind: {name: where}}``, where is a path, or for a member of a tar shard
``[name, tar, offset, n_bytes, sha256]``. Standard output: what each gets, in the same form, and the package's golden
recordings under ``golden``: a score, or the code of a refusal. Under ``cost`` are ``seconds``, the median over
recordings of the CPU time for one, its decoding left out, and ``megabytes``, the most memory that the process had.
"""

import json
import resource
import sys
import time
from hashlib import sha256
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
            for name, where in recordings.items():
                recording = Path(where) if isinstance(where, str) else member(*where)
                before = time.process_time()  # of this process, and not of its decoders
                one = scorer.score(recording)
                found[kind][name] = one if isinstance(one, float) else one.code
                if isinstance(one, float):
                    seconds.append(time.process_time() - before)
        if seconds:
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
            found["cost"] = {"seconds": median(seconds), "megabytes": most}
    json.dump(found, sys.stdout, allow_nan=False)


def member(_: str, tar: str, offset: int, n_bytes: int, digest: str) -> bytes:
    """The content of a member: every version of a package scores bytes, and not every one knows of tar shards."""
    with Path(tar).open("rb") as file:
        file.seek(offset)
        content = file.read(n_bytes)
    if sha256(content).hexdigest() != digest:
        sys.exit(f"{tar}: bytes {offset} to {offset + n_bytes} are not those that were packed; copy the tar again")
    return content


if __name__ == "__main__":
    main()
