"""The processes of a training: who starts the others, who speaks, and that all end together."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from spira.base.errors import ParamError
from spira.training.rank_place import ALONE, Place, place_in
from tiny import ROOT
from tiny_features import N_EPOCHS, write_features

# A stage that loads no torch, so that its ranks start in a moment.
STAGE = '''"""train: nothing -> nothing."""

if __name__ == "__main__":
    from spira.base.stage_process import begin_stage

    begin_stage()
    from spira.training.rank_processes import begin_rank

    begin_rank()

import os
import sys
import time
from pathlib import Path

from spira.base.errors import DataError, MachineError
from spira.training.rank_processes import as_rank

if __name__ == "__main__":
    with as_rank() as place:
        Path(f"{place.rank}.part").write_text(str(os.getpid()))
        Path(f"{place.rank}.part").rename(f"{place.rank}.pid")
        print(f"rank {place.rank} of {place.n}", flush=True)
        print(f"a warning of rank {place.rank}", file=sys.stderr)
        while len(list(Path().glob("*.pid"))) < place.n:
            time.sleep(0.02)
        if sys.argv[1] == "wait":
            time.sleep(60)
        if sys.argv[1] == "same":
            time.sleep(0.1 if place.rank == 0 else 0)
            raise DataError("the loss became nan")
        if sys.argv[1] == "other" and place.rank == 2:
            raise TypeError("rank two's own")
        if sys.argv[1] == "other":  # as a rank does that waits for one that is gone
            raise MachineError("another rank is gone")
'''
ENDS_WITHIN = 10.0  # seconds


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the stage runs; none of its processes outlives the test, which fails where one would have."""
    (tmp_path / "train.py").write_text(STAGE)
    yield tmp_path
    left = [pid for pid in pids(tmp_path).values() if is_alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def pids(folder: Path) -> dict[int, int]:
    """The process of each rank that has begun."""
    return {int(path.stem): int(path.read_text()) for path in folder.glob("*.pid")}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def variables(**changes: str) -> dict[str, str]:
    """The environment, with nothing in it that says who is which rank."""
    ours = re.compile("SPIRA_RANK|DVC_|RANK|WORLD_SIZE|LOCAL_|MASTER_|SPIRA_CHECKPOINTS|PYTEST")
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return kept | {"PYTHONPATH": str(ROOT / "src")} | changes


def started(folder: Path, *command: str, **changes: str) -> "subprocess.Popen[str]":
    environment, pipe = variables(TMPDIR=str(folder), **changes), subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, text=True, stdout=pipe, stderr=pipe
    )


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


@pytest.mark.parametrize("n", [1, 2, 4])
def test_only_the_first_rank_speaks(folder: Path, n: int) -> None:
    """As many processes as are asked for; in the end all of them are gone, and the exit status is the first's."""
    stage = started(folder, "train.py", "end", SPIRA_RANKS=str(n))
    said, complaints = stage.communicate(timeout=60)
    assert (stage.returncode, said, complaints) == (0, f"rank 0 of {n}\n", "a warning of rank 0\n")
    assert sorted(pids(folder)) == [*range(n)]


def test_an_error_that_all_ranks_meet_is_said_once(folder: Path) -> None:
    """The others end before the first; the sentence is the stage's own."""
    stage = started(folder, "train.py", "same", SPIRA_RANKS="4")
    _, complaints = stage.communicate(timeout=60)
    assert stage.returncode == 1
    assert complaints.splitlines() == ["a warning of rank 0", "DataError: the loss became nan"]


def test_an_error_of_one_rank_ends_all_with_its_words(folder: Path) -> None:
    """Those that only lost it are not named."""
    stage = started(folder, "train.py", "other", SPIRA_RANKS="4")
    assert eventually(lambda: len(pids(folder)) == 4)
    begun = time.monotonic()
    _, complaints = stage.communicate(timeout=60)
    assert time.monotonic() - begun < ENDS_WITHIN
    assert stage.returncode == 1
    assert "DataError: rank 2 of 4 ended with status 1, so all end; the same command goes on" in complaints
    assert complaints.splitlines()[-1] == "TypeError: rank two's own"
    assert "rank 1" not in complaints
    assert "rank 3" not in complaints


