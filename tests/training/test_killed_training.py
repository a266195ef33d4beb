"""The stage ``train``, killed by a signal and started again."""

import io
import multiprocessing
import os
import shutil
import signal
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

from spira.base.params import load
from spira.encoders.params import EmbeddingParams
from spira.features.params import FeatureParams, WindowParams
from spira.models.params import CpuKernels, NetworkParams
from spira.stages import train
from spira.training.checkpoint import Checkpoint
from spira.training.params import TrainParams
from tiny import ROOT
from tiny_features import N_EPOCHS, write_features

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, with all that the stage reads."""
    write_features(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))  # for the process that others are forked from
    for name in ("DVC_ROOT", "DVC_STAGE", "SPIRA_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


class Killer(io.TextIOWrapper):
    """A file that kills its process as soon as this is said to it."""

    def __init__(self, path: Path, last_words: str) -> None:
        super().__init__(path.open("wb"), line_buffering=True)
        self.last_words = last_words

    def write(self, text: str) -> int:
        n_written = super().write(text)
        if self.last_words in text:
            self.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return n_written


def sections() -> dict[str, Any]:
    kinds: dict[str, Any] = {
        "features": FeatureParams,
        "embedding": EmbeddingParams,
        "windows": WindowParams,
        "network": NetworkParams,
        "train": TrainParams,
        "cpu_kernels": CpuKernels,
    }
    return {"sample_rate": 16_000} | {name: load(name, kind) for name, kind in kinds.items()}


def run_killed(folder: Path, last_words: str) -> None:
    os.chdir(folder)
    torch.set_num_threads(1)
    with redirect_stdout(Killer(Path("said"), last_words)):
        train.run(**sections(), model="spiraconv", fold="holdout", seed=1)


def run_there(folder: Path, last_words: str = "never") -> tuple[int, list[str]]:
    """The stage in another process, its outs gone as before DVC runs it: its exit status, and what it said.

    From one that has torch already, whose start takes seconds; `make reliability` kills what DVC starts.
    """
    for name in ("models", "curves"):
        shutil.rmtree(folder / "data" / name, ignore_errors=True)
    starter = multiprocessing.get_context("forkserver")
    starter.set_forkserver_preload(["spira.stages.train", "torch._inductor"])
    child = starter.Process(target=run_killed, args=[folder, last_words])
    child.start()
    child.join()
    return child.exitcode or 0, (folder / "said").read_text().splitlines()


def outputs(folder: Path) -> dict[str, bytes]:
    """Weights, facts and learning curves."""
    made = [path for name in ("models", "curves") for path in (folder / "data" / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in made}


def test_a_killed_training_goes_on_and_ends_in_the_same_bytes(folder: Path) -> None:
    """``kill -9`` with every option that draws, twice: the same weights, facts and curves, and nothing is left."""
    assert run_there(folder)[0] == 0
    expected = outputs(folder)
    assert len(expected) == 2 + 4

    assert run_there(folder, " epoch 3: ")[0] == -signal.SIGKILL  # before its checkpoint
    assert not (folder / "data/models").exists()
    assert len(list(folder.glob(".ckpt/spiraconv-holdout-1-*.ckpt"))) == 1
    status, (first, *epochs) = run_there(folder, " epoch 5: ")
    assert status == -signal.SIGKILL
    assert first.endswith("training goes on after epoch 2")
    assert [line.split(":")[0] for line in epochs] == [f"spiraconv fold holdout seed 1 epoch {i}" for i in (3, 4, 5)]

    status, (first, *epochs) = run_there(folder)
    assert status == 0
    assert first.endswith("training goes on after epoch 4")
    assert len(epochs) == N_EPOCHS - 4
    assert outputs(folder) == expected
    assert list(folder.glob(".ckpt/*")) == []


class StartedError(Exception):
    """Training would begin."""


def test_all_that_training_depends_on_is_in_the_checkpoints_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each section, the model, fold, seed and each file that is read: what is changed after a kill is not resumed."""
    names: list[Path] = []
    committed = sections() | {"model": "spiraconv", "fold": "holdout", "seed": 1}

    def named(*depends_on: Any) -> None:
        names.append(Checkpoint(*depends_on).path)
        raise StartedError

    def started(**changes: Any) -> None:
        with pytest.raises(StartedError):
            train.run(**(committed | changes))

    monkeypatch.setattr(train, "Checkpoint", named)
    started()
    started()
    assert names[0] == names.pop()
    changes = {
        "features": {"f_max": 7999.0},
        "windows": {"step_seconds": 0.9},
        "train": {"label_smoothing": 0.1},
        "network": {"standardize": False},
    }
    for name, change in changes.items():
        started(**{name: committed[name].model_copy(update=change)})
    started(sample_rate=16_001)
    started(cpu_kernels="torch")
    started(seed=2)
    started(model="spiraconv_v2")
    (folder / "data/folds/1.csv").write_bytes((folder / "data/folds/holdout.csv").read_bytes())
    started(fold="1")
    read = [*folder.glob("data/features/*/*"), folder / "data/folds/holdout.csv"]
    assert len(read) == 7
    for path in read:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if path.suffix == ".npy" else content + b"\n")
        started()
        path.write_bytes(content)
    assert len(names) == len(set(names)) == 1 + 6 + 3 + 7
