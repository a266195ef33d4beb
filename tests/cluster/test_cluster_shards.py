"""Shards that are made elsewhere: the same files, whichever worker makes them and whatever becomes of it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from distributed import Client

from dask_cluster import Cluster, eventually
from shard_jobs import Naming
from spira.base.errors import DataError, ParamError
from spira.cluster import fleet
from spira.cluster import shards as elsewhere
from spira.cluster.address import Local, Scheduler, asked
from spira.cluster.facts import Facts, differences, facts
from spira.cluster.shards import Finished, Shard, make
from spira.ingest.waveforms import Job
from tiny import ROOT

NAMES = [f"clip_{i:02}" for i in range(8)]
EXPECTED = {f"out/{name}": (name * len(name)).encode() for name in NAMES}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's, as far as a cluster reads it."""
    for name in ("params.yaml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/support"))
    return tmp_path


def shards(names: list[str] = NAMES) -> list[Shard]:
    return [Shard(name, [name], Path("out", name)) for name in names]


def made(where: Local | Scheduler, names: list[str] = NAMES) -> dict[str, bytes]:
    """The files, once all are made, and nothing is left beside them."""
    finished = list(make(where, Naming(), shards(names), "naming"))
    assert sorted(one[:2] for one in finished) == [(i, [len(name)]) for i, name in enumerate(names)]
    assert not list(Path(".ckpt/shards").iterdir())
    return {path.as_posix(): path.read_bytes() for path in Path("out").iterdir()}


def children() -> set[int]:
    """Processes of this one that make shards."""
    listed = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "spira.cluster.shard_process"],
        capture_output=True,
        text=True,
        check=False,
    )
    return set(map(int, listed.stdout.split()))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (None, None),
        ("", None),  # as `SPIRA_CLUSTER= dvc repro` has it
        ("local:1", Local(1)),
        ("local:256", Local(256)),
        ("tcp://127.0.0.1:8786", Scheduler("tcp://127.0.0.1:8786", exposed=False)),
        ("tcp://localhost:8786", Scheduler("tcp://localhost:8786", exposed=False)),
        ("tcp://[::1]:8786", Scheduler("tcp://[::1]:8786", exposed=False)),
        ("tcp://10.0.0.1:8786", Scheduler("tcp://10.0.0.1:8786", exposed=True)),
        ("tls://head:8786", Scheduler("tls://head:8786", exposed=False)),
    ],
)
def test_where_is_what_the_variable_says(text: str | None, where: Local | Scheduler | None) -> None:
    """Not set, it is this process; a scheduler that others reach without encryption is known as such."""
    assert asked({} if text is None else {"SPIRA_CLUSTER": text}) == where


WRONG = ["local", "local:", "local:0", "local:01", "local:257", "local:two", "8786", "tcp://head", "tcp://:8786"]
WRONG += ["tcp://head:x", "tcp://head:8786/", "udp://head:8786", "tcp://me@head:8786", "http://head:8786", "tcp://h:0"]


@pytest.mark.parametrize("text", WRONG)
def test_any_other_value_is_refused(text: str) -> None:
    """In one sentence, which says what may be there."""
    sentence = "SPIRA_CLUSTER: must be tcp://host:port or tls://host:port of a Dask scheduler, or local:N with N in"
    with pytest.raises(ParamError, match=f"^{re.escape(sentence)} .* got {re.escape(repr(text))}$"):
        asked({"SPIRA_CLUSTER": text})


@pytest.mark.usefixtures("folder")
def test_processes_of_this_machine_make_all_and_end() -> None:
    """As many as are asked for, each with its share; also where a process is killed twice at one shard."""
    assert made(Local(2)) == EXPECTED
    assert len({begun.read_text() for begun in Path().glob("*.begun")}) == 2
    Path("clip_03.kill").write_text("2")
    assert made(Local(2)) == EXPECTED
    assert not Path("clip_03.kill").exists()
    assert children() == set()


