"""NaN or infinity stops the work where it first shows, and the clips behind it are named."""

import ast
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spira.base.errors import DataError
from spira.base.tables import read_json
from spira.clips.arrays import ArrayWriter
from spira.clips.recordings import NOISE, read_noise, read_waveforms
from spira.features.store import IndexRow, read_windows, write_index, write_shard
from spira.models.store import read_weights, save_model
from spira.predictions.loading import load_model
from spira.predictions.table import write_predictions
from spira.training.loop import train_epochs
from spira.training.nan_guard import NanGuard
from spira.training.optimization import validation_loss
from spira.training.params import TrainParams
from tiny import ROOT, network_params
from tiny_training import N_CLIPS, N_FEATURES, N_FRAMES, Normalised, clips, make_net, params

NAMES = [f"{i}.wav" for i in range(N_CLIPS)]
CPU = torch.device("cpu")


class Steep(nn.Module):
    """A finite loss whose gradient is infinite: the slope of a square root at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, windows: Tensor) -> Tensor:
        return windows.mean(dim=(1, 2)) * self.weight.sqrt()


def trained(net: nn.Module, p: TrainParams, scale: float = 1.0) -> None:
    windows = clips("overlap")
    windows.frames[0].mul_(scale)
    list(train_epochs(net, windows, p, seed=3, names=NAMES))


@pytest.mark.ml_test_score("Monitoring 5")
def test_an_infinite_gradient_stops_before_the_step() -> None:
    """The loss is finite still. The batch's clips are named, all of them and no other's, and no weight has moved."""
    net = Steep()
    with pytest.raises(
        DataError, match=r"^the gradient became (inf|nan) in epoch 1, in the batch with windows of"
    ) as e:
        trained(net, params(batch_size=2))
    assert net.weight == 0
    assert sum(name in str(e.value) for name in NAMES) == 2


def record_four(guard: NanGuard, seen: list[int], what: str, value: float, bad: int) -> None:
    """Four batches, of clips 0 and 1, 1 and 2, ...; ``what`` of one has the value, and after it all is NaN."""
    for step in range(4):
        seen.append(step)
        tensors = {name: [torch.zeros(()), torch.ones(2, 3)] for name in ("loss", "gradient", "network")}
        if step == bad:
            tensors[what][1][1, 2] = value
        for name, ones in tensors.items():
            ones = [torch.full_like(tensor, torch.nan) for tensor in ones] if step > bad else ones
            guard.record(name, torch.tensor([step, step + 1, step]), ones)
    guard.raise_if_bad()


@pytest.mark.parametrize("what", ["loss", "gradient", "network"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("bad", range(4))
def test_what_is_checked_late_is_refused_as_what_is_checked_at_once(what: str, value: float, bad: int) -> None:
    """The first bad batch of four is named, though all after it are bad as well; a number alone, or one of many."""
    said = []
    for at_once in (True, False):
        seen: list[int] = []
        guard = NanGuard(7, NAMES, at_once=at_once)
        with pytest.raises(DataError) as e:
            record_four(guard, seen, what, value, bad)
        assert len(seen) == (bad + 1 if at_once else 4)
        said.append(str(e.value))
    where = f"in epoch 7, in the batch with windows of {bad}.wav, {bad + 1}.wav"
    assert said == [f"the {what} became {value} {where}; try a lower train.lr"] * 2


def test_a_guard_that_recorded_nothing_bad_says_nothing_and_forgets() -> None:
    """The largest floats are finite, whole numbers too; an epoch without a step is none."""
    guard = NanGuard(1, NAMES, at_once=False)
    guard.raise_if_bad()
    guard.record("network", torch.tensor([0]), [torch.full((2,), torch.finfo(torch.float32).max), torch.tensor(2**60)])
    guard.raise_if_bad()
    guard.record("loss", torch.tensor([1]), [torch.tensor(torch.nan)])
    with pytest.raises(DataError, match=r"windows of 1\.wav"):
        guard.raise_if_bad()
    guard.raise_if_bad()


@pytest.mark.parametrize("planted", ["loss", "network"])
def test_an_epoch_that_is_checked_late_is_never_yielded(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, with tensors of the CPU: all three steps are taken, and the message is that of the first."""
    p = params(batch_size=2)
    if planted == "network":
        p = params(batch_size=2, optimizer="adamw").model_copy(update={"lr": 1e20, "weight_decay": 1e30})
    said, n_steps = [], []
    for at_once in (True, False):
        monkeypatch.setattr("spira.training.loop.NanGuard", partial(guard_at, at_once))
        shown: list[None] = []
        net = make_net()
        net.register_forward_pre_hook(lambda *_, shown=shown: shown.append(None))
        with pytest.raises(DataError, match=f"^the {planted} became .* in epoch 1, .*wav, [0-9].wav; ") as e:
            trained(net, p, scale=torch.nan if planted == "loss" else 1.0)
        said.append(str(e.value))
        n_steps.append(len(shown))
    assert said[0] == said[1]
    assert n_steps == [1, 3]


