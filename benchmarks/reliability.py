"""The long form of what the suite tries briefly: recordings, corpora, splits, disks and kills; `make reliability`.

Writes each figure into docs/explanation/reliability.json and the table of reliability.md beside it, with the commit and
the processor; exit status 1 where a promise is broken. About 25 minutes on two cores. Names of checks are arguments:
those alone run.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from bad_audio import ACCEPTED, CLASSES, crafted, mutated
from bad_params import WRONG
from damage import Row, bits, faults
from decoded import LIMITS, Outcome, outcome
from determinism import determinism
from figures import Figure, here, renew, row
from killed_experiments import resumed
from kills import KINDS, killed
from measuring import children_seconds
from spira.base.errors import DataError
from spira.clips.parallel import n_cores, ordered_map
from spira.ingest.corpus import read_corpus
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Lost
from spira.split.holdout import SplitParams, split

N_MUTATIONS, N_CORPORA, N_ROWS = 10_000, 1000, 1_000_000


def measured(path: Path) -> tuple[Outcome, float, int]:
    """What becomes of a file, core seconds, and megabytes at the most so far; the file is removed."""
    before = process_time()
    became = outcome(path)
    if path.is_file() and not path.is_symlink():
        path.unlink()
    return became, process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def tried(files: Iterator[Path]) -> tuple[list[Outcome | Lost], float, int]:
    """What became of each, the longest core time of one, the most memory of a worker."""
    all_: list[Outcome | Lost] = []
    seconds, megabytes = 0.0, 0
    with Guard(measured, LIMITS, n_cores()) as guard:
        for result in ordered_map(guard, files, n_cores()):
            if isinstance(result, Failed):
                raise DataError(f"a worker {result.reason}")
            if isinstance(result, Lost):
                all_.append(result)
                continue
            became, took, most = result
            all_.append(became)
            seconds, megabytes = max(seconds, took), max(megabytes, most)
    return all_, seconds, megabytes


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def bad_files(folder: Path) -> Row:
    os.environ["PATH"] = str(folder)  # no ffmpeg
    files = list(crafted())
    results, seconds, megabytes = tried(file.write(folder / str(i)) for i, file in enumerate(files))
    wrong = [f.name for f, r in zip(files, results, strict=True) if isinstance(r, Lost) or r.code not in f.may]
    good = [r for f, r in zip(files, results, strict=True) if f.may == {ACCEPTED}]
    lost = sum(isinstance(r, Lost) or r.code != ACCEPTED for r in good)
    figure = f"{len(files)} files in {len(CLASSES)} classes: {len(wrong)} wrong, {lost} of {len(good)} good ones lost"
    return "bad recordings", f"{figure}; {seconds:.2f} s and {megabytes} MB at the most", not wrong and not lost


def mutations(folder: Path) -> Row:
    seed = int(os.environ.get("SEED", "0"))
    results, seconds, megabytes = tried(written(folder, *file) for file in mutated(N_MUTATIONS, seed))
    lost = [r for r in results if isinstance(r, Lost)]
    codes = Counter(r.code for r in results if isinstance(r, Outcome))
    figure = f"{len(results)} files: {len(lost)} crashes or hangs, {codes[ACCEPTED]} accepted within the limits"
    return "mutations of good recordings", f"{figure}; {seconds:.2f} s and {megabytes} MB at the most", not lost


def many_rows(folder: Path) -> Row:
    lines = (f"w/{i}.wav,{('control', 'patient')[i % 2]},s{i // 4 * 2 + i % 2}\n" for i in range(N_ROWS))
    (folder / "metadata.csv").write_text("file_path,label,speaker_id\n" + "".join(lines))
    before = process_time()
    n_rows = len(read_corpus(folder))
    return "a long metadata.csv", f"{n_rows} rows read in {process_time() - before:.0f} s", n_rows == N_ROWS


def splits(_: Path) -> Row:
    rng = np.random.default_rng(0)
    moved = leaked = 0
    for _corpus in range(N_CORPORA):
        p = SplitParams(scheme="holdout", folds=("holdout",), seed=int(rng.integers(1000)), validation=0.2, test=0.25,
                        min_speakers=1)  # fmt: skip
        n = int(rng.integers(60, 200))
        speakers = [f"s{i}" for i in rng.integers(n, size=4 * n)]
        labels = [int(speaker[1:]) % 2 for speaker in speakers]
        chosen = split(speakers, labels, [""] * len(speakers), p)
        leaked += len(set(zip(speakers, chosen, strict=True))) - len(set(speakers))
        more = [*speakers, *(f"new{i}" for i in range(int(rng.integers(1, 100))))]
        after = split(more, [*labels, *[0] * (len(more) - len(labels))], [""] * len(more), p)
        moved += chosen != after[: len(chosen)]
    figure = f"{N_CORPORA} corpora: {leaked} speakers in two subsets, {moved} corpora in which a new speaker moved one"
    return "splits", figure, not leaked and not moved


def bad_params(folder: Path) -> Row:
    """Each by the command that a stage is, from its start to its message."""
    slowest, accepted = 0.0, 0
    environment = {**os.environ, "PYTHONPATH": str(Path("src").absolute())}
    for _, text in WRONG:
        written(folder, "params.yaml", text if isinstance(text, bytes) else text.encode())
        before = children_seconds()
        check = [sys.executable, "-m", "spira.stages.check"]
        done = subprocess.run(check, cwd=folder, env=environment, check=False, capture_output=True, text=True)
        slowest = max(slowest, children_seconds() - before)
        accepted += done.returncode != 1 or not done.stderr.startswith("ParamError")
    figure = f"{len(WRONG)} files: {accepted} accepted; at most {slowest:.2f} s each, the command's start included"
    return "bad params.yaml", figure, not accepted and slowest < 1


def kills(folder: Path) -> Row:
    seed, n_kills = int(os.environ.get("SEED", "0")), int(os.environ.get("KILLS", "20"))
    tally = killed(folder, n_kills, KINDS, seed)
    return "killed anywhere", str(tally), tally.kept


def orphans(folder: Path) -> Row:
    seed, n_kills = int(os.environ.get("SEED", "0")), int(os.environ.get("KILLS", "20"))
    tally = killed(folder, n_kills, ["dvc"], seed + 1)
    return "no orphans", str(tally), tally.kept


def resumes(folder: Path) -> Row:
    ways = resumed(folder)
    failed = [way for way, went_on in ways.items() if not went_on]
    return "training goes on", f"under {len(ways) - len(failed)} of {', '.join(ways)}", not failed


CHECKS: dict[str, Callable[[Path], Row]] = {
    check.__name__: check
    for check in (
        *(bad_files, mutations, bad_params, many_rows, splits, determinism),
        *(faults, bits, kills, orphans, resumes),
    )
}


def main() -> None:
    names = sys.argv[1:] or list(CHECKS)
    if unknown := set(names) - set(CHECKS):
        sys.exit(f"no checks: {', '.join(sorted(unknown))}; known: {', '.join(CHECKS)}")
    broken, (commit, processor) = False, here()  # before the first figure is written
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            promise, figure, kept = CHECKS[name](Path(folder))
        found = Figure(promise=promise, figure=figure, kept=kept, commit=commit, processor=processor)
        print(row(found), flush=True)
        renew(name, found)
        broken |= not kept
    sys.exit(broken)


if __name__ == "__main__":
    main()
