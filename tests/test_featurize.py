"""stages.featurize: what an earlier run made is not made again, and the bytes are those of a run from nothing."""

import shutil
from pathlib import Path

import polars as pl
import pytest

import scale
from spira.adapters import frames
from spira.core.frame_params import FeatureParams, WindowParams
from spira.core.noise import NoiseParams
from spira.params import load
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


def run(at: Path, views: int = 1, **features: object) -> None:
    params = ROOT / "params.yaml"
    featurize.run(
        16_000,
        load("features", FeatureParams, path=params).model_copy(update=features),
        WindowParams(seconds=1.0, step_seconds=1.0),
        load("noise", NoiseParams, path=params).model_copy(update={"views": views}),
        clips=at / "data/clips",
        noises=at / "data/noise",
        subsets=at / "data/subsets.csv",
        out=at / "data/features",
    )


def run_after_dvc(at: Path, views: int = 1, **features: object) -> set[str]:
    """What was written anew by a run whose outs DVC has deleted; by any other, a file is what it was before."""
    before = {path.relative_to(at): path.stat().st_ino for path in arrays(at)}
    (at / "data/features").rename(at / "before")  # not deleted, so that no number of a file is given away again
    run(at, views, **features)
    new = {path for path in arrays(at) if before.get(path.relative_to(at)) != path.stat().st_ino}
    shutil.rmtree(at / "before")
    return {f"{path.parent.name}/{path.stem}" for path in new}


def arrays(at: Path) -> list[Path]:
    return sorted((at / "data/features").glob("*/*.npy"))


def contents(at: Path) -> dict[Path, bytes]:
    return {path.relative_to(at): path.read_bytes() for path in (at / "data/features").rglob("*.*")}


def from_nothing(at: Path, monkeypatch: pytest.MonkeyPatch, views: int = 1, **features: object) -> dict[Path, bytes]:
    """What the same run writes by hand, where nothing is taken from before."""
    monkeypatch.delenv("DVC_ROOT")
    shutil.rmtree(at / "data/features")
    run(at, views, **features)
    return contents(at)


def test_a_second_run_makes_nothing(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven arrays in sixteen shards; less than 256 files."""
    run(workspace)
    assert run_after_dvc(workspace) == set()
    second = contents(workspace)
    assert 16 * 7 * 1.5 < len(second) < 256
    assert second == from_nothing(workspace, monkeypatch)


def test_one_more_clip_makes_its_own_shards_alone(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under each condition that its subset is heard in, though every place in the array of waveforms has moved."""
    run(workspace)
    metadata = workspace / "data/raw/many/metadata.csv"
    header, *rows = (workspace / "whole.csv").read_text().splitlines()
    name, rest = rows.pop().split(",", 1)
    (workspace / "data/raw/many" / name).rename(workspace / "data/raw/many/000/!.wav")  # before all others
    metadata.write_text("\n".join([header, f"000/!.wav,{rest}", *rows]) + "\n")
    before_features(workspace)
    subset = pl.read_csv(workspace / "data/subsets.csv").filter(pl.col("clip_id") == "000/!.wav")["subset"].item()
    conditions = {"train": ["noisy"]}.get(subset, ["clean", "noisy", "noisy_controls"])
    shard = frames.shard_of("000/!.wav", 16)
    assert run_after_dvc(workspace) == {f"{subset}/{condition}-{shard}" for condition in conditions}
    assert contents(workspace) == from_nothing(workspace, monkeypatch)


def test_a_parameter_makes_all_anew(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And back again: only the last run's are kept."""
    run(workspace)
    n_all = len(arrays(workspace))
    assert len(run_after_dvc(workspace, n_mels=30)) == n_all
    assert len(run_after_dvc(workspace)) == n_all
    assert contents(workspace) == from_nothing(workspace, monkeypatch)


def test_another_noise_makes_all_anew(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one recording's bytes, for any clip may have drawn it."""
    run(workspace)
    scale.write_noise(workspace / "other")
    shutil.copy(workspace / "other/1.wav", workspace / "data/raw/hiss/2.wav")
    (workspace / "data/raw/hiss/metadata.csv").write_text("file_path\n0.wav\n2.wav\n")
    before_features(workspace)
    run_after_dvc(workspace)
    assert contents(workspace) == from_nothing(workspace, monkeypatch)


def test_a_shard_that_was_changed_is_made_anew(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a hand or by the disk, in the output, which is one file with what is kept of it."""
    run(workspace)
    path = workspace / "data/features/train/noisy-3.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert run_after_dvc(workspace) == {"train/noisy-3"}
    assert contents(workspace) == from_nothing(workspace, monkeypatch)


def test_a_run_that_was_killed_goes_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had finished is taken by the next one."""

    class Kill(BaseException):
        pass

    rendered = 0
    render = featurize.Renderer.__call__

    def until_killed(*arguments: object) -> object:
        nonlocal rendered
        rendered += 1
        if rendered > 50:
            raise Kill
        return render(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(featurize.Renderer, "__call__", until_killed)
        with pytest.raises(Kill):
            run(workspace)
    made = len(arrays(workspace))
    new = run_after_dvc(workspace)
    assert 0 < made == len(arrays(workspace)) - len(new)
    assert contents(workspace) == from_nothing(workspace, monkeypatch)
