"""What the pages name exists: pages, pictures, headings, tests, modules and sections of params.yaml."""

import re
from pathlib import Path

import pytest
import yaml

from tiny import ROOT

INDEX = ROOT / "docs/README.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
TESTS = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Without its blocks of code, in which a # is a comment."""
    return re.sub(r"^```.*?^```", "", TEXTS[page], flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_its_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture is a file of the repository, and what stands behind # is a heading there."""
    for target, anchor in LINK.findall(prose(page)):
        there = (page.parent / target).resolve() if target else page
        assert there.is_file(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def test_the_index_lists_every_page() -> None:
    """In its four folders; nobody finds a page that it leaves out."""
    listed = {(INDEX.parent / target).resolve() for target, _ in LINK.findall(TEXTS[INDEX])}
    assert set((ROOT / "docs").rglob("*.md")) - {INDEX} <= listed
    folders = {page.parent.name for page in (ROOT / "docs").rglob("*.md")}
    assert folders == {"docs", "getting-started", "how-to", "reference", "explanation"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_tests_that_it_names_exist(page: Path) -> None:
    """A promise names who holds it: `test_x.py`, or `test_x.py::test_y`."""
    for file, test in re.findall(r"\b(test_\w+\.py)(?:::(\w+))?", prose(page)):
        assert file in TESTS, file
        assert not test or re.search(rf"^def {test}\(", TESTS[file], re.MULTILINE), f"{file}::{test}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_files_that_it_names_exist(page: Path) -> None:
    """Modules and packages of src, benchmarks and tables of settings."""
    for path in re.findall(r"\b((?:src/spira|benchmarks|experiments)/[\w./]+\w/?)", prose(page)):
        assert (ROOT / path).exists(), path


def test_the_page_of_params_yaml_has_its_sections_and_their_stages() -> None:
    """dvc.yaml says which stage names which section."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    every = {stage for stage, of in stages.items() if of["params"] == [{"params.yaml": None}]}
    page = TEXTS[ROOT / "docs/reference/params.md"].partition("## What runs again")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert list(rows) == list(params)
    for section, said in rows.items():
        naming = {stage for stage, of in stages.items() if section in of["params"]}
        listed = set(re.findall(r"`(\w+)`", said)) - {"report"} if said != "every stage" else set(stages) - every
        by_matrix = {"train"} if section in ("seeds", "split") else set()
        assert listed == naming | by_matrix, section


def test_the_page_of_stages_has_each_in_its_order() -> None:
    """A new stage is documented, or the suite fails."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    page = TEXTS[ROOT / "docs/reference/stages.md"]
    assert re.findall(r"^\| `(\w+)`", page.partition("## Shapes")[0], re.MULTILINE) == list(stages)
