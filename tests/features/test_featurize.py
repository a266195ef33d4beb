"""Featurize renders again only what changed, and its bytes are those of a run from nothing."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import chdir
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch
from torch import Tensor, nn

import scale
from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.base.params import load, parse, read
from spira.clips.arrays import read_array
from spira.encoders.encoder import Encoder
from spira.encoders.params import EmbeddingParams
from spira.features import frame_shards
from spira.features import store as frames
from spira.features.cache import Shards
from spira.features.conditions import CONDITIONS
from spira.features.frame_shards import NoisyRenderer
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams
from spira.features.rendering import NoiseInserter, make_renderer
from spira.features.store import write_shard
from spira.stages import featurize
from tiny import ROOT

N_CLIPS = 120
FEATURES = load("features", FeatureParams, path=ROOT / "params.yaml")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ingested and split; its last clip is still to come."""
    at = tmp_path_factory.mktemp("corpus")
    scale.write_corpus(at / "data/raw/many", N_CLIPS + 1)
    scale.write_noise(at / "data/raw/hiss")
    whole = at / "data/raw/many/metadata.csv"
    shutil.copy(whole, at / "whole.csv")
    whole.write_text("\n".join(whole.read_text().splitlines()[:-1]) + "\n")
    before_features(at)
    return at


