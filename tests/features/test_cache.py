"""A cached output is used again only where everything that decides its bytes is unchanged."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from spira.base.files import write_bytes
from spira.features import cache as kept
from spira.features.cache import Shards

FACTS = {"n_mels": 40}
NOTE = [3, 5]


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
    write_bytes(content, out)
    run.keep(out, clips, NOTE)
    run.forget_others()


def no_links(*_: object, **__: object) -> None:
    raise OSError(95, "Operation not supported")


def all_kept(out: Path) -> list[Path]:
    """Without their notes."""
    return [path for path in (out.parents[2] / ".ckpt/featurize").glob("*/*") if path.suffix != ".json"]


def taken_away(out: Path) -> None:
    """As DVC does before a stage runs."""
    out.unlink()


def test_it_is_there_again(out: Path) -> None:
    """Also under another name: a fold's validation clips are another's test clips."""
    made(out)
    taken_away(out)
    for path in (out, out.with_name("other.npy")):
        assert shards(out).restored(path, ("a.wav",)) == NOTE
        assert path.read_bytes() == b"frames"


def test_it_takes_no_room_while_the_output_is_there(out: Path) -> None:
    """One file with two names."""
    made(out)
    (second_name,) = all_kept(out)
    assert second_name.samefile(out)


def test_over_what_is_there_still(out: Path) -> None:
    """Where no DVC took the output away: its own name, or another file's."""
    made(out)
    assert shards(out).restored(out, ("a.wav",)) == NOTE
    write_bytes(b"other", out)
    assert shards(out).restored(out, ("a.wav",)) == NOTE
    assert out.read_bytes() == b"frames"


@pytest.mark.parametrize("what", ["nothing", "clips", "facts", "data", "numpy", "processor", "variable", "code"])
def test_what_decides_other_bytes_is_other_work(what: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself."""
    made(out)
    match what:
        case "data":
            (out.parents[2] / "noise.npy").write_bytes(b"hum")
        case "numpy":
            monkeypatch.setattr("numpy.__version__", "3")
        case "processor":
            monkeypatch.setattr(kept, "processor", lambda: "another")
        case "variable":
            monkeypatch.setenv("MKL_CBWR", "AVX2")
        case "code":
            monkeypatch.setattr(kept, "_code", lambda: [("kept.py", out)])
    facts = {"n_mels": 41} if what == "facts" else FACTS
    clips = ("a.wav", "b.wav") if what == "clips" else ("a.wav",)
    assert shards(out, facts).restored(out.with_name("again.npy"), clips) == (NOTE if what == "nothing" else None)


def test_what_nobody_can_use_makes_room_first(out: Path) -> None:
    """That of other parameters is gone before the first output is written; what else lies there is somebody else's."""
    made(out)
    other = out.parents[2] / ".ckpt/featurize/notes/mine.txt"
    other.parent.mkdir()
    other.write_text("mine")
    shards(out, {"n_mels": 41})
    assert all_kept(out) == [other]


def test_what_was_changed_since_is_made_again(out: Path) -> None:
    """By a hand in the output, which is the same file; then the new one is kept in its place."""
    made(out)
    out.write_bytes(b"framez")
    assert shards(out).restored(out, ("a.wav",)) is None
    made(out)
    assert shards(out).restored(out, ("a.wav",)) == NOTE
    assert len(all_kept(out)) == 1


@pytest.mark.parametrize("content", ["[3, 6]", "[3, ", None])
def test_with_a_note_that_was_changed_since_it_is_made_again(out: Path, content: str | None) -> None:
    """By a hand, by a kill, or taken away: the table of the output would be wrong."""
    made(out)
    (note,) = (out.parents[2] / ".ckpt/featurize").glob("*/*.json")
    if content:
        note.write_text(content)
    else:
        note.unlink()
    assert shards(out).restored(out, ("a.wav",)) is None
    made(out)
    assert shards(out).restored(out, ("a.wav",)) == NOTE


def test_only_the_last_run_is_kept(out: Path) -> None:
    """What it made, and what it took; a run that was killed forgets nothing."""
    made(out)
    second = out.with_name("noisy-1.npy")
    run = shards(out)
    assert run.restored(out, ("a.wav",)) == NOTE
    write_bytes(b"more", second)
    run.keep(second, ("b.wav",), NOTE)
    killed = shards(out)
    write_bytes(b"third", out.with_name("noisy-2.npy"))
    killed.keep(out.with_name("noisy-2.npy"), ("c.wav",), NOTE)
    run.forget_others()
    assert len(all_kept(out)) == 2
    made(out, ("d.wav",))
    assert len(all_kept(out)) == 1


def test_a_disk_without_hard_links_keeps_nothing(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And fails nothing: the run takes longer."""
    monkeypatch.setattr(os, "link", no_links)
    made(out)
    assert out.read_bytes() == b"frames"
    assert shards(out).restored(out, ("a.wav",)) is None


@pytest.mark.parametrize("links", [True, False])
def test_of_its_own_run_an_output_is_taken_by_hand_too(out: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """And copied where the disk has no links; of a run before, nothing is."""
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.chdir(out.parents[2])
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    run, other = shards(out), out.with_name("other.npy")
    write_bytes(b"frames", out)
    run.keep(out, ("a.wav",), NOTE)
    assert run.restored(other, ("a.wav",)) == NOTE
    assert other.read_bytes() == b"frames"
    assert other.samefile(out) == links
    run.forget_others()
    assert not (out.parents[2] / ".ckpt").exists()
    assert shards(out).restored(out, ("a.wav",)) is None


def test_it_lies_where_dvc_was_started(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the temporary copy in which an experiment runs."""
    made(out)
    monkeypatch.chdir(out.parent)
    assert shards(out).restored(Path("data/features/noisy-0.npy"), ("a.wav",)) == NOTE