@pytest.mark.parametrize(
    ("victim", "number", "status", "words"),
    [
        (
            1,
            signal.SIGKILL,
            1,
            r"^DataError: rank 1 of 4 was killed by signal 9 \(Killed\), so all end; the same command",
        ),
        (
            3,
            signal.SIGSEGV,
            1,
            r"^DataError: rank 3 of 4 was killed by signal 11 \(Segmentation fault\), so all end; the same command",
        ),
        (0, signal.SIGKILL, -signal.SIGKILL, "^$"),
        (0, signal.SIGTERM, 143, "^$"),
        (0, signal.SIGINT, 130, "^$"),
    ],
)
def test_a_rank_that_is_killed_ends_all(folder: Path, victim: int, number: int, status: int, words: str) -> None:
    """Within ten seconds, with a sentence that names it, and none is left; so for the first, and for Ctrl-C."""
    stage = started(folder, "train.py", "wait", SPIRA_RANKS="4")
    assert eventually(lambda: len(pids(folder)) == 4)
    begun = time.monotonic()
    os.kill(pids(folder)[victim], number)
    _, complaints = stage.communicate(timeout=60)
    assert eventually(lambda: not any(map(is_alive, pids(folder).values())), ENDS_WITHIN)
    assert time.monotonic() - begun < ENDS_WITHIN
    assert stage.returncode == status
    assert re.search(words, complaints.removeprefix("a warning of rank 0\n"))


def test_no_rank_outlives_the_dvc_above_it(folder: Path) -> None:
    """DVC's own end by ``kill -9`` is the ranks' end too, though it started only the first of them."""
    inner = "import os, subprocess, sys; subprocess.run([sys.executable, 'train.py', 'wait'])"
    outer = f"import os, subprocess, sys; os.environ['DVC_STAGE'] = 'train'; exec({inner!r})"
    dvc = started(folder, "-c", outer, SPIRA_RANKS="2")
    assert eventually(lambda: len(pids(folder)) == 2)
    dvc.kill()
    dvc.communicate(timeout=60)
    assert eventually(lambda: not any(map(is_alive, pids(folder).values())), ENDS_WITHIN)


TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, ALONE),
        ({"SPIRA_RANKS": "1"}, ALONE),
        ({"SPIRA_RANKS": "4"}, Place(0, 4, 0, 4, "")),
        ({"SPIRA_RANKS": "4", "OMP_NUM_THREADS": "3"}, Place(0, 4, 0, 1, "")),
        ({"WORLD_SIZE": "8"}, ALONE),
        (TORCHRUN, Place(5, 8, 0, 1, "")),
        (TORCHRUN | {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}, Place(5, 8, 1, 4, "")),
        (TORCHRUN | {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "OMP_NUM_THREADS": "1"}, Place(5, 8, 1, 1, "")),
    ],
)
def test_a_process_finds_its_place(variables: Mapping[str, str], place: Place) -> None:
    """By SPIRA_RANKS or by what torchrun says; the cores are shared unless OMP_NUM_THREADS has settled that."""
    assert place_in(variables) == place


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SPIRA_RANKS": "0"}, r"^SPIRA_RANKS: must be a whole number in \[1, 64\], got '0'$"),
        ({"SPIRA_RANKS": "-1"}, r"^SPIRA_RANKS: must be a whole number in \[1, 64\], got '-1'$"),
        ({"SPIRA_RANKS": "two"}, r"^SPIRA_RANKS: must be a whole number in \[1, 64\], got 'two'$"),
        ({"SPIRA_RANKS": ""}, r"^SPIRA_RANKS: must be a whole number in \[1, 64\], got ''$"),
        ({"SPIRA_RANKS": "1.0"}, r"^SPIRA_RANKS: must be a whole number in \[1, 64\], got '1.0'$"),
        ({"SPIRA_RANKS": "128"}, r"^SPIRA_RANKS: must be a whole number in \[1, 64\], got '128'$"),
        ({"SPIRA_RANKS": "3"}, r"^SPIRA_RANKS: must be a power of two \(1, 2, 4, 8, \.\.\.\), got 3$"),
        (TORCHRUN | {"SPIRA_RANKS": "8"}, r"^SPIRA_RANKS: must not be set where torchrun has set RANK"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, r"^RANK: must come with .*, got no MASTER_ADDR and no MASTER_PORT;"),
        (TORCHRUN | {"RANK": "8"}, r"^RANK: must be a whole number in \[0, 7\], got '8'$"),
        (TORCHRUN | {"WORLD_SIZE": "6"}, r"^WORLD_SIZE: must be a power of two"),
        (TORCHRUN | {"LOCAL_RANK": "x"}, r"^LOCAL_RANK: must be a whole number in \[0, 7\], got 'x'$"),
    ],
)
def test_variables_that_cannot_be_are_refused(variables: Mapping[str, str], message: str) -> None:
    """By a sentence that names the variable, before anything is read or started."""
    with pytest.raises(ParamError, match=message):
        place_in(variables)