def before_features(at: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for stage in ("ingest", "ingest_noise", "split"):
            scale.run_stage(stage, at)


@pytest.fixture
def workspace(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As DVC runs a stage in, with sixteen shards an array."""
    as_dvc_runs(tmp_path, monkeypatch)
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="module")
def first_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, what a run made of it, and what that run kept."""
    at = tmp_path_factory.mktemp("first") / "run"
    shutil.copytree(corpus, at)
    with pytest.MonkeyPatch.context() as patch:
        as_dvc_runs(at, patch)
        run(at)
    return at


@pytest.fixture
def rendered(first_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace after a first run; an output and what is kept of it are one file here too, as ``cp -a`` copies."""
    as_dvc_runs(tmp_path, monkeypatch)
    subprocess.run(["cp", "-a", f"{first_run}/.", tmp_path], check=True)
    return tmp_path


def as_dvc_runs(at: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("DVC_ROOT", str(at))
    patch.delenv("SPIRA_CHECKPOINTS", raising=False)
    patch.setattr(featurize, "count_shards", lambda *_: 16)


def run(at: Path, sample_rate: int = 16_000, **changed: Mapping[str, object]) -> None:
    """With other values of some parameters of some sections."""
    tree, _ = read(ROOT / "params.yaml")
    with chdir(at):
        featurize.run(
            sample_rate,
            parse(FeatureParams, tree["features"] | changed.get("features", {})),
            parse(EmbeddingParams, tree["embedding"] | changed.get("embedding", {})),
            parse(WindowParams, {"seconds": 1.0, "step_seconds": 1.0} | dict(changed.get("windows", {}))),
            parse(NoiseParams, tree["noise"] | {"views": 1} | changed.get("noise", {})),
        )


def run_after_dvc(at: Path, **changed: Any) -> set[str]:
    """What was made by a run whose outs DVC has deleted."""
    shutil.rmtree(at / "data/features")
    made = set()

    def writing(path: Path, *rest: Any) -> list[int]:
        made.add(f"{path.parent.name}/{path.stem}")
        return write_shard(path, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_shards, "write_shard", writing)
        run(at, **changed)
    return made


def arrays(at: Path) -> set[str]:
    return {f"{path.parent.name}/{path.stem}" for path in (at / "data/features").glob("*/*.npy")}


def contents(at: Path) -> dict[Path, bytes]:
    return {path.relative_to(at): path.read_bytes() for path in (at / "data/features").rglob("*.*")}


def from_nothing(at: Path, **changed: Any) -> dict[Path, bytes]:
    """What a run writes that takes nothing from any other, nor from itself."""
    shutil.rmtree(at / "data/features")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "restored", lambda *_: None)
        run(at, **changed)
    return contents(at)


def test_a_second_run_makes_nothing(rendered: Path) -> None:
    """Seven arrays in sixteen shards; less than 128 files."""
    assert run_after_dvc(rendered) == set()
    second = contents(rendered)
    assert 16 * 7 * 0.75 < len(second) < 128
    assert second == from_nothing(rendered)


def test_by_hand_all_is_made(rendered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no DVC started the stage; but for what one run has twice, as a patient's clip under two conditions."""
    monkeypatch.delenv("DVC_ROOT")
    made = run_after_dvc(rendered)
    assert {name for name in arrays(rendered) if not name.split("/")[1].startswith("noisy_controls")} <= made
    assert contents(rendered) == from_nothing(rendered)


def test_one_more_clip_makes_its_own_shards_alone(rendered: Path) -> None:
    """Under each condition of its subset, though every slice of the array of waveforms has moved."""
    metadata = rendered / "data/raw/many/metadata.csv"
    header, *rows = (rendered / "whole.csv").read_text().splitlines()
    name, rest = rows.pop().split(",", 1)
    (rendered / "data/raw/many" / name).rename(rendered / "data/raw/many/000/!.wav")  # before all others
    metadata.write_text("\n".join([header, f"000/!.wav,{rest}", *rows]) + "\n")
    before_features(rendered)
    subset = pl.read_csv(rendered / "data/subsets.csv").filter(pl.col("clip_id") == "000/!.wav")["subset"].item()
    assert run_after_dvc(rendered) == own_arrays(rendered, subset, "000/!.wav")
    assert contents(rendered) == from_nothing(rendered)


def own_arrays(at: Path, subset: str, clip: str) -> set[str]:
    """Those that the clip is in."""
    tables = (at / "data/features" / subset).glob("*.csv")
    shards = {table.stem: pl.read_csv(table).filter(pl.col("clip_id") == clip)["shard"][0] for table in tables}
    return {f"{subset}/{condition}-{shard}" for condition, shard in shards.items()}


def test_another_recording_under_the_same_name_makes_its_own_shards(rendered: Path) -> None:
    """As long as the one before, so that nothing moves."""
    clip, subset = pl.read_csv(rendered / "data/subsets.csv").select("clip_id", "subset").row(0)
    scale.write_noise(rendered / "other")
    samples, rate = soundfile.read(rendered / "other/0.wav", frames=16_000, dtype="int16")
    soundfile.write(rendered / "data/raw/many" / clip, samples, rate, subtype="PCM_16")
    before_features(rendered)
    assert run_after_dvc(rendered) == own_arrays(rendered, subset, clip)
    assert contents(rendered) == from_nothing(rendered)


ALL: dict[str, dict[str, Any]] = {
    "features": {"features": {"n_mels": 30, "n_mfcc": 30}},
    "an odd FFT, with a frame less": {"features": {"n_fft": 1201}},
    "longer windows": {"windows": {"seconds": 1.5}, "features": {"normalize": "none"}},  # short clips are padded
    "other draws": {"noise": {"seed": 9}},
    "louder noise": {"noise": {"snr_db": {"low": -10.0, "high": 0.0}}},
    "noise by peak": {"noise": {"level": "peak"}},
    "other noise in the test set": {"noise": {"unseen": 0.7}},
    "another level of pauses": {"features": {"active_db": 15.0}},
    "another rate, and windows of as many samples": {
        "sample_rate": 20_000,
        "windows": {"seconds": 0.8, "step_seconds": 0.5},
    },
}


@pytest.mark.parametrize("change", ALL)
def test_a_changed_parameter_makes_all_anew(change: str, rendered: Path) -> None:
    """But for what the run has twice."""
    made = run_after_dvc(rendered, **ALL[change])
    assert {name for name in arrays(rendered) if "noisy_controls" not in name} <= made
    assert contents(rendered) == from_nothing(rendered, **ALL[change])


@pytest.mark.parametrize(
    ("noise", "made_again", "kept"),
    [
        ({"n_control": 2}, "noisy", "clean"),
        ({"n_patient": 2}, "noisy", "clean"),
        ({"views": 2}, "train", "validation"),
        ({"views": 2}, "train", "test"),
    ],
)
def test_what_a_parameter_of_noise_does_not_decide_stays(
    noise: Mapping[str, float], made_again: str, kept: str, rendered: Path
) -> None:
    """A number of noises is nothing to clean clips, and a view in training to nobody else's."""
    made = run_after_dvc(rendered, noise=noise)
    assert any(made_again in name for name in made)
    assert not any(kept in name for name in made)
    assert contents(rendered) == from_nothing(rendered, noise=noise)


def test_weights_are_no_work(rendered: Path) -> None:
    """They stand in the tables alone: no frame is rendered again."""
    assert run_after_dvc(rendered, noise={"clean_weight": 0.25}) == set()
    weights = pl.read_csv(rendered / "data/features/train/views.csv").group_by("view").agg(pl.col("weight").unique())
    assert sorted(weights.rows()) == [(0, [0.25]), (1, [0.75])]


def test_longer_windows_are_no_work_where_no_clip_is_padded(rendered: Path) -> None:
    """With normalisation a short clip is filled up in its window, not in its sound."""
    assert run_after_dvc(rendered, windows={"seconds": 1.5}) == set()


def frames_by_clip(at: Path, subset: str, array: str) -> dict[tuple[str, int], np.ndarray]:
    """The frames of each clip and view."""
    clips = pl.read_csv(at / "data/features" / subset / f"{array}.csv")["clip_id"].unique().to_list()
    tensors, table = frames.read_renderings(at / "data/features" / subset, array, clips)
    keys = table.select("clip_id", "view").rows()
    return {key: tensor.numpy() for key, tensor in zip(keys, tensors, strict=True)}


def test_training_has_one_view_without_noise_and_validation_weighs_as_it_does(workspace: Path) -> None:
    """Views of a clip weigh 1 together; view 0 has the clip's clean frames; validation weighs both."""
    run(workspace, noise={"views": 2})
    folder = workspace / "data/features"
    table = pl.read_csv(folder / "train/views.csv")
    assert table.filter(view=0)["weight"].unique().to_list() == [0.5]
    assert table.filter(pl.col("view") > 0)["weight"].unique().to_list() == [0.25]
    assert set(table.group_by("clip_id").agg(pl.col("weight").sum())["weight"]) == {1.0}
    assert set(table["view"]) == {0, 1, 2}
    tables = {(s, c): pl.read_csv(folder / s / f"{c}.csv") for s in ("validation", "test") for c in CONDITIONS}
    weights = {key: table["weight"].unique().to_list() for key, table in tables.items()}
    assert weights == {("validation", "clean"): [0.5], ("validation", "noisy"): [0.5]} | {
        ("validation", "noisy_controls"): [0.0]
    } | {("test", condition): [1.0] for condition in CONDITIONS}
    rendered = frames_by_clip(workspace, "train", "views")
    renderer = make_renderer(FEATURES, WindowParams(seconds=1.0, step_seconds=1.0), 16_000)
    waveforms = read_array(workspace / "data/clips/waveforms-000.npy")
    rows = {row["clip_id"]: row for row in pl.read_csv(workspace / "data/clips/clips.csv").rows(named=True)}
    for (clip, view), got in rendered.items():
        start = rows[clip]["start"]
        clean = renderer(waveforms[start : start + rows[clip]["n_samples"]]).numpy()
        assert (got.shape == clean.shape and np.array_equal(got, clean)) == (view == 0)


def test_where_the_clean_view_weighs_nothing_there_is_none(workspace: Path) -> None:
    """As in SPIRA's publication."""
    run(workspace, noise={"clean_weight": 0.0})
    assert set(pl.read_csv(workspace / "data/features/train/views.csv")["view"]) == {1}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, frozenset[str], int]]:
    """(clip, view, groups of noise, noises) of everything that noise is inserted into."""
    seen: list[tuple[str, int, frozenset[str], int]] = []
    insert = NoiseInserter.__call__

    def watched(self: NoiseInserter, waveform: Waveform, clip_id: str, *, view: int, n_noises: int) -> Waveform:
        seen.append((clip_id, view, frozenset(self.bank.groups), n_noises))
        return insert(self, waveform, clip_id, view=view, n_noises=n_noises)

    monkeypatch.setattr(NoiseInserter, "__call__", watched)
    return seen


def test_no_noise_of_the_test_set_is_used_before(
    workspace: Path, drawn: list[tuple[str, int, frozenset[str], int]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither by a training view nor by a validation clip; and no training draw is a scoring draw."""
    run(workspace, noise={"views": 2})
    subsets = dict(pl.read_csv(workspace / "data/subsets.csv").select("clip_id", "subset").rows())
    groups: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    views: dict[str, set[int]] = {"train": set(), "validation": set(), "test": set()}
    for clip, view, names, n_noises in drawn:
        if n_noises:
            groups[subsets[clip]] |= names
            views[subsets[clip]].add(view)
    assert groups["train"] == groups["validation"]
    assert not groups["train"] & groups["test"]
    assert views == {"train": {1, 2}, "validation": {0}, "test": {0}}
    n = len(groups["train"] | groups["test"])
    n_test = len(groups["test"])
    said = f"noise: {n - n_test} recordings for training and validation, {n_test} others for test"
    assert said in capsys.readouterr().out


def test_a_clip_of_two_subsets_has_the_noise_of_each(workspace: Path) -> None:
    """As under cross-validation: the array of one condition is no other's, though its clips are; clean ones are."""
    clips = pl.read_csv(workspace / "data/subsets.csv")["clip_id"].to_list()
    subsets = ("train", "validation", "test")
    rows = [(fold, clip, subsets[(i + fold) % 3]) for fold in range(3) for i, clip in enumerate(clips)]
    table = pl.DataFrame(rows, schema=["fold", "clip_id", "subset"], orient="row")
    table.write_csv(workspace / "data/subsets.csv")
    run(workspace)
    made = contents(workspace)
    features = Path("data/features")
    assert made[features / "test/clean-3.npy"] == made[features / "validation/clean-3.npy"]
    assert made[features / "test/noisy-3.npy"] != made[features / "validation/noisy-3.npy"]
    assert made == from_nothing(workspace)


def test_all_noise_is_used_everywhere_where_none_is_to_be_kept(
    workspace: Path, drawn: list[tuple[str, int, frozenset[str], int]], capsys: pytest.CaptureFixture[str]
) -> None:
    """As before there was the parameter; and a line says so."""
    run(workspace, noise={"unseen": 0.0})
    assert len({names for *_, names, _ in drawn}) == 1
    assert re.search(r"noise: all \d+ recordings, for training, validation and test alike", capsys.readouterr().out)


def test_only_what_the_last_run_left_is_taken(rendered: Path) -> None:
    """What it did not need is gone, or the folder would grow with every corpus."""
    kept = list((rendered / ".ckpt/featurize").glob("*/*"))
    metadata = rendered / "data/raw/many/metadata.csv"
    metadata.write_text("\n".join(metadata.read_text().splitlines()[:-1]) + "\n")
    before_features(rendered)
    made = run_after_dvc(rendered)
    assert made
    assert len(list((rendered / ".ckpt/featurize").glob("*/*"))) == len(kept)


def test_other_noise_or_packages_make_all_anew(rendered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any clip may have drawn the recording that changed; any number may be another package's."""
    (rendered / "data/raw/hiss/metadata.csv").write_text("file_path\n0.wav\n2.wav\n")
    before_features(rendered)
    assert len(run_after_dvc(rendered)) > 16 * 3  # noisy in training, clean and noisy elsewhere
    assert contents(rendered) == from_nothing(rendered)
    monkeypatch.setattr(featurize, "version", lambda _: "99")
    assert len(run_after_dvc(rendered)) > 16 * 3


def test_a_shard_that_was_changed_is_made_anew(rendered: Path) -> None:
    """By a hand or by the disk, in the output, which is one file with what is kept of it."""
    path = rendered / "data/features/train/views-3.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert run_after_dvc(rendered) == {"train/views-3"}
    assert contents(rendered) == from_nothing(rendered)


class Kill(BaseException):
    pass


def run_until_killed(at: Path, n_clips: int) -> None:
    render, rendered = NoisyRenderer.__call__, count(1)

    def until_killed(*arguments: Any) -> object:
        if next(rendered) > n_clips:
            raise Kill
        return render(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NoisyRenderer, "__call__", until_killed)
        with pytest.raises(Kill):
            run(at)


def test_a_run_that_was_killed_goes_on(workspace: Path) -> None:
    """What it had finished is taken by the next one."""
    run_until_killed(workspace, 50)
    made = arrays(workspace)
    assert made
    assert run_after_dvc(workspace).isdisjoint(made)
    assert contents(workspace) == from_nothing(workspace)


def test_no_old_table_tells_of_new_frames(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand nobody deletes the outs: what was begun and not finished is refused by whoever reads it."""
    monkeypatch.delenv("DVC_ROOT")
    run(workspace)
    run_until_killed(workspace, 50)
    with pytest.raises(DataError, match=r"features/train/views\.csv: no such file"):
        frames.read_windows(
            workspace / "data/features/train", "views", ["x"], length=101, step=100, device=torch.device("cpu")
        )


class Counted(nn.Module):
    """An encoder that costs nothing and remembers how often it was asked."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain, self.n_asked = gain, 0

    def forward(self, waveform: Tensor) -> Tensor:
        self.n_asked += 1
        return self.gain * waveform[: 256 * (len(waveform) // 256)].reshape(-1, 256)


EMBEDDING: dict[str, Any] = {"features": {"kind": "embedding"}, "embedding": {"file": "e.safetensors"}}


@pytest.fixture
def encoder(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """In the place of the one that the file of weights holds."""
    net = Counted()
    (workspace / "data/pretrained").mkdir()
    (workspace / "data/pretrained/e.safetensors").write_bytes(b"1.0")
    monkeypatch.setattr(frame_shards, "load_encoder", lambda _, __: Encoder(net, 1))
    monkeypatch.setattr(
        featurize, "count_shards", lambda *_: 1
    )  # one shard an array, in which every clip has neighbours
    return net


def add_last_clip(at: Path) -> None:
    shutil.copy(at / "whole.csv", at / "data/raw/many/metadata.csv")
    before_features(at)


def test_a_new_clip_costs_the_encoder_one_clip(workspace: Path, encoder: Counted) -> None:
    """Its neighbours in the shard are written anew from what the last run kept; the bytes are those from nothing."""
    run(workspace, **EMBEDDING)
    before, encoder.n_asked = encoder.n_asked, 0
    add_last_clip(workspace)
    run_after_dvc(workspace, **EMBEDDING)
    assert 0 < encoder.n_asked <= 3  # the most that one clip has: two training views, or three conditions
    assert before > 3 * N_CLIPS / 2
    second = contents(workspace)
    shutil.rmtree(workspace / ".ckpt")
    assert second == from_nothing(workspace, **EMBEDDING)


def test_what_was_kept_stays_while_it_is_of_use(workspace: Path, encoder: Counted) -> None:
    """A run that restores whole shards asks for none of their clips, and must not lose them for the next."""
    run(workspace, **EMBEDDING)
    run_after_dvc(workspace, **EMBEDDING)
    kept = len(list((workspace / ".ckpt/encoded").rglob("*")))
    encoder.n_asked = 0
    add_last_clip(workspace)
    run_after_dvc(workspace, **EMBEDDING)
    assert 0 < encoder.n_asked <= 3
    assert kept <= len(list((workspace / ".ckpt/encoded").rglob("*"))) <= kept + 3


def test_other_weights_are_other_frames(workspace: Path, encoder: Counted) -> None:
    """The file's hash is part of what finds frames again, its name is not enough."""
    run(workspace, **EMBEDDING)
    first, encoder.n_asked = contents(workspace), 0
    (workspace / "data/pretrained/e.safetensors").write_bytes(b"2.0")
    encoder.gain = 2.0
    run_after_dvc(workspace, **EMBEDDING)
    assert encoder.n_asked > N_CLIPS
    assert contents(workspace) != first


def test_damaged_frames_are_computed_again(workspace: Path, encoder: Counted) -> None:
    """Each is kept with its hash."""
    run(workspace, **EMBEDDING)
    add_last_clip(workspace)
    for path in (workspace / ".ckpt/encoded").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    encoder.n_asked = 0
    run_after_dvc(workspace, **EMBEDDING)
    assert encoder.n_asked > 3  # its neighbours too
    second = contents(workspace)
    shutil.rmtree(workspace / ".ckpt")
    assert second == from_nothing(workspace, **EMBEDDING)
