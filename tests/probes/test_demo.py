"""The demo's verdict is that of what is planted in it: ward noise behind the patients, and nothing else."""

from pathlib import Path

import pytest

from pipeline_clone import Clone
from spira.base.params import load
from spira.base.tables import read_json
from spira.demo.people import SynthesizeParams
from spira.probes.results import ProbeAnswers
from tiny import ROOT

# Ward noise is in the silent frames, so in the noise floor, at both ends of a recording, and in its average spectrum.
PLANTED = {"ward_noise", "level", "edges", "spectrum"}
ON, OFF = (f"ward_noise_in_patients: {written} " for written in ("true", "false"))


def failing(root: Path) -> dict[str, set[str]]:
    """By model, the names of the probes that fail it; its verdict is that of the worst."""
    models = ProbeAnswers.model_validate(read_json(root / "data/probes.json")).models
    found = {}
    for model, answers in models.items():
        found[model] = {name for name, probe in answers.probes.items() if probe.verdict == "fail"}
        assert (answers.verdict == "fail") == bool(found[model])
    return found


def test_the_demo_fails_by_what_is_planted_in_it_alone() -> None:
    """Every model of the committed results; a duration that separates the classes is no failure."""
    assert load("synthesize", SynthesizeParams, path=ROOT / "params.yaml").ward_noise_in_patients
    found = failing(ROOT)
    assert len(found) >= 2
    for model, names in found.items():
        assert {"ward_noise"} <= names <= PLANTED, model


@pytest.mark.pipeline
@pytest.mark.long  # ten minutes: the demo from nothing
def test_the_demo_without_ward_noise_fails_no_probe(tmp_path: Path) -> None:
    """Synthesized, trained and probed anew with one parameter changed: every model passes, or there are warnings."""
    clone = Clone.filled(tmp_path / "quiet")
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert params.count(ON) == 1
    (clone.folder / "params.yaml").write_text(params.replace(ON, OFF), encoding="utf-8")
    assert "probe" in clone.dvc("repro", "probe")
    found = failing(clone.folder)
    assert set(found) == set(failing(ROOT))
    assert not any(found.values()), found