def test_a_wrong_number_of_ranks_stops_the_stage_with_a_sentence(folder: Path) -> None:
    """Exit status 1, without a traceback, and no rank is begun."""
    stage = started(folder, "train.py", "end", SPIRA_RANKS="two")
    _, complaints = stage.communicate(timeout=60)
    assert stage.returncode == 1
    assert complaints == "ParamError: SPIRA_RANKS: must be a whole number in [1, 64], got 'two'\n"
    assert pids(folder) == {}


TRAIN = ("-m", "spira.stages.train", "spiraconv", "holdout", "1")


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """What ``train`` reads: twelve clips, in batches of 8 and 4 with a micro-batch a window."""
    write_features(tmp_path)
    written = yaml.safe_load((tmp_path / "params.yaml").read_text())
    written["train"] |= {"batch_size": 8, "micro_batch_size": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(written))
    return tmp_path


def outputs(folder: Path) -> dict[str, bytes]:
    """Weights, facts and learning curves, which are taken away as DVC does before the next run."""
    made = [path for name in ("models", "curves") for path in (folder / "data" / name).rglob("*") if path.is_file()]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in made}
    for name in ("models", "curves"):
        shutil.rmtree(folder / "data" / name, ignore_errors=True)
    return found


def finished(folder: Path, *command: str, **changes: str) -> tuple[list[str], str]:
    """What it said, line by line, and its complaints."""
    stage = started(folder, *command, **changes)
    said, complaints = stage.communicate(timeout=300)
    assert stage.returncode == 0, complaints
    return said.splitlines(), complaints


def test_the_stage_on_two_ranks_writes_what_it_writes_on_one(features: Path) -> None:
    """The same weights, facts and curves, epoch by epoch the same line; nothing is left in .ckpt but the lock."""
    said, complaints = finished(features, *TRAIN)
    expected = outputs(features)
    assert len(expected) == 2 + 4
    assert finished(features, *TRAIN, SPIRA_RANKS="2") == (said, complaints)
    assert outputs(features) == expected
    assert [path.name for path in features.glob(".ckpt/*")] == ["train-spiraconv-holdout-1.lock"]


@pytest.mark.long
def test_a_killed_rank_ends_a_training_that_goes_on_with_another_number_of_them(features: Path) -> None:
    """``kill -9`` of one of two ranks; then on four of torchrun's, killed too; then on one: the same bytes."""
    finished(features, *TRAIN)
    expected = outputs(features)

    stage = started(features, *TRAIN, SPIRA_RANKS="2")
    wait_for_epoch(stage, 2)
    (other,) = children(stage.pid)
    begun = time.monotonic()
    os.kill(other, signal.SIGKILL)
    _, complaints = stage.communicate(timeout=60)
    assert time.monotonic() - begun < ENDS_WITHIN
    assert stage.returncode == 1
    assert complaints.startswith(
        "DataError: rank 1 of 2 was killed by signal 9 (Killed), so all end; the same command goes on"
    )
    outputs(features)

    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4")
    stage = started(features, *torchrun, *TRAIN)
    assert "training goes on after epoch" in wait_for_epoch(stage, 4)
    ranks = children(stage.pid)
    begun = time.monotonic()
    os.kill(ranks[-1], signal.SIGKILL)
    _, complaints = stage.communicate(timeout=60)
    assert time.monotonic() - begun < ENDS_WITHIN
    assert stage.returncode == 1
    assert re.search(r"rank +: 3 \(local_rank: 3\)", complaints)
    assert eventually(lambda: not any(map(is_alive, ranks)), ENDS_WITHIN)
    outputs(features)

    said, _ = finished(features, *TRAIN)
    assert "training goes on after epoch" in said[0]
    assert len(said) < 1 + N_EPOCHS - 2
    assert outputs(features) == expected


@pytest.mark.long
def test_ranks_that_torchrun_has_started_train_the_same_and_end_with_it(features: Path) -> None:
    """Four of them write what one writes; where torchrun is killed by -9, none is left."""
    said, _ = finished(features, *TRAIN)
    expected = outputs(features)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4")
    assert finished(features, *torchrun, *TRAIN)[0] == said
    assert outputs(features) == expected

    stage = started(features, *torchrun, *TRAIN)
    wait_for_epoch(stage, 1)
    ranks = children(stage.pid)
    assert len(ranks) == 4
    stage.kill()
    stage.communicate(timeout=60)
    assert eventually(lambda: not any(map(is_alive, ranks)), ENDS_WITHIN)


def wait_for_epoch(stage: "subprocess.Popen[str]", epoch: int) -> str:
    """What was said until the epoch's line."""
    said = ""
    for line in stage.stdout or ():
        said += line
        if f" epoch {epoch}: " in line:
            return said
    raise AssertionError(said + stage.communicate()[1])


def children(pid: int) -> list[int]:
    """By age."""
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for file in listed for child in file.read_text().split())
