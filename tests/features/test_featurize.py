"""Featurize renders again only what changed, and its bytes are those of a run from nothing."""

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import soundfile
import torch

import scale
from spira.base.errors import DataError
from spira.base.params import parse, read
from spira.features import store as frames
from spira.features.cache import Shards
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams
from spira.features.store import write_shard
from spira.stages import featurize
from tiny import ROOT

N_CLIPS = 120


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
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SPIRA_CHECKPOINTS", raising=False)
    monkeypatch.setattr(frames, "_CLIPS_A_SHARD", 1)
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    return tmp_path


def run(at: Path, sample_rate: int = 16_000, **changed: Mapping[str, object]) -> None:
    """With other values of some parameters of some sections."""
    tree, _ = read(ROOT / "params.yaml")
    featurize.run(
        sample_rate,
        parse(FeatureParams, tree["features"] | changed.get("features", {})),
        parse(WindowParams, {"seconds": 1.0, "step_seconds": 1.0} | dict(changed.get("windows", {}))),
        parse(NoiseParams, tree["noise"] | {"views": 1} | changed.get("noise", {})),
        clips=at / "data/clips",
        noises=at / "data/noise",
        subsets=at / "data/subsets.csv",
        out=at / "data/features",
    )


def run_after_dvc(at: Path, **changed: Any) -> set[str]:
    """What was made by a run whose outs DVC has deleted."""
    shutil.rmtree(at / "data/features")
    made = set()

    def writing(path: Path, *rest: Any) -> list[int]:
        made.add(f"{path.parent.name}/{path.stem}")
        return write_shard(path, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(featurize, "write_shard", writing)
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


def test_a_second_run_makes_nothing(workspace: Path) -> None:
    """Seven arrays in sixteen shards; less than 128 files."""
    run(workspace)
    assert run_after_dvc(workspace) == set()
    second = contents(workspace)
    assert 16 * 7 * 0.75 < len(second) < 128
    assert second == from_nothing(workspace)


def test_by_hand_all_is_made(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no DVC started the stage; but for what one run has twice, as a patient's clip under two conditions."""
    run(workspace)
    monkeypatch.delenv("DVC_ROOT")
    made = run_after_dvc(workspace)
    assert {name for name in arrays(workspace) if not name.split("/")[1].startswith("noisy_controls")} <= made
    assert contents(workspace) == from_nothing(workspace)


def test_one_more_clip_makes_its_own_shards_alone(workspace: Path) -> None:
    """Under each condition of its subset, though every slice of the array of waveforms has moved."""
    run(workspace)
    metadata = workspace / "data/raw/many/metadata.csv"
    header, *rows = (workspace / "whole.csv").read_text().splitlines()
    name, rest = rows.pop().split(",", 1)
    (workspace / "data/raw/many" / name).rename(workspace / "data/raw/many/000/!.wav")  # before all others
    metadata.write_text("\n".join([header, f"000/!.wav,{rest}", *rows]) + "\n")
    before_features(workspace)
    subset = pl.read_csv(workspace / "data/subsets.csv").filter(pl.col("clip_id") == "000/!.wav")["subset"].item()
    assert run_after_dvc(workspace) == own_arrays(workspace, subset, "000/!.wav")
    assert contents(workspace) == from_nothing(workspace)


def own_arrays(at: Path, subset: str, clip: str) -> set[str]:
    """Those that the clip is in."""
    tables = (at / "data/features" / subset).glob("*.csv")
    shards = {table.stem: pl.read_csv(table).filter(pl.col("clip_id") == clip)["shard"][0] for table in tables}
    return {f"{subset}/{condition}-{shard}" for condition, shard in shards.items()}


def test_another_recording_under_the_same_name_makes_its_own_shards(workspace: Path) -> None:
    """As long as the one before, so that nothing moves."""
    run(workspace)
    clip, subset = pl.read_csv(workspace / "data/subsets.csv").select("clip_id", "subset").row(0)
    scale.write_noise(workspace / "other")
    samples, rate = soundfile.read(workspace / "other/0.wav", frames=16_000, dtype="int16")
    soundfile.write(workspace / "data/raw/many" / clip, samples, rate, subtype="PCM_16")
    before_features(workspace)
    assert run_after_dvc(workspace) == own_arrays(workspace, subset, clip)
    assert contents(workspace) == from_nothing(workspace)


ALL: dict[str, dict[str, Any]] = {
    "features": {"features": {"n_mels": 30, "n_mfcc": 30}},
    "an odd FFT, with a frame less": {"features": {"n_fft": 1201}},
    "longer windows": {"windows": {"seconds": 1.5}},
    "other draws": {"noise": {"seed": 9}},
    "louder noise": {"noise": {"max_peak": 0.5}},
    "another rate, and windows of as many samples": {
        "sample_rate": 20_000,
        "windows": {"seconds": 0.8, "step_seconds": 0.5},
    },
}


@pytest.mark.parametrize("change", ALL)
def test_a_changed_parameter_makes_all_anew(change: str, workspace: Path) -> None:
    """But for what the run has twice."""
    run(workspace)
    made = run_after_dvc(workspace, **ALL[change])
    assert {name for name in arrays(workspace) if "noisy_controls" not in name} <= made
    assert contents(workspace) == from_nothing(workspace, **ALL[change])


@pytest.mark.parametrize(
    ("noise", "made_again", "kept"),
    [
        ({"n_control": 1}, "noisy", "clean"),
        ({"n_patient": 1}, "noisy", "clean"),
        ({"views": 2}, "train", "validation"),
        ({"views": 2}, "train", "test"),
    ],
)
def test_what_a_parameter_of_noise_does_not_decide_stays(
    noise: Mapping[str, int], made_again: str, kept: str, workspace: Path
) -> None:
    """A number of noises is nothing to clean clips, and a view in training to nobody else's."""
    run(workspace)
    made = run_after_dvc(workspace, noise=noise)
    assert any(made_again in name for name in made)
    assert not any(kept in name for name in made)
    assert contents(workspace) == from_nothing(workspace, noise=noise)


def test_only_what_the_last_run_left_is_taken(workspace: Path) -> None:
    """What it did not need is gone, or the folder would grow with every corpus."""
    run(workspace)
    kept = list((workspace / ".ckpt/featurize").glob("*/*"))
    metadata = workspace / "data/raw/many/metadata.csv"
    metadata.write_text("\n".join(metadata.read_text().splitlines()[:-1]) + "\n")
    before_features(workspace)
    made = run_after_dvc(workspace)
    assert made
    assert len(list((workspace / ".ckpt/featurize").glob("*/*"))) == len(kept)


def test_other_noise_or_packages_make_all_anew(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any clip may have drawn the recording that changed; any number may be another package's."""
    run(workspace)
    (workspace / "data/raw/hiss/metadata.csv").write_text("file_path\n0.wav\n2.wav\n")
    before_features(workspace)
    assert len(run_after_dvc(workspace)) > 16 * 3  # noisy in training, clean and noisy elsewhere
    assert contents(workspace) == from_nothing(workspace)
    monkeypatch.setattr(featurize, "version", lambda _: "99")
    assert len(run_after_dvc(workspace)) > 16 * 3


def test_a_shard_that_was_changed_is_made_anew(workspace: Path) -> None:
    """By a hand or by the disk, in the output, which is one file with what is kept of it."""
    run(workspace)
    path = workspace / "data/features/train/views-3.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert run_after_dvc(workspace) == {"train/views-3"}
    assert contents(workspace) == from_nothing(workspace)


class Kill(BaseException):
    pass


def run_until_killed(at: Path, n_clips: int) -> None:
    render, rendered = featurize.NoisyRenderer.__call__, count(1)

    def until_killed(*arguments: Any) -> object:
        if next(rendered) > n_clips:
            raise Kill
        return render(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(featurize.NoisyRenderer, "__call__", until_killed)
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
