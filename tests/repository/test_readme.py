"""What the README shows is what the repository holds."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from spira.base.params import load
from spira.demo.people import SynthesizeParams, attainable_auc

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_it_shows_the_committed_report() -> None:
    """The metrics on the first page are those that data/report/report.md opens with, word for word."""
    assert (ROOT / "data/report/report.md").read_text().partition("\n## ")[0].strip() in README


def test_the_demos_numbers_are_called_synthetic_wherever_they_stand() -> None:
    """Nobody mistakes the demo's AUC for a patient's."""
    assert "SYNTHETIC" in (ROOT / "data/report/report.md").read_text()
    assert "SYNTHETIC" in json.loads((ROOT / "data/metrics.json").read_text())["corpus"]


def test_the_demo_is_learnt_and_not_beyond_what_is_attainable() -> None:
    """Under noise the AUC is over 0.85, and below the bound that the README names and the parameters imply."""
    bound = attainable_auc(load("synthesize", SynthesizeParams, path=ROOT / "params.yaml"))
    assert f"no detector can pass an AUC of {bound:.3f}" in README
    assert 0.85 < json.loads((ROOT / "data/metrics.json").read_text())["auc"]["noisy"] < bound


def test_its_picture_of_the_stages_is_dvcs_own() -> None:
    """``dvc dag --md`` prints what the README draws."""
    drawn = subprocess.run(["dvc", "dag", "--md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert drawn.strip() in README


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_its_links_lead_somewhere(target: str) -> None:
    """Every relative link and picture is a file of the repository."""
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`?make (\w+)", README)) - {"PYTHON"}))
def test_its_make_commands_exist(command: str) -> None:
    """What the README tells to type is in the Makefile, and ``make help`` lists it."""
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert re.search(rf"make {command}\b", listed) or command == "help"


def test_every_section_of_params_yaml_that_it_names_exists() -> None:
    """``train.lr`` and the like in the README are keys of params.yaml."""
    params = (ROOT / "params.yaml").read_text()
    for section, key in re.findall(r"-S '?(\w+)\.(\w+)=", README):
        assert re.search(rf"^{section}:.*\n(?:[ #].*\n|\n)*?  {key}:", params, re.MULTILINE), f"{section}.{key}"
