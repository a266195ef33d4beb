"""A package that is not what it says it is, is refused by name: by its hashes, or by its content where they agree."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest

from registered import Registered
from spira.base.errors import DataError
from spira.base.params import read
from spira.base.tables import read_json
from spira.compare.revision import folder_hash
from spira.registry import rules
from spira.registry.inspection import problems_beside, problems_inside
from spira.scorer.contents import SUMS, files_in, require_whole, sums
from spira.scorer.scorer import Scorer

Damage = Callable[[Path], None]
WEIGHTS = "models/1/weights.safetensors"


def write(name: str, content: bytes) -> Damage:
    return lambda folder: void((folder / name).write_bytes(content))


def void(_: object) -> None:
    return None


def drop(name: str) -> Damage:
    return lambda folder: rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


def flip(name: str) -> Damage:
    """One bit of the last byte."""

    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(bytes(content))

    return damage


def cut(name: str) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return damage


def replace(name: str, old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return damage


def tree(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    """A change of a JSON file."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_bytes())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return damage


def manifest_agrees(key: str, name: str) -> Damage:
    """package.json names the file's new hash: a forger who knows how."""

    def damage(folder: Path) -> None:
        content = sums(folder / name).encode() if (folder / name).is_dir() else (folder / name).read_bytes()
        tree("package.json", lambda t: t["hashes"].update({key: sha256(content).hexdigest()}))(folder)

    return damage


def link(folder: Path) -> None:
    (folder / "evidence/more.md").symlink_to("/etc/hostname")


# (what is done, what is said) where SHA256SUMS stays as it was: an accident
ACCIDENTS: dict[str, tuple[list[Damage], str]] = {
    "a bit of the weights": ([flip(WEIGHTS)], f"not what was packaged: {WEIGHTS}"),
    "a file is missing": ([drop("code/spira/scorer/scorer.py")], "not what was packaged: code/spira/scorer/scorer.py"),
    "a file more": ([write("code/spira/more.py", b"")], "not what was packaged: code/spira/more.py"),
    "no sums": ([drop(SUMS)], "SHA256SUMS: No such file"),
}
# and where it was written anew, so that the package is whole
FORGERIES: dict[str, tuple[list[Damage], str]] = {
    "a bit of the weights": ([flip(WEIGHTS)], "dvc.lock names another package"),
    "another threshold": ([tree("package.json", lambda t: t.update(threshold=0.1))], "dvc.lock names another package"),
    "truncated weights": ([cut(WEIGHTS)], f"{WEIGHTS}: weights cannot be read"),
    "weights that are none": ([write(WEIGHTS, b"nothing")], f"{WEIGHTS}: weights cannot be read"),
    "no description of a model": ([drop("models/1/model.json")], "models/1/model.json: is missing"),
    "a model is missing": ([drop("models/2")], "models: package.json names 1, 2, there are 1"),
    "a model more": (
        [lambda f: void(copytree(f / "models/1", f / "models/3"))],
        "package.json names 1, 2, there are 1",
    ),
    "a pickle": ([write("models/1/optimizer.pt", b"\x80\x04.")], "models/1/optimizer.pt: is no file that a package"),
    "a pickle that hides": (
        [write("models/1/more.json", b"\x80\x04.")],
        "models/1/more.json: is no file that a package",
    ),
    "a link": ([link], "evidence/more.md: is a link"),
    "newer schema": (
        [tree("package.json", lambda t: t.update(schema_version=2))],
        "package.json: schema_version: Input",
    ),
    "an unknown key": ([tree("package.json", lambda t: t.update(more=1))], "package.json: more: Extra inputs"),
    "no manifest": ([drop("package.json")], "package.json: no such file"),
    "other requirements": (
        [replace("requirements.txt", "numpy==", "nunpy==")],
        "requirements.txt: is not the one that",
    ),
    "other requirements, named": (
        [replace("requirements.txt", "numpy==", "nunpy=="), manifest_agrees("requirements", "requirements.txt")],
        "requirements.txt: has lines that those of this commit have not",
    ),
    "other code": ([replace("code/spira/scorer/answer.py", "positive", "negative")], "code: is not the code that"),
    "other code, named": (
        [replace("code/spira/scorer/answer.py", "positive", "negative"), manifest_agrees("code", "code")],
        "code/spira/scorer/answer.py: is not the code of this commit",
    ),
    "another corpus's card": (
        [write("evidence/data_card.md", b"Corpus: other.\n")],
        "evidence/data_card.md: has no line",
    ),
    "another model's card": (
        [write("evidence/model_card.md", b"| model | x |\n")],
        "evidence/model_card.md: has no line",
    ),
    "another corpus's numbers": (
        [tree("evidence/evaluation.json", lambda t: t.update(corpus="other"))],
        "evidence/evaluation.json: is of the corpus other, the package of tiny",
    ),
    "numbers of another model": (
        [tree("evidence/evaluation.json", lambda t: t.update(deployed="statistics"))],
        "evidence/evaluation.json: deploys statistics, the package holds pooled_cnn",
    ),
    "no probes of the model": (
        [tree("evidence/probes.json", lambda t: t["models"].pop("pooled_cnn"))],
        "evidence/probes.json: says nothing of the model pooled_cnn",
    ),
    "probes that were made up": (
        [tree("evidence/probes.json", lambda t: t["models"]["pooled_cnn"].update(verdict="warn"))],
        "evidence/probes.json: is not data/probes.json",
    ),
    "another corpus's reference": (
        [tree("reference.json", lambda t: t.update(corpus="other"))],
        "reference.json: is of the corpus other, the package of tiny",
    ),
    "no reference": ([drop("reference.json")], "reference.json: no such file"),
    "a reference that is none": ([tree("reference.json", lambda t: t.pop("promise"))], "reference.json: promise"),
    "no evaluation": ([drop("evidence/evaluation.json")], "evidence/evaluation.json: is missing"),
    "an easier golden recording": (
        [lambda f: void((f / "golden/phone.wav").write_bytes((f / "golden/muted.wav").read_bytes()))],
        "golden/phone.wav: is not the golden recording of this name",
    ),
    "a golden answer is missing": (
        [tree("golden/answers.json", lambda t: t.pop("phone.wav"))],
        "golden/answers.json: has no answer for phone.wav",
    ),
    "another params.yaml": (
        [tree("package.json", lambda t: t["hashes"].update(params="0" * 64))],
        "made with another params.yaml",
    ),
    "another table of clips": (
        [tree("package.json", lambda t: t["hashes"].update(clips="0" * 64))],
        "made with another table of clips",
    ),
}


