"""What pages, docstrings and comments name exists: files, headings, tests, modules and sections of params.yaml."""

import ast
import re
import tokenize
from pathlib import Path

import pytest
import yaml

from tiny import ROOT

INDEX = ROOT / "docs/README.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
TESTS = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")
CODE = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]
PACKAGE = ROOT / "src/spira"
PACKAGES = (*sorted(folder.name for folder in PACKAGE.iterdir() if folder.is_dir()), "core", "adapters")  # two are gone
MODULE = re.compile(rf"\bspira(?:\.\w+)+|(?<![\w./])(?:spira/)?(?:{'|'.join(PACKAGES)})/[\w/]+\.py\b|\badapters\.\w+")


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


def docstrings(file: Path) -> list[str]:
    """Of the module, its classes and its functions."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


def comments(file: Path) -> list[str]:
    with file.open("rb") as lines:
        return [token.string for token in tokenize.tokenize(lines.readline) if token.type == tokenize.COMMENT]


def exists(name: str) -> bool:
    """Whether a dotted name, or a path below ``src/spira``, is there."""
    if name.endswith(".py"):
        return (PACKAGE / name.removeprefix("spira/")).is_file()
    at, names = PACKAGE, name.split(".")
    if names.pop(0) != "spira":
        return False
    while names and (at / names[0]).is_dir():
        at /= names.pop(0)
    if not names:
        return True
    module = at / f"{names[0]}.py"
    return module.is_file() and all(re.search(rf"\b{name}\b", module.read_text(encoding="utf-8")) for name in names[1:])


@pytest.mark.parametrize("folder", ["src", "tests"])
def test_the_modules_that_docstrings_and_comments_name_exist(folder: str) -> None:
    """With dots or as a path; a module that moved takes the sentences about it along."""
    said = [
        (file, text)
        for file in CODE
        if file.is_relative_to(ROOT / folder)
        for text in docstrings(file) + comments(file)
    ]
    named = [(name(file), found) for file, text in said for found in MODULE.findall(text)]
    assert named
    assert [(file, found) for file, found in named if not exists(found)] == []


def test_no_docstring_begins_with_the_name_of_a_module() -> None:
    """Its file has that name already, and a module that moves would leave an old one behind."""
    firsts = [(name(file), text.partition("\n")[0]) for file in CODE for text in docstrings(file)]
    assert [(file, line) for file, line in firsts if re.match(r"`*\w+(\.\w+)+`*: ", line)] == []


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
        by_matrix = {"seeds": {"train"}, "split": {"train", "fit"}, "models": {"train", "fit"}}.get(section, set())
        assert listed == naming | by_matrix, section


def test_the_page_of_stages_has_each_in_its_order() -> None:
    """A new stage is documented, or the suite fails."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    page = TEXTS[ROOT / "docs/reference/stages.md"]
    assert re.findall(r"^\| `(\w+)`", page.partition("## Shapes")[0], re.MULTILINE) == list(stages)
