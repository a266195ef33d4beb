"""A checkpoint is there whole or not at all, and only the same training resumes from it."""

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
import torch

from spira.features import cache as kept
from spira.training.checkpoint import Checkpoint, parts_in
from spira.training.state import State

FACTS = {"train": {"lr": 0.003}, "seed": 1}
STATE = {
    "learning": State({"weight": torch.tensor([0.1, float("inf")]), "step": torch.tensor(3.0)}, {"rng": 2**100}),
    "best": State({}, {"epoch": 2}),
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a training reads; checkpoints go beside it."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "frames.npy").write_bytes(b"frames")
    return tmp_path / "frames.npy"


def checkpoint(data: Path, facts: Mapping[str, object] = FACTS) -> Checkpoint:
    return Checkpoint("holdout-1", facts, [data])


def same(written: Checkpoint) -> bool:
    parts = parts_in(written.read())
    return all(
        parts[name].facts == state.facts
        and parts[name].tensors.keys() == state.tensors.keys()
        and all(torch.equal(parts[name].tensors[key], tensor) for key, tensor in state.tensors.items())
        for name, state in STATE.items()
    )


def test_it_comes_back_as_it_was_written(data: Path) -> None:
    """In another process too, since its name depends on nothing else; before and after, there is none."""
    assert checkpoint(data).read() == b""
    checkpoint(data).write(STATE)
    assert same(checkpoint(data))
    checkpoint(data).remove()
    assert checkpoint(data).read() == b""
    assert list((data.parent / ".ckpt").iterdir()) == []


def test_another_training_does_not_resume_from_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed parameters, data, packages, threads or processor: another name."""
    names = [checkpoint(data).path, checkpoint(data, {**FACTS, "seed": 2}).path]
    names.append(checkpoint(data, {**FACTS, "train": {"lr": 0.0030000000000000005}}).path)
    data.write_bytes(b"framez")
    names.append(checkpoint(data).path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    names.append(checkpoint(data).path)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX9")
    names.append(checkpoint(data).path)
    monkeypatch.setattr(torch, "__version__", "3")
    names.append(checkpoint(data).path)
    assert len(set(names)) == len(names)


def test_changed_code_does_not_resume_from_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of this package that was imported counts; one of another package is the environment's."""
    (data.parent / "spira/features").mkdir(parents=True)
    (data.parent / "spira/features/cache.py").touch()
    monkeypatch.setattr(kept, "__file__", str(data.parent / "spira/features/cache.py"))
    names = []
    for name, path in (("spira.loop", data.parent / "spira/loop.py"), ("other", data.parent / "other.py")):
        module = ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, module)
        for code in ("a = 1", "a = 2"):
            path.write_text(code)
            names.append(checkpoint(data).path)
    assert names[0] != names[1]
    assert names[2] == names[3]


def test_a_damaged_one_is_ignored_with_a_sentence(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One flipped bit at any of its bytes, or an end cut off: training starts anew, and says so."""
    whole = checkpoint(data)
    whole.write(STATE)
    content = whole.path.read_bytes()
    for i in range(len(content)):
        whole.path.write_bytes(content[:i] + bytes([content[i] ^ 1 << i % 8]) + content[i + 1 :])
        assert whole.read() == b""
        whole.path.write_bytes(content[:i])
        assert whole.read() == b""
    assert capsys.readouterr().err.splitlines() == [
        f"{whole.path}: this checkpoint is damaged; training starts from the first epoch"
    ] * 2 * len(content)
    whole.path.unlink()
    whole.path.mkdir()
    assert whole.read() == b""
    assert (
        capsys.readouterr().err
        == f"{whole.path}: this checkpoint cannot be read (Is a directory); training starts from the first epoch\n"
    )


def test_a_kill_while_it_is_written_leaves_the_one_before(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until all of it is synced the last one keeps its name; what a kill left is no checkpoint, and goes at the end."""
    checkpoint(data).write(STATE)
    seen = []

    def killed(file: int) -> None:
        seen.append(same(checkpoint(data)))
        (half,) = data.parent.glob(".ckpt/*.part")
        seen.append(half.stat().st_size > 100)
        assert os.fstat(file).st_ino == half.stat().st_ino
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint(data).write({"best": State({}, {"epoch": 3})})
    assert seen == [True, True]
    assert same(checkpoint(data))
    assert len(list(data.parent.glob(".ckpt/*.part"))) == 1
    checkpoint(data).remove()
    assert list((data.parent / ".ckpt").iterdir()) == []


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence; the last one stays, nothing half-written does. So where there can be no folder."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = checkpoint(data)
    kept.write(STATE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        kept.write({})
    said = "this checkpoint cannot be written (No space left on device); training goes on without it"
    assert capsys.readouterr().err == f"{kept.path}: {said}\n"
    assert same(kept)
    assert list(kept.path.parent.iterdir()) == [kept.path]
    monkeypatch.setenv("DVC_ROOT", str(data))
    checkpoint(data).write(STATE)
    checkpoint(data).remove()
    assert "training goes on without it" in capsys.readouterr().err


def test_it_lies_in_the_repository_that_dvc_was_started_in(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a sweep says; else where DVC says, which names the repository and not the copy; else in the folder."""
    assert checkpoint(data).path.parent == tmp_path / ".ckpt"
    monkeypatch.setenv("SPIRA_CHECKPOINTS", str(tmp_path / "sweep"))
    assert checkpoint(data).path.parent == tmp_path / "sweep"
    monkeypatch.delenv("SPIRA_CHECKPOINTS")
    monkeypatch.delenv("DVC_ROOT")
    assert checkpoint(data).path.parent == Path(".ckpt")