def damaged(made: Registered, folder: Path, damages: list[Damage], *, forged: bool) -> Path:
    copytree(made.folder / "data/package", folder)
    for damage in damages:
        damage(folder)
    if forged:
        (folder / SUMS).write_text(sums(folder))
    return folder


def problems(made: Registered, folder: Path) -> list[str]:
    """What the gate's checks ``contents`` and ``commit`` say."""
    require_whole(folder)
    package = made.folder / "data/package"
    locked = folder_hash(
        {path.relative_to(package).as_posix(): _md5(path) for path in [*files_in(package), package / SUMS]}
    )
    return problems_inside(folder) + problems_beside(folder, made.folder, read(made.folder / "params.yaml")[0], locked)


def _md5(path: Path) -> str:
    from spira.base.files import hash_file

    return hash_file(path, "md5")


def test_a_sound_package_has_no_problem(made: Registered) -> None:
    assert problems(made, made.folder / "data/package") == []


@pytest.mark.parametrize("name", ACCIDENTS)
def test_an_accident_is_named(name: str, made: Registered, tmp_path: Path) -> None:
    damages, said = ACCIDENTS[name]
    folder = damaged(made, tmp_path / "package", damages, forged=False)
    with pytest.raises(DataError) as error:
        problems(made, folder)
    assert said in str(error.value)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_named(name: str, made: Registered, tmp_path: Path) -> None:
    damages, said = FORGERIES[name]
    found = problems(made, damaged(made, tmp_path / "package", damages, forged=True))
    assert any(problem.startswith(said) or said in problem for problem in found), found


def test_golden_recordings_that_are_answered_otherwise_are_listed_one_by_one(made: Registered, tmp_path: Path) -> None:
    """Be it the score or the refusal."""
    change = tree("golden/answers.json", lambda t: t.update({"phone.wav": 0.123, "muted.wav": 0.5}))
    folder = damaged(made, tmp_path / "package", [change], forged=True)
    with Scorer(folder, check=False) as scorer:
        found = rules.golden(read_json(folder / "golden/answers.json"), scorer.golden_answers(folder / "golden"))
    assert found.verdict == "fail"
    assert "phone.wav: 0.123000, here 0." in found.reason
    assert "muted.wav: 0.500000, here silent" in found.reason
    assert "browser.wav" not in found.reason