@pytest.mark.parametrize(
    ("name", "sign", "content", "sentence"),
    [
        ("clip_05", "kill", "3", r"^the shard of clip_05: lost 3 times; the last time on worker \S+ its process was "),
        ("clip_05", "wrong", "is silent", "^the shard of clip_05: is silent$"),
        ("defect", "wrong", "none", r"^the shard of defect: TypeError on worker \S+: none\nTraceback"),
    ],
)  # fmt: skip
def test_a_shard_that_cannot_be_made_is_named(folder: Path, name: str, sign: str, content: str, sentence: str) -> None:
    """By its recordings; the processes are gone, and what they wrote has no name."""
    (folder / f"{name}.{sign}").write_text(content)
    with pytest.raises((DataError, RuntimeError), match=sentence):
        made(Local(1), [*NAMES[:2], name])
    assert not Path("out", name).exists()
    assert not list(Path(".ckpt/shards").iterdir())
    assert children() == set()


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_another_here_gets_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a disk is not the same for all machines, or gave back what was not written."""
    monkeypatch.setattr(elsewhere, "hash_file", lambda _: "0" * 64)
    with pytest.raises(DataError, match=r"must have the hash [0-9a-f]{64}, got 0{64}; do all machines see"):
        made(Local(1), NAMES[:1])
    assert not Path("out/clip_00").exists()


@pytest.mark.usefixtures("folder")
def test_a_worker_that_computes_otherwise_is_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is any other, where work has not begun: the sentence names the worker and what differs."""
    monkeypatch.setenv("MKL_CBWR", "AUTO")  # its process settles that anew
    with pytest.raises(DataError, match=r"^worker \S+: MKL_CBWR is COMPATIBLE there and AUTO here$"):
        made(Local(2))
    assert not Path("clip_00.begun").exists()
    assert children() == set()


@pytest.mark.usefixtures("folder")
def test_a_process_that_is_killed_at_its_start_is_replaced() -> None:
    """As where memory runs out for a moment; in the end the stage says so."""
    Path("start.kill").write_text("2")
    assert made(Local(1)) == EXPECTED
    Path("start.kill").write_text("3")
    with pytest.raises(DataError, match=r"^worker \S+: did not begin in 3 tries; the last time its process was killed"):
        made(Local(1))
    assert children() == set()


@pytest.mark.usefixtures("folder")
def test_nobody_else_can_reach_processes_of_this_machine() -> None:
    """Dask's servers listen on the loopback alone, also that of HTTP, which is there without a dashboard."""
    making = make(Local(2), Naming(), shards(), "naming")
    next(making)
    listening = [one for one in psutil.Process().net_connections() if one.status == psutil.CONN_LISTEN]
    assert {one.laddr.ip for one in listening} <= {"127.0.0.1"}
    assert len(list(making)) == 7


def test_a_program_that_decodes_is_compared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ffmpeg makes other samples, so one of another version is among the facts; none is one too."""
    for version in ("6.1", "7.0"):
        program = folder / version / "ffmpeg"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho ffmpeg version {version}\necho more\n")
        program.chmod(0o755)
    found = []
    for where in ("6.1", "7.0", "nowhere"):
        monkeypatch.setenv("PATH", str(folder / where))
        found.append(facts((), ("ffmpeg",)))
    assert differences(found[0], found[1]) == "ffmpeg is ffmpeg version 7.0 there and ffmpeg version 6.1 here"
    assert differences(found[0], found[2]) == "ffmpeg is not on the PATH there and ffmpeg version 6.1 here"
    assert Job.programs == ("ffmpeg",)


@pytest.mark.usefixtures("folder")
def test_tls_without_a_certificate_is_refused_at_once() -> None:
    with pytest.raises(DataError, match=r"^SPIRA_CLUSTER: tls://head:8786 needs certificates, and Dask's config"):
        made(Scheduler("tls://head:8786", exposed=False))


def test_what_differs_is_named() -> None:
    """Files of code, the first few; settings, each; what only one has imported is no difference."""
    here = Facts({"spira/a.py": "1", "spira/b.py": "1"}, {"numpy": "2.0", "torch's device": "the CPU"})
    assert differences(here, here) == ""
    assert differences(here, Facts(here.code, {"numpy": "2.0"})) == ""
    there = Facts({"spira/a.py": "2", "spira/c.py": "1"}, {"numpy": "2.1"})
    assert differences(here, there) == (
        "spira/a.py, spira/b.py, spira/c.py differ in their code; numpy is 2.1 there and 2.0 here"
    )


@pytest.mark.usefixtures("folder")
def test_a_scheduler_that_is_not_there_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, within the seconds that are given to it."""
    assert fleet.SECONDS_TO_CONNECT <= 10
    monkeypatch.setattr(fleet, "SECONDS_TO_CONNECT", 1)
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"^SPIRA_CLUSTER: no Dask scheduler can be reached at tcp://127\.0\.0\.1:1: "):
        made(Scheduler("tcp://127.0.0.1:1", exposed=False))
    assert time.monotonic() - begun < 10


