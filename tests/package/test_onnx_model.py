"""The ONNX file gives the package's scores, without torch: by onnxruntime, on windows that are cut here by hand."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from in_process import spira
from onnx_windows import windows_of
from packaged import Packaged
from sounds import pcm, tones, wav
from spira.base.tables import read_json
from spira.ingest.mono import Mono, read_mono
from spira.scorer.manifest import MANIFEST, read_manifest
from spira.scorer.scorer import Scorer

PARITY = 1e-5


@pytest.fixture(scope="module")
def exported(packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "model.onnx"
    ran = spira(packaged.root, "export-onnx", "--package", "packages/pooled_cnn", str(out), environment={})
    assert ran.stdout == f"{out}: the mean score of 2 networks\n", ran.stderr
    return out


def test_each_recording_gets_the_packages_score(packaged: Packaged, exported: Path, tmp_path: Path) -> None:
    """Recordings of the corpus, long and short; in one window and in several."""
    folder = packaged.package("pooled_cnn")
    p, session = read_manifest(folder / MANIFEST), onnxruntime.InferenceSession(exported)
    short, n_windows = tmp_path / "short.wav", set()
    short.write_bytes(wav(pcm(tones(p.sample_rate, seconds=1.0))))
    with Scorer(folder) as scorer:
        for file in [*sorted(packaged.recordings.glob("*.wav")), short]:
            expected, mono = scorer.score(file), read_mono(file, p.sample_rate, p.ingest)
            assert isinstance(mono, Mono)
            assert isinstance(expected, float)
            windows = windows_of(mono.waveform, p)
            (score,) = session.run(["score"], {"windows": windows})
            assert score.dtype == np.float64
            assert float(score) == pytest.approx(expected, abs=PARITY), file
            n_windows.add(len(windows))
    assert min(n_windows) == 1 < max(n_windows)


def test_it_is_one_file_that_names_its_package(packaged: Packaged, exported: Path) -> None:
    """No second file of weights beside it; the standard's own checker accepts it."""
    assert list(exported.parent.iterdir()) == [exported]
    model = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    with Scorer(packaged.package("pooled_cnn"), check=True) as scorer:
        said = {one.key: one.value for one in model.metadata_props}
        assert said == {"package": scorer.package, "notice": "Research, not a diagnosis."}
    facts = read_json(packaged.package("pooled_cnn") / "models/1/model.json")
    (shape,) = [one.type.tensor_type.shape.dim for one in model.graph.input]
    assert [one.dim_value for one in shape][1:] == [facts["n_frames"], facts["n_features"]]
    assert shape[0].dim_param == "n_windows"


def test_a_package_without_a_network_has_none(packaged: Packaged, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    ran = spira(packaged.root, "export-onnx", "--package", "packages/statistics", str(out), environment={})
    assert ran.returncode == 1
    assert "its model is `statistics`, which is no network" in ran.stderr
    assert not out.exists()
