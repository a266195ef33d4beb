"""Every stage after the other, in this process: it must learn, and it must repeat itself byte for byte."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from spira.base.errors import DataError, ParamError
from spira.clips.arrays import read_array
from spira.features.conditions import CONDITIONS
from spira.features.store import read_renderings
from spira.probes.catalogue import PROBES
from stage_path import SEEDS, prepare, run_to_features, run_to_metrics, run_to_probes, run_training


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in (root / "data").rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def whole_path(root: Path, monkeypatch: pytest.MonkeyPatch, n_workers: int) -> None:
    root.mkdir()
    prepare(root, monkeypatch)
    run_to_features(n_workers)
    for seed in SEEDS:
        run_training(seed)
    run_to_metrics()
    run_to_probes(n_workers)


@pytest.mark.ml_test_score("Infrastructure 1", manual=True)
@pytest.mark.usefixtures("one_thread")
def test_it_learns_and_repeats_itself_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice, with one worker and one thread, and with three and two: the same bytes, and a test AUC over 0.9."""
    whole_path(tmp_path / "first", monkeypatch, n_workers=1)
    metrics = json.loads(Path("data/evaluation.json").read_text())
    auc = metrics["models"]["pooled_cnn"]["conditions"]["noisy"]["metrics"]["auc"]
    assert auc["mean"] > 0.9
    assert auc["lo"] <= auc["mean"] <= auc["hi"]

    facts = json.loads(Path("data/models/pooled_cnn/holdout/1/model.json").read_text())
    assert facts["best_epoch"] >= 1
    first, second = (load_file(f"data/models/pooled_cnn/holdout/{seed}/weights.safetensors") for seed in SEEDS)
    assert not any(torch.equal(first[name], second[name]) for name in first if name.endswith("linear.weight"))

    predictions = pl.read_csv("data/predictions.csv")
    assert predictions.group_by("model", "subset", "condition", "seed").len()["len"].to_list() == [6] * (12 + 6)
    assert predictions["score"].is_between(0, 1).all()
    losses = pl.read_csv("data/curves/pooled_cnn/holdout/1/plots/metrics/train/loss.tsv", separator="\t")["loss"]
    assert losses[-1] < losses[0]

    altered = pl.read_csv("data/altered.csv")
    assert altered.group_by("model", "condition", "seed").len()["len"].to_list() == [6] * (14 + 7)
    noisy = altered.filter(condition="noise_added")["score"].to_numpy()
    as_predicted = predictions.filter(subset="test", condition="noisy")["score"].to_numpy()
    assert np.allclose(
        np.sort(noisy), np.sort(as_predicted), atol=1e-5
    )  # by the same path, as noise.n is alter.n_noises
    probed = json.loads(Path("data/probes.json").read_text())
    assert list(probed) == ["corpus", "models"]
    assert list(probed["models"]) == altered["model"].unique(maintain_order=True).to_list()
    for model in probed["models"].values():
        probes = model["probes"]
        assert set(probes) == set(PROBES)
        assert all(set(found) >= {"question", "verdict", "rule", "why"} for found in probes.values())
        assert probes["polarity"]["verdict"] == "pass"  # no feature keeps the sign
        assert probes["recording_date"]["why"] == "not run: `recorded_on` is unknown for 24 of 24 clips"
        assert model["verdict"] in ("pass", "warn")  # six test clips leave an interval wide
    assert Path("data/similar_voices.csv").read_text() == "speaker_id,other_speaker_id,similarity\n"
    assert Path("data/near_duplicates.csv").read_text() == "clip_id,other_clip_id,bit_errors,delay_seconds\n"

    torch.set_num_threads(2)
    whole_path(tmp_path / "again", monkeypatch, n_workers=3)
    assert digests(tmp_path / "again") == digests(tmp_path / "first")


@pytest.mark.ml_test_score("Data 4")
def test_a_clip_keeps_its_features_when_another_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise and frames depend on the clip's identity, never on its position or neighbours."""
    prepare(tmp_path, monkeypatch)
    run_to_features(1)
    before = frames_by_clip()
    metadata = Path("data/raw/tiny/metadata.csv")
    lines = metadata.read_text().splitlines()
    Path("data/raw/tiny/a_new.wav").write_bytes(Path("data/raw/tiny/clip_00.wav").read_bytes()[:-2000] + bytes(2000))
    metadata.write_text("\n".join([lines[0], "a_new.wav,control,s99,F,33,train", *reversed(lines[1:])]) + "\n")
    run_to_features(2)
    after = frames_by_clip()
    assert set(after) - set(before) == {("train", "a_new.wav", view) for view in (0, 1)}
    assert all(torch.equal(after[clip], before[clip]) for clip in before)


def frames_by_clip() -> dict[tuple[str, str, int], torch.Tensor]:
    found = {}
    for subset in ("train", "validation", "test"):
        array = "views" if subset == "train" else "noisy"
        frames = read_array(Path(f"data/features/{subset}/{array}-0.npy"))
        for row in pl.read_csv(f"data/features/{subset}/{array}.csv").rows(named=True):
            rows = frames[row["start"] : row["start"] + row["n_frames"]]
            found[subset, row["clip_id"], row["view"]] = torch.from_numpy(rows.copy())
    return found


def test_conditions_differ_where_they_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``noisy_controls`` is ``noisy`` for controls and ``clean`` for patients; SPIRA's protocol."""
    prepare(tmp_path, monkeypatch)
    run_to_features(1)
    rendered, labels = {}, {}
    for condition in CONDITIONS:
        clips = pl.read_csv(f"data/features/test/{condition}.csv")["clip_id"].to_list()
        rendered[condition], table = read_renderings(Path("data/features/test"), condition, clips)
        labels[condition] = table["label"].to_list()
    assert labels["clean"] == labels["noisy"] == labels["noisy_controls"]
    for label, clean, noisy, controls in zip(labels["clean"], *rendered.values(), strict=True):
        assert torch.equal(controls, clean if label == 1 else noisy)
        assert not torch.equal(clean, noisy)


def test_a_diverged_loss_stops_at_that_step_and_names_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN reaches neither the weights nor the metrics: no model is written."""
    diverging = {"optimizer": "adamw", "lr": 100.0, "weight_decay": 100.0}
    prepare(tmp_path, monkeypatch, train=diverging, models={"networks": ["spiraconv_v2"]})
    run_to_features(1)
    with pytest.raises(
        DataError, match=r"the (loss|gradient) became \S+ in epoch \d, .*clip_\d\d\.wav.*lower train\.lr"
    ):
        run_training(1)
    assert not Path("data/models/spiraconv_v2/holdout/1").exists()


def test_cuda_that_is_not_there_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name, a missing GPU is an error; ``auto`` takes the CPU."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    prepare(tmp_path, monkeypatch, train={"device": "cuda"})
    with pytest.raises(
        ParamError, match=r"train\.device: must be auto or cpu where torch finds no CUDA device, got cuda"
    ):
        run_training(1)
