"""A fault of the machine is no fact about a recording: tried once more, then one sentence, and no list of refused."""

import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from threading import Thread, stack_size

import imageio_ffmpeg  # type: ignore[import-untyped]
import polars as pl
import pytest

import bad_audio
from sounds import encoded, pcm, tones, wav
from spira.base.errors import DataError
from spira.clips.parallel import ordered_map
from spira.ingest.acceptance import IngestParams
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Limits, Lost
from spira.stages import ingest, ingest_noise

pytestmark = pytest.mark.usefixtures("any_size")
P = IngestParams.model_validate(bad_audio.LIMITS)
FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH but the system's own, and empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture(scope="session")
def m4a(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of 1.5 s."""
    folder = tmp_path_factory.mktemp("m4a")
    (folder / "a.wav").write_bytes(wav(pcm(tones(16000))))
    command = [str(FFMPEG), "-nostdin", "-v", "error", "-i", "a.wav", "-c:a", "aac", "a.m4a"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "a.m4a").read_bytes()


@pytest.fixture
def mine(tmp_path: Path, m4a: bytes) -> Path:
    """Six WAV files and, in the middle, an m4a."""
    folder = tmp_path / "mine"
    folder.mkdir()
    names = [f"{i}.wav" for i in range(6)]
    for i, name in enumerate(names):
        (folder / name).write_bytes(wav(pcm(tones(16000, seconds=1.0 + i / 10))))
    (folder / "3.m4a").write_bytes(m4a)
    names.insert(3, "3.m4a")
    (folder / "metadata.csv").write_text("file_path,label\n" + "".join(f"{name},1\n" for name in names))
    return folder


def taken(mine: Path, out: Path) -> list[str]:
    """The clips that ingest accepts, by two workers."""
    ingest.run(16000, P, corpus=mine, out=out, n_workers=2)
    return pl.read_csv(out / "clips.csv")["clip_id"].to_list()


def script(folder: Path, content: str) -> None:
    """An ffmpeg that does this; ``$REAL`` is one that works."""
    (folder / "ffmpeg").write_text(f"#!/bin/sh\nREAL={FFMPEG}\n{content}\n", encoding="utf-8")
    (folder / "ffmpeg").chmod(0o755)


# --- C1: no room, no files, no program that starts


def test_c1_no_temporary_folder_is_needed(
    tmp_path: Path, path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that holds the sound: none of it touches a disk on its way from ffmpeg."""
    (path / "ffmpeg").symlink_to(FFMPEG)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert "3.m4a" in taken(mine, tmp_path / "out")


FAULTS = {
    "no space": (
        "echo 'av_interleaved_write_frame(): No space left on device' >&2; exit 228",
        "No space left on device",
    ),
    "no files": ("echo 'a.m4a: Too many open files' >&2; exit 232", "Too many open files"),
    "not allowed": ("echo 'Error opening input: Permission denied' >&2; exit 243", "Permission denied"),
    "no library": (
        "echo 'ffmpeg: error while loading shared libraries: libavcodec.so.59: cannot open' >&2; exit 127",
        "ffmpeg cannot start: ffmpeg: error while loading shared libraries",
    ),
    "not executable": ("exit 126", "ffmpeg cannot start"),
    "killed": ("kill -9 $$", r"ffmpeg was killed \(SIGKILL\), as the kernel does where memory runs out"),
    "a mapped file without room": ("kill -7 $$", r"ffmpeg was killed \(SIGBUS\)"),
}


FAULTS |= {
    "says nothing, writes nothing": ("exit 0", "also fails on a sound that is known to be good: ffmpeg wrote no audio"),
    "says something else": ("echo ffmpeg version 1", "known to be good: ffmpeg wrote no audio"),
    "a wrapper that is broken": ("echo 'no module named x' >&2; exit 1", "known to be good: ffmpeg: no module"),
    "a version of long ago": ("echo 'Unrecognized option' >&2; exit 8", "known to be good: .*Unrecognized"),
    "for another processor": ("kill -4 $$", r"known to be good: ffmpeg crashed \(SIGILL\)"),
    "hung up": ("kill -1 $$", r"ffmpeg was killed \(SIGHUP\)"),
    "shut in, as a snap": ("echo 'Error opening input: No such file or directory' >&2; exit 254", "No such file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_c1_a_machines_fault_under_ffmpeg_stops_the_stage(tmp_path: Path, path: Path, mine: Path, fault: str) -> None:
    """One sentence that names the file; it was tried twice, and no list of refused is written."""
    content, said = FAULTS[fault]
    script(path, f"echo >> {tmp_path}/calls; {content}")
    with pytest.raises(
        DataError, match=rf"^{re.escape(str(mine))}/3.m4a: .*{said}.*tried twice.*no fact about the file"
    ):
        taken(mine, tmp_path / "out")
    assert (tmp_path / "calls").read_text() == "\n" * (4 if "known to be good" in said else 2)
    assert not (tmp_path / "out" / "rejects.csv").exists()
    assert not (tmp_path / "out" / "clips.csv").exists()


def test_c1_a_fault_that_passes_costs_nothing(tmp_path: Path, path: Path, mine: Path) -> None:
    """The second try, alone, is as good as the first would have been."""
    script(path, f'if [ ! -e {tmp_path}/tried ]; then echo > {tmp_path}/tried; exit 127; fi; exec $REAL "$@"')
    assert "3.m4a" in taken(mine, tmp_path / "out")


def test_c1_what_is_no_program_stops_the_stage(tmp_path: Path, path: Path, mine: Path) -> None:
    """An ffmpeg of another processor, or half a download."""
    (path / "ffmpeg").write_bytes(bytes(1000))
    (path / "ffmpeg").chmod(0o755)
    with pytest.raises(DataError, match=r"3\.m4a: ffmpeg cannot start: Exec format error"):
        taken(mine, tmp_path / "out")


@pytest.mark.parametrize(("number", "code"), [(11, "undecodable"), (6, "undecodable"), (24, "undecodable")])
def test_c1_an_ffmpeg_that_ends_by_the_file_refuses_it(
    tmp_path: Path, path: Path, mine: Path, number: int, code: str
) -> None:
    """A crash, or the end of the time that it may compute: as of any decoder."""
    script(path, f'case "$*" in *3.m4a*) kill -{number} $$;; esac; exec $REAL "$@"')
    assert "3.m4a" not in taken(mine, tmp_path / "out")
    assert pl.read_csv(tmp_path / "out" / "rejects.csv").select("file_path", "code").rows() == [("3.m4a", code)]


def open_too_many(item: str) -> str:
    """What ``ulimit -n 0`` allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        return Path(item).read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_c1_too_few_open_files_are_no_fact_about_an_item() -> None:
    """EMFILE, with what to do."""
    with Guard(open_too_many, Limits(1, 64), 1) as guard:
        assert guard(os.devnull) == Failed("Too many open files; raise the limit on open files; see `ulimit -n`")


def test_c1_too_few_processes_are_no_fact_about_an_item() -> None:
    """Root has no such limit, but a thread needs memory too."""

    def starved(_: str) -> None:
        stack_size(2**34)
        Thread(target=print).start()

    with Guard(starved, Limits(1, 64), 1) as guard:
        assert guard("a") == Failed("can't start new thread; raise the limit on processes; see `ulimit -u`")


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
ssize_t read(int fd, void *to, size_t n) {
    static ssize_t (*real)(int, void *, size_t);
    char link[64], name[4096];
    if (!real) real = dlsym(RTLD_NEXT, "read");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length > 7 && !memcmp(name + length - 7, "bad.wav", 7) && lseek(fd, 0, SEEK_CUR) + n > 20000) {
        errno = EIO;
        return -1;
    }
    return real(fd, to, n);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make a disk that fails with")
def test_c1_a_disk_that_fails_is_no_truncation(tmp_path: Path) -> None:
    """libsndfile takes the first block that cannot be read for the end of the file."""
    (tmp_path / "shim.c").write_text(SHIM)
    shim = tmp_path / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(shim), "shim.c", "-ldl"], cwd=tmp_path, check=True)
    for name in ("good.wav", "bad.wav"):
        (tmp_path / name).write_bytes(wav(pcm(tones(16000))))
    (tmp_path / "metadata.csv").write_text("file_path\ngood.wav\nbad.wav\n")
    code = (
        "import sys; sys.path.insert(0, 'tests/support'); from pathlib import Path; from bad_audio import P\n"
        "from spira.base.program import exit_on_error; from spira.stages import ingest_noise\n"
        f"mine, out = Path({str(tmp_path)!r}), Path({str(tmp_path / 'out')!r})\n"
        "with exit_on_error(): ingest_noise.run(16000, P, noise_corpus=mine, out=out)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(root / "src")}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(
        r"^DataError: .*/bad\.wav: Input/output error; the disk fails; .*no fact about the file", done.stderr
    )
    assert not (tmp_path / "out" / "rejects.csv").exists()


def closed(path: str) -> str:
    """Reads a file as somebody else, whom root is not."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    ingest_file = Path(path)
    from spira.ingest.decoding import decode

    return str(decode(ingest_file, P, P.max_seconds))


def test_c1_a_file_that_is_closed_to_us_is_no_fact_about_it(tmp_path: Path) -> None:
    """Another user's, at another time another's: DVC knows its content alone."""
    (tmp_path / "a.wav").write_bytes(wav(pcm(tones(16000))))
    (tmp_path / "a.wav").chmod(0)
    with Guard(closed, Limits(1, 64), 1) as guard:
        assert guard(str(tmp_path / "a.wav")) == Failed("Permission denied; run as the user who owns it, or chown it")


def test_c1_what_lies_in_the_folder_is_no_part_of_a_recording(
    tmp_path: Path, path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libsndfile looks there for what a Mac keeps beside a file; then no MP3 can be read."""
    assert not list(path.iterdir())
    (mine / "3.m4a").write_bytes(encoded(tones(16000, seconds=1.75), 16000, "MP3", "MPEG_LAYER_III"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".AppleDouble").mkdir()
    with pytest.raises(DataError, match=r"3\.m4a: libsndfile takes `\._` or `\.AppleDouble` in .*: remove them"):
        taken(mine, tmp_path / "out")
    (tmp_path / ".AppleDouble").rmdir()
    assert "3.m4a" in taken(mine, tmp_path / "out")


def test_c1_too_few_files_for_the_workers_end_the_stage() -> None:
    """It does not wait for ever for the workers that could be started."""
    code = (
        "import resource\n"
        "from spira.ingest.sandbox import Guard\n"
        "from spira.ingest.sandbox_worker import Limits\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
        "Guard(len, Limits(1, 64), 20)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "Too many open files" in done.stderr


# --- C2: a worker that is killed


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_c2_no_decoder_sends_itself_such_a_signal(number: int) -> None:
    """Somebody else did."""

    def work(_: str) -> None:
        signal.signal(number, signal.SIG_DFL)  # nohup and a shell's & leave some of them ignored
        os.kill(os.getpid(), number)

    with Guard(work, Limits(1, 64), 1) as guard:
        assert guard("a") == Failed(f"was killed ({signal.Signals(number).name})")


def test_c2_a_worker_that_is_killed_once_costs_nothing(tmp_path: Path, path: Path, mine: Path) -> None:
    """Its file is decoded once more; here the ffmpeg that it started kills it."""
    script(path, f'if [ ! -e {tmp_path}/tried ]; then echo > {tmp_path}/tried; kill -9 $PPID; fi; exec $REAL "$@"')
    assert taken(mine, tmp_path / "out") == ["0.wav", "1.wav", "2.wav", "3.m4a", "3.wav", "4.wav", "5.wav"]
    assert len(pl.read_csv(tmp_path / "out" / "rejects.csv")) == 0


@pytest.mark.parametrize("stage", ["speech", "noise"])
def test_c2_a_worker_that_is_killed_twice_stops_the_stage(tmp_path: Path, path: Path, mine: Path, stage: str) -> None:
    """With one sentence; the recordings that were decoded are in no table either."""
    script(path, "kill -9 $PPID")
    run = partial(ingest.run, corpus=mine) if stage == "speech" else partial(ingest_noise.run, noise_corpus=mine)
    with pytest.raises(DataError, match=r"/3\.m4a: was killed \(SIGKILL\).*tried twice.*no fact about the file"):
        run(16000, P, out=tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    assert not multiprocessing.active_children()  # nor does a thread start a worker after the end


def test_c2_a_pseudonym_stays_one_in_the_sentence(
    tmp_path: Path, path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stops a run is read by others too."""
    script(path, "exit 127")
    monkeypatch.setenv("SPIRA_PSEUDONYM_KEY", "x" * 32)
    hashed = P.model_copy(update={"personal_data": "pseudonymise"})
    with pytest.raises(DataError, match="ffmpeg cannot start") as error:
        ingest.run(16000, hashed, corpus=mine, out=tmp_path / "out", n_workers=1)
    assert "3.m4a" not in str(error.value)


def kill_or_count(item: str) -> int:
    """The n-th attempt at it, each of which leaves a file; the first of some is killed, as all of others."""
    folder, number = Path(item).parent, int(Path(item).name)
    attempt = len(list(folder.glob(f"{number}_*")))
    (folder / f"{number}_{attempt}").touch()
    n_at_work = folder / f"working_{os.getpid()}"
    n_at_work.touch()
    if number % 3 == 0 and attempt == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    others = len([file for file in folder.glob("working_*") if file != n_at_work])
    n_at_work.unlink()
    return others if number % 3 == 0 else 0


def test_c2_the_second_try_is_alone(tmp_path: Path) -> None:
    """No other worker is at its work meanwhile; several that are killed at once wait for each other."""

    def counted(item: str) -> int | Lost | Failed:
        return guard(item)

    with Guard(kill_or_count, Limits(1, 64), 4) as guard:
        results = list(ordered_map(counted, [str(tmp_path / str(i)) for i in range(24)], 4))
    dead = {int(file.name.partition("_")[2]) for file in tmp_path.glob("working_*")}
    assert len(dead) == 8  # what was killed could not take its sign away
    assert all(isinstance(result, int) for result in results)


@pytest.mark.parametrize("kind", ["spin", "rest"])
def test_c2_the_end_of_ulimit_t_is_no_fact_about_an_item(kind: str) -> None:
    """The kernel's SIGKILL at the hard limit never comes, and what a worker did before counts against nobody."""
    code = (
        "import resource, time\n"
        "from spira.ingest.sandbox import Guard\n"
        "from spira.ingest.sandbox_worker import Limits\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (3, 3))\n"
        "def work(seconds):\n"
        "    until = time.process_time() + seconds\n"
        "    while time.process_time() < until: pass\n"
        "    return seconds\n"
        "with Guard(work, Limits(1, 64), 1) as guard: print([guard(s) for s in {}])"
    )
    items = "[9]" if kind == "spin" else "[0.5] * 6"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code.format(items)], env=environment, capture_output=True, text=True, check=True
    )
    if kind == "spin":
        assert done.stdout == "[Lost(reason='did not finish in 1 s of CPU time', limit='cpu_seconds')]\n"
    else:
        assert done.stdout == f"{[0.5] * 6}\n"


# --- C3: a reject for want of a program is never final


def test_c3_without_ffmpeg_the_stage_stops_and_with_it_goes_on(tmp_path: Path, path: Path, mine: Path) -> None:
    """One m4a among six WAV: its name and three ways out. Nothing is there for DVC to keep as final."""
    said = (
        r"^1 of 7 files: 3\.m4a: m4a, mp4 or 3gp is read through ffmpeg, which is not on the PATH: "
        r"install it or convert to FLAC; or take them out of metadata\.csv$"
    )
    with pytest.raises(DataError, match=said):
        taken(mine, tmp_path / "out")
    assert not (tmp_path / "out" / "rejects.csv").exists()
    (path / "ffmpeg").symlink_to(FFMPEG)
    assert "3.m4a" in taken(mine, tmp_path / "out")


def test_c3_each_container_is_named_once_with_its_files(tmp_path: Path, path: Path, mine: Path) -> None:
    """Beside files that are refused for good, which need no other program; in either stage."""
    assert not list(path.iterdir())
    (mine / "4.amr").write_bytes(b"#!AMR\n" + bytes(100))
    (mine / "5.m4a").write_bytes((mine / "3.m4a").read_bytes())
    (mine / "6.wav").write_bytes(b"<html>" * 100)
    with (mine / "metadata.csv").open("a") as file:
        file.write("4.amr,1\n5.m4a,1\n6.wav,1\n")
    for run in (
        lambda: taken(mine, tmp_path / "out"),
        lambda: ingest_noise.run(16000, P, noise_corpus=mine, out=tmp_path / "out"),
    ):
        with pytest.raises(
            DataError, match=r"^3 of 10 files: 3\.m4a, 5\.m4a: m4a, mp4 .*; 4\.amr: AMR is read through"
        ):
            run()