def guard_at(chosen: bool, epoch: int, names: Sequence[str], *, at_once: bool) -> NanGuard:
    """A guard that checks when the test says, and not when the device does."""
    assert at_once  # the device is a CPU
    return NanGuard(epoch, names, at_once=chosen)


@pytest.mark.parametrize("kind", ["spiraconv", "pooled_cnn"])
def test_a_finite_corpus_stops_nothing(kind: str) -> None:
    """What is refused below is refused for its defect."""
    trained(make_net(kind), params())


def test_a_weight_that_overflows_stops_at_that_step() -> None:
    """Loss and gradient are finite; AdamW's decay takes the weights beyond what float32 holds."""
    steep = params(optimizer="adamw", max_epochs=9).model_copy(update={"lr": 1e20, "weight_decay": 1e30})
    with pytest.raises(
        DataError, match=r"^the network became -?inf in epoch 1, .*0\.wav, 1\.wav.*try a lower train.lr$"
    ):
        trained(make_net(), steep)


def test_statistics_of_batch_normalisation_count_as_weights() -> None:
    """Activations of 1e25 have a variance beyond float32, and what is normalised by it is a finite zero."""
    with pytest.raises(DataError, match=r"^the (network|loss) became (inf|nan) in epoch 1"):
        trained(Normalised(), params(), scale=1e25)


def test_a_validation_loss_that_is_not_finite_names_its_clips() -> None:
    """It would be no lower than any other, so a run whose every epoch had one would keep no weights at all."""
    net, windows = make_net(), clips("overlap")
    windows.frames[0][windows.starts[8]] = torch.nan
    with pytest.raises(
        DataError, match=r"^the validation loss must be finite, got nan in batches with 4\.wav, 5\.wav;"
    ):
        validation_loss(net, [windows], 4, NAMES)


def write_frames(folder: Path, **planted: float) -> None:
    frames = (torch.full((5, 3), float(i)) for i in range(4))
    write_shard(folder / "noisy-0.npy", 3, [f"{i}.wav" for i in range(4)], frames)
    write_index([IndexRow(f"{i}.wav", f"s{i}", i % 2, 0, 1.0, 0, 5) for i in range(4)], folder, "noisy")
    array = np.load(folder / "noisy-0.npy", mmap_mode="r+")
    for name, value in planted.items():
        array[5 * int(name[1:]) + 4, 2] = value