STAGE = """
from pathlib import Path
from dask_cluster import Cluster, eventually
from shard_jobs import Naming
from spira.base import arithmetic
from spira.cluster.shards import Shard, elsewhere, make

arithmetic.settle()
list(make(elsewhere(), Naming(), [Shard("clip_00", ["clip_00"], Path("out"))], "naming"))
"""


@pytest.mark.parametrize(
    ("number", "where"), [(signal.SIGINT, "local"), (signal.SIGKILL, "local"), (signal.SIGKILL, "tcp")]
)
def test_what_the_stage_has_started_ends_with_it(
    number: int, where: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    """Ctrl-C and a kill; the next run removes what the killed one left."""
    asked = "local:1"
    if where == "tcp":
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.worker(folder)
        asked = cluster.address
    Path("clip_00.wait").touch()
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests/support")])
    stage = subprocess.Popen(
        [sys.executable, "-c", STAGE],
        env={**os.environ, "PYTHONPATH": path, "SPIRA_CLUSTER": asked},
        stderr=subprocess.DEVNULL,
    )
    assert eventually(lambda: Path("clip_00.begun").exists() and Path("clip_00.begun").read_text() != "")
    child = Path("/proc", Path("clip_00.begun").read_text())
    assert child.exists()
    stage.send_signal(number)
    stage.wait(30)
    assert eventually(lambda: not child.exists(), 5)
    assert len(list(Path(".ckpt/shards").iterdir())) == (number == signal.SIGKILL)
    Path("clip_00.wait").unlink()
    assert made(Local(1)) == EXPECTED


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    started = Cluster(folder)
    yield started
    started.stop()


def test_a_worker_that_is_killed_is_replaced_and_one_that_differs_is_not_used(
    cluster: Cluster, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By one that comes later: it is checked before it is given a shard, and so is one with another NumPy."""
    first = cluster.worker(folder)
    Path("clip_04.wait").touch()
    making = make(Scheduler(cluster.address, exposed=True), Naming(), shards(), "naming")
    got: list[Finished] = [next(making) for _ in range(4)]
    assert eventually(Path("clip_04.begun").exists)
    other = folder / "other/numpy-0.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: numpy\nVersion: 0.0\n")
    paths = os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests/support", folder / "other")))
    cluster.worker(folder, PYTHONPATH=paths, WORKER="other")
    first.kill()
    Path("clip_04.wait").unlink()
    time.sleep(0.5)
    cluster.worker(folder, WORKER="last")
    got += making
    assert {by.read_text() for by in Path().glob("*.by")} == {"", "last"}
    assert sorted(one.number for one in got) == list(range(8))
    assert {path.as_posix(): path.read_bytes() for path in Path("out").iterdir()} == EXPECTED
    said = capsys.readouterr().err
    assert re.search(r"^worker tcp://\S+ is given no work: numpy is 0\.0 there and \S+ here$", said, re.MULTILINE)
    assert f"{cluster.address}: not encrypted, and whoever reaches it can run code on its workers" in said


def test_a_worker_that_hangs_holds_nobody_up(
    cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped before it is asked anything; the other makes all, it is said who is silent, and the end does not wait."""
    monkeypatch.setattr(fleet, "SECONDS_OF_SILENCE", 1)
    monkeypatch.setattr(fleet, "SECONDS_TO_CONNECT", 2)
    workers = [cluster.worker(folder) for _ in range(2)]
    with Client(cluster.address, set_as_default=False) as client:
        assert eventually(lambda: len(client.nthreads()) == 2)
    workers[0].send_signal(signal.SIGSTOP)
    Path("clip_04.wait").touch()
    making = make(Scheduler(cluster.address, exposed=False), Naming(), shards(), "naming")
    got = [next(making) for _ in range(4)]
    time.sleep(1)
    Path("clip_04.wait").unlink()
    begun = time.monotonic()
    assert len([*got, *making]) == 8
    assert time.monotonic() - begun < 15
    said = capsys.readouterr().err
    assert re.search(r"^worker tcp://\S+ has not answered for 1 s, and has no work yet$", said, re.MULTILINE)
