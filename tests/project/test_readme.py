"""What the README shows is what the repository holds."""

import json
import re
import runpy
import struct
import subprocess

import pytest

import picture
from spira.base.params import load
from spira.demo.people import SynthesizeParams, attainable_auc
from tiny import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
REPORT = (ROOT / "data/report/report.md").read_text(encoding="utf-8").partition("\n## ")[0].strip()
WRITER = runpy.run_path(str(ROOT / "docs/write_readme.py"))


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def followed(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Every pair that the arrows lead from one to the other of."""
    more = arrows | {(a, d) for a, b in arrows for c, d in arrows if b == c}
    return arrows if more == arrows else followed(more)


def test_it_shows_the_committed_report() -> None:
    """Its prose is what data/report/report.md opens with, word for word, and its table has the report's own columns."""
    *prose, table = REPORT.split("\n\n")
    assert all(" ".join(paragraph.split()) in " ".join(README.split()) for paragraph in prose)
    shown = cells(re.findall(r"^\| condition \|.*?(?=\n<!--)", README, re.MULTILINE | re.DOTALL)[0])
    rows = [row for row in cells(table) if row[0] != "noisy_controls"]  # takes a page to explain
    assert [[row[i] for i in map(rows[0].index, shown[0])] for row in rows] == shown
    assert shown[0] == ["condition", "model", "AUC", "sensitivity", "specificity"]


def test_its_picture_is_of_the_committed_page() -> None:
    """`make picture` takes it anew, and notes in it what was shown."""
    assert picture.mark(picture.PICTURE.read_bytes()) == picture.shown(picture.REPORT.read_text(encoding="utf-8"))
    plain = b"\x89PNG\r\n\x1a\n" + bytes(25)
    assert picture.mark(picture.marked(plain, "a page")) == "a page"
    assert picture.mark(plain + struct.pack(">I", 0) + b"IEND") == ""


def test_make_plots_would_change_nothing_in_it() -> None:
    """What a command writes between the marks is there already."""
    blocks = {"results": WRITER["results"](REPORT), "stages": WRITER["picture"](WRITER["edges"]())}
    assert WRITER["renewed"](README, blocks) == README


def test_a_mark_that_is_lost_is_named() -> None:
    """Else the numbers would grow old and nobody would know."""
    with pytest.raises(SystemExit, match="must have the marks of 'results' once, got 0"):
        WRITER["renewed"](README.replace("<!-- results", "<!-- result"), {"results": "new\n"})


def test_a_stranger_reads_it_in_minutes() -> None:
    """About 150 lines without the marked blocks, none wider than 120 characters."""
    assert len(README.splitlines()) <= 170
    assert [line for line in README.splitlines() if len(line) > 120] == []


def test_the_demos_numbers_are_called_synthetic_wherever_they_stand() -> None:
    """Nobody mistakes the demo's AUC for a patient's."""
    assert "SYNTHETIC" in REPORT
    assert "SYNTHETIC" in README.partition("## Two commands")[0]
    assert "SYNTHETIC" in json.loads((ROOT / "data/metrics.json").read_text())["corpus"]


def test_the_demo_is_learnt_and_not_beyond_what_is_attainable() -> None:
    """Under noise the AUC is over 0.85, and below the bound that the README names and the parameters imply."""
    bound = attainable_auc(load("synthesize", SynthesizeParams, path=ROOT / "params.yaml"))
    for page in (README, (ROOT / "docs/explanation/results.md").read_text(encoding="utf-8")):
        assert f"Per speaker, {bound:.3f} is the best AUC that the speech alone allows on average" in page
    assert 0.85 < json.loads((ROOT / "data/metrics.json").read_text())["auc"]["noisy"] < bound


def test_the_planted_noise_separates_the_classes_as_it_says() -> None:
    """The number is that of the probe."""
    models = json.loads((ROOT / "data/probes.json").read_text())["models"].values()
    found = [model["probes"]["ward_noise"] for model in models]
    assert f"separates patients from controls (AUC {found[0]['auc']:.2f})" in README
    assert {probe["verdict"] for probe in found} == {"fail"}


def test_its_picture_of_the_stages_is_dvcs_own() -> None:
    """Every stage and no other; each arrow is one of ``dvc dag``'s, and each of those follows from the arrows drawn."""
    printed = subprocess.run(["dvc", "dag", "--md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = {key: name.split("@")[0] for key, name in re.findall(r'(\w+)\["([^"]+)"\]', printed)}
    needed = {(names[one], names[other]) for one, other in re.findall(r"(\w+)-->(\w+)", printed)}
    (block,) = re.findall(r"^```mermaid\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    drawn = set(re.findall(r"(\w+) --> (\w+)", block))
    assert drawn <= needed
    assert followed(drawn) == followed(needed)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`?make (\w+)", README)) - {"PYTHON"}))
def test_its_make_commands_exist(command: str) -> None:
    """What the README says to type is in the Makefile, and ``make help`` lists it."""
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert re.search(rf"make {command}\b", listed) or command == "help"


def test_every_section_of_params_yaml_that_it_names_exists() -> None:
    """``train.lr`` and the like in the README are keys of params.yaml."""
    params = (ROOT / "params.yaml").read_text()
    for section, key in re.findall(r"-S '?(\w+)\.(\w+)=", README):
        assert re.search(rf"^{section}:.*\n(?:[ #].*\n|\n)*?  {key}:", params, re.MULTILINE), f"{section}.{key}"