@pytest.mark.ml_test_score("Monitoring 5")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_frames_that_are_not_finite_are_neither_written_nor_read(value: float, tmp_path: Path) -> None:
    """One number of one frame is enough; the clip is named, and what was begun is not left."""
    frames = torch.zeros(5, 3)
    frames[4, 2] = value
    with pytest.raises(DataError, match=r"noisy-0\.npy: must be finite, got NaN or infinity in 7\.wav"):
        write_shard(tmp_path / "new/noisy-0.npy", 3, ["7.wav"], [frames])
    assert not list((tmp_path / "new").glob("*"))
    write_frames(tmp_path, _2=value)
    with pytest.raises(
        DataError, match=r"noisy-0\.npy: must be finite, got NaN or infinity in 2\.wav; is the file damaged"
    ):
        read_windows(tmp_path, "noisy", NAMES[:4], length=5, step=5, device=CPU)
    read_windows(tmp_path, "noisy", ["0.wav", "1.wav", "3.wav"], length=5, step=5, device=CPU)


def test_samples_that_are_not_finite_are_not_read(tmp_path: Path) -> None:
    """Of a recording and of noise alike, by name."""
    for name in ("waveforms-000.npy", NOISE):
        with ArrayWriter(tmp_path / name) as writer:
            writer.append(np.array([0, 0, 0, np.nan, 0, 0], dtype=np.float32))
    table = pl.DataFrame({"shard": [0, 0, 0], "start": [0, 2, 4], "n_samples": [2, 2, 2], "clip_id": NAMES[:3]})
    with pytest.raises(DataError, match=r"waveforms-000\.npy: must be finite, got NaN or infinity in 1\.wav; "):
        read_waveforms(table, tmp_path)
    table.rename({"clip_id": "recording_id"}).with_columns(source=pl.lit("")).write_csv(tmp_path / "recordings.csv")
    with pytest.raises(DataError, match=r"waveforms\.npy: must be finite, got NaN or infinity in 1\.wav; "):
        read_noise(tmp_path)


def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path: Path) -> None:
    """By the name of the tensor; nothing is written where they cannot be saved."""
    net = make_net("spiraconv_v2")
    facts: dict[str, Any] = {"model": "spiraconv_v2", "network": network_params().model_dump()}
    facts |= {"n_frames": N_FRAMES, "n_features": N_FEATURES}
    save_model(dict(net.state_dict()), facts, tmp_path / "good")
    broken = load_file(tmp_path / "good/weights.safetensors")
    broken["fc1.bias"][3] = torch.inf
    said = r"weights\.safetensors: weights must be finite, got NaN or infinity in fc1\.bias$"
    with pytest.raises(DataError, match=said):
        save_model(broken, facts, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    load_model(tmp_path / "good", CPU, "torch")
    save_file(broken, tmp_path / "good/weights.safetensors")
    with pytest.raises(DataError, match=said):
        load_model(tmp_path / "good", CPU, "torch")
    with pytest.raises(DataError, match=said):
        read_weights(tmp_path / "good/weights.safetensors")


def test_a_score_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    """The clip and the model are named."""
    scores = pl.DataFrame(
        {"model": "a", "fold": "holdout", "subset": "test", "condition": "clean", "seed": [1, 2, 3],
         "clip_id": NAMES[:3], "speaker_id": "s", "label": 1, "score": [0.5, np.nan, 0.25]}
    )  # fmt: skip
    with pytest.raises(
        DataError, match=r"p\.csv: scores must be finite, got nan for 1\.wav from the models a/holdout/2$"
    ):
        write_predictions(scores, tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_json_with_nan_is_no_json(number: str, tmp_path: Path) -> None:
    """Python reads it; nothing else does, and no stage writes it."""
    (tmp_path / "a.json").write_text(f'{{"auc": {number}}}')
    with pytest.raises(DataError, match=rf"a\.json: not JSON: {number} is no number of JSON$"):
        read_json(tmp_path / "a.json")


def test_every_json_is_written_without_nan() -> None:
    """Each call of json.dump or json.dumps, in the package and in the benchmarks, says allow_nan=False."""
    calls = [
        (path, node)
        for folder in ("src", "benchmarks", "docs")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"json.dump", "json.dumps", "dumps", "dump"}
    ]
    lax = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, node in calls
        if not any(k.arg == "allow_nan" and ast.unparse(k.value) == "False" for k in node.keywords)
    ]
    assert calls
    assert not lax
