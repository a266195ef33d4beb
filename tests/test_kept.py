"""adapters.kept: what was made before is taken again where nothing that decides it changed, and never else."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from spira.adapters.kept import Shards
from spira.adapters.outputs import checked, sum_of, write_bytes

FACTS = {"n_mels": 40}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SPIRA_CHECKPOINTS", raising=False)
    (tmp_path / "noise.npy").write_bytes(b"hiss")
    return tmp_path / "data/features/noisy-0.npy"


def shards(out: Path, facts: Mapping[str, object] = FACTS) -> Shards:
    return Shards("featurize", facts, [out.parents[2] / "noise.npy"])


def made(out: Path, clips: object = ("a.wav",), content: bytes = b"frames") -> None:
    """As a run makes it, and keeps it."""
    run = shards(out)
    write_bytes(content, out, summed=True)
    run.keep(out, clips)
    run.forget_others()


def no_links(*_: object, **__: object) -> None:
    raise OSError(95, "Operation not supported")


def taken_away(out: Path) -> None:
    """As DVC does before a stage runs."""
    for path in (out, sum_of(out)):
        path.unlink()


def test_it_is_there_again_with_its_checksum(out: Path) -> None:
    """Also under another name: a fold's validation clips are another's test clips."""
    made(out)
    taken_away(out)
    for path in (out, out.with_name("other.npy")):
        assert shards(out).restored(path, ("a.wav",))
        assert checked(path).read_bytes() == b"frames"
        assert sum_of(path).read_text().endswith(f"  {path.name}\n")


def test_it_takes_no_room_while_the_output_is_there(out: Path) -> None:
    """One file with two names."""
    made(out)
    (kept,) = (out.parents[2] / ".ckpt/featurize").iterdir()
    assert kept.samefile(out)


def test_over_what_is_there_still(out: Path) -> None:
    """Where no DVC took the output away: its own name, or another file's."""
    made(out)
    assert shards(out).restored(out, ("a.wav",))
    write_bytes(b"other", out, summed=True)
    assert shards(out).restored(out, ("a.wav",))
    assert checked(out).read_bytes() == b"frames"


def test_other_clips_parameters_data_or_code_are_other_work(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself; and then as it was, it is taken."""
    made(out)
    assert not shards(out).restored(out, ("a.wav", "b.wav"))
    assert not shards(out, {"n_mels": 41}).restored(out, ("a.wav",))
    noise = out.parents[2] / "noise.npy"
    noise.write_bytes(b"hum")
    assert not shards(out).restored(out, ("a.wav",))
    noise.write_bytes(b"hiss")
    monkeypatch.setattr("torch.__version__", "3")
    assert not shards(out).restored(out, ("a.wav",))
    monkeypatch.undo()
    monkeypatch.setenv("DVC_ROOT", str(out.parents[2]))
    assert shards(out).restored(out, ("a.wav",))


def test_what_was_changed_since_is_made_again(out: Path) -> None:
    """By a hand in the output, which is the same file; then the new one is kept in its place."""
    made(out)
    out.write_bytes(b"framez")
    assert not shards(out).restored(out, ("a.wav",))
    made(out)
    assert shards(out).restored(out, ("a.wav",))
    assert len(list((out.parents[2] / ".ckpt/featurize").iterdir())) == 1


def test_only_the_last_run_is_kept(out: Path) -> None:
    """What it made, and what it took; a run that was killed forgets nothing."""
    made(out)
    second = out.with_name("noisy-1.npy")
    run = shards(out)
    assert run.restored(out, ("a.wav",))
    write_bytes(b"more", second, summed=True)
    run.keep(second, ("b.wav",))
    killed = shards(out)
    write_bytes(b"third", out.with_name("noisy-2.npy"), summed=True)
    killed.keep(out.with_name("noisy-2.npy"), ("c.wav",))
    run.forget_others()
    folder = out.parents[2] / ".ckpt/featurize"
    assert len(list(folder.iterdir())) == 2
    made(out, ("d.wav",))
    assert len(list(folder.iterdir())) == 1


def test_a_disk_without_hard_links_keeps_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And fails nothing: the run takes longer."""
    monkeypatch.setattr(os, "link", no_links)
    made(out)
    assert checked(out).read_bytes() == b"frames"
    assert not shards(out).restored(out, ("a.wav",))


@pytest.mark.parametrize("links", [True, False])
def test_of_its_own_run_an_output_is_taken_by_hand_too(out: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """And copied where the disk has no links; of a run before, nothing is."""
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.chdir(out.parents[2])
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    run, other = shards(out), out.with_name("other.npy")
    write_bytes(b"frames", out, summed=True)
    run.keep(out, ("a.wav",))
    assert run.restored(other, ("a.wav",))
    assert checked(other).read_bytes() == b"frames"
    assert other.samefile(out) == links
    run.forget_others()
    assert not (out.parents[2] / ".ckpt").exists()
    assert not shards(out).restored(out, ("a.wav",))


def test_it_lies_where_dvc_was_started(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the temporary copy in which an experiment runs."""
    made(out)
    monkeypatch.chdir(out.parent)
    assert shards(out).restored(Path("data/features/noisy-0.npy"), ("a.wav",))
