"""What a stage costs before it works: it imports what it uses, and help runs nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from closures import ROOT, STAGES

TENSORS = {"alter", "featurize", "fit", "package", "predict", "train"}
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests/support")])}
OPTIMIZES = """
from tiny import train_params
from torch import nn
from spira.training.optimization import optimizer_for
for kind in ("adam", "adamw", "radam"):
    optimizer = optimizer_for(net := nn.Linear(1, 1), train_params(optimizer=kind))
    net(net.weight).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
"""
NOWHERE = {
    "librosa",
    "numba",
    "pandas",
    "matplotlib",
    "scipy.stats",
    "scipy.signal",
    "scipy.optimize",
    "sklearn",
}


def loaded_by(stages: list[str], then: str = "") -> set[str]:
    """Modules that are there once these stages are imported, and more is done, in a process of their own."""
    imports = ", ".join(f"spira.stages.{stage}" for stage in stages)
    command = [sys.executable, "-c", f"import json, sys, {imports}\n{then}\nprint(json.dumps(list(sys.modules)))"]
    return set(json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout))


def test_torch_is_loaded_where_tensors_are_and_what_one_function_needs_nowhere() -> None:
    """A second of start-up each: scikit-learn and parts of SciPy wait in the function that needs them."""
    assert not loaded_by([stage for stage in STAGES if stage not in TENSORS]) & {*NOWHERE, "torch", "torchaudio"}
    works = "from spira.models.device import prepare; prepare('cpu', 0)\n" + OPTIMIZES
    assert not loaded_by(sorted(TENSORS), works) & {*NOWHERE, "torchaudio", "torch._inductor", "torch._dynamo"}


def test_params_yaml_is_checked_without_torch(tmp_path: Path) -> None:
    """The committed one passes; a typo, a number out of range and a contradiction between sections are refused."""
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "sound.yaml").write_text(text)
    (tmp_path / "typo.yaml").write_text(text.replace("max_epochs:", "max_epoch:"))
    (tmp_path / "range.yaml").write_text(text.replace("  batch_size: 16 ", "  batch_size: 0 "))
    (tmp_path / "contradiction.yaml").write_text(text.replace("networks: [pooled_cnn]", "networks: [cnn6]"))
    code = f"""
from pathlib import Path
from spira.stages.check import run
for path in sorted(Path({str(tmp_path)!r}).glob("*.yaml")):
    try:
        run(params=path, out=path.with_suffix(".checked"))
    except ValueError:
        pass
"""
    assert "torch" not in loaded_by(["check"], code)
    assert {path.name for path in tmp_path.glob("*.checked")} == {"sound.checked"}


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_says_what_a_stage_does_and_does_nothing(asked: str, tmp_path: Path) -> None:
    """It needs neither data nor params.yaml, and leaves no file."""
    command = [sys.executable, "-m", "spira.stages.split", asked]
    result = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    assert result.stdout.startswith("split: the table of clips -> the subset of each clip")
    assert list(tmp_path.iterdir()) == []
