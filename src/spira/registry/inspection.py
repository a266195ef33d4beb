"""A package's files -> what is wrong with them: in themselves, and beside the commit that is to be promoted."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from spira.base.errors import DataError
from spira.base.files import hash_file
from spira.base.tables import read_json
from spira.compare.revision import folder_hash
from spira.package.closure import SOURCE
from spira.package.golden import golden_recordings
from spira.population.reference import REFERENCE
from spira.population.reference_file import read_reference
from spira.report.cards import BY_A_PERSON
from spira.scorer.contents import SUMS, files_in, sums
from spira.scorer.manifest import MANIFEST, Manifest, read_manifest
from spira.scorer.scorer import ENCODER, GOLDEN, GOLDEN_ANSWERS

EVIDENCE = {  # by its name in the package, the folder of the commit that it is from
    "evaluation.json": "data",
    "probes.json": "data",
    "model_card.md": "data/report",
    "data_card.md": "data/report",
}
_KINDS = {".py", ".json", ".safetensors", ".wav", ".md", ".txt", ""}  # the last: MLmodel and SHA256SUMS
_PICKLES, _ZIP = (b"\x80",), b"PK"  # of protocol 2 on; PyTorch's own files are zips of one


def problems_inside(folder: Path) -> list[str]:
    """What is wrong with a package by itself; [] where it is sound, but for what its models say.

    Its files are as ``SHA256SUMS`` has them: see ``require_whole``.
    """
    found = [*_odd_files(folder), *_evidence_is_there(folder)]
    try:
        manifest = read_manifest(folder / MANIFEST)
    except DataError as error:
        return [*found, f"{MANIFEST}: {str(error).partition(': ')[2]}"]
    return [
        *found,
        *_hashes(folder, manifest),
        *_models(folder, manifest),
        *_evidence(folder, manifest),
        *_reference(folder, manifest),
        *_golden(folder),
    ]


def _odd_files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield f"{name}: is a link; a package holds files alone"
        elif path.is_file() and "__pycache__" not in path.parts:
            with path.open("rb") as file:
                head = file.read(2)
            if path.suffix not in _KINDS or head[:1] in _PICKLES or head == _ZIP:
                yield f"{name}: is no file that a package has; a pickle, for one, could run anything"


def _evidence_is_there(folder: Path) -> Iterator[str]:
    for name in EVIDENCE:
        if not (folder / "evidence" / name).is_file():
            yield f"evidence/{name}: is missing"


def _hashes(folder: Path, manifest: Manifest) -> Iterator[str]:
    if manifest.hashes.code != sha256(sums(folder / "code").encode()).hexdigest():
        yield "code: is not the code that package.json names by its hash"
    requirements = folder / "requirements.txt"
    if not requirements.is_file() or manifest.hashes.requirements != hash_file(requirements):
        yield "requirements.txt: is not the one that package.json names by its hash"


def _models(folder: Path, manifest: Manifest) -> Iterator[str]:
    there = {path.name for path in (folder / "models").glob("*")}
    if there != set(manifest.members):
        found = ", ".join(sorted(there)) or "none"
        yield f"models: package.json names {', '.join(manifest.members)}, there are {found}"
    weights = [folder / "models" / name / "weights.safetensors" for name in sorted(there & set(manifest.members))]
    if (folder / ENCODER).is_dir():
        weights += sorted((folder / ENCODER).glob("*.safetensors"))
    for path in weights:
        name = path.relative_to(folder).as_posix()
        try:
            with safe_open(str(path), "np") as tensors:
                if not list(tensors.keys()):
                    yield f"{name}: holds no weights"
        except (OSError, SafetensorError) as error:
            yield f"{name}: weights cannot be read: {error}"
        if path.name == "weights.safetensors" and not path.with_name("model.json").is_file():
            yield f"{path.with_name('model.json').relative_to(folder).as_posix()}: is missing"


def _evidence(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Whether numbers and cards are of this model and of this corpus."""
    for name in ("evaluation.json", "probes.json"):
        tree = _tree(folder / "evidence" / name)
        if tree.get("corpus") != manifest.corpus:
            yield f"evidence/{name}: is of the corpus {tree.get('corpus')}, the package of {manifest.corpus}"
        elif name == "evaluation.json" and tree.get("deployed") != manifest.model:
            yield f"evidence/{name}: deploys {tree.get('deployed')}, the package holds {manifest.model}"
        elif manifest.model not in (tree.get("models") or {}):
            yield f"evidence/{name}: says nothing of the model {manifest.model}"
    for name, line in (
        ("data_card.md", f"Corpus: {manifest.corpus}."),
        ("model_card.md", f"| model | {manifest.model} |"),
    ):
        if line not in _text(folder / "evidence" / name).splitlines():
            yield f"evidence/{name}: has no line {line!r}: it is the card of something else"


def _reference(folder: Path, manifest: Manifest) -> Iterator[str]:
    try:
        corpus = read_reference(folder / REFERENCE).corpus
    except DataError as error:
        yield f"{REFERENCE}: {str(error).partition(': ')[2]}"
        return
    if corpus != manifest.corpus:
        yield f"{REFERENCE}: is of the corpus {corpus}, the package of {manifest.corpus}"


def _golden(folder: Path) -> Iterator[str]:
    answers = _tree(folder / GOLDEN / GOLDEN_ANSWERS)
    for name, content in golden_recordings().items():
        path = folder / GOLDEN / name
        if not path.is_file() or path.read_bytes() != content:
            yield f"{GOLDEN}/{name}: is not the golden recording of this name"
        elif not isinstance(answers.get(name), str | float):
            yield f"{GOLDEN}/{GOLDEN_ANSWERS}: has no answer for {name}"


def unwritten_cards(folder: Path) -> list[str]:
    """The cards in the package in which something is still to be written by a person."""
    cards = [name for name in EVIDENCE if name.endswith(".md")]
    return [f"evidence/{name}" for name in cards if BY_A_PERSON in _text(folder / "evidence" / name)]


def problems_beside(folder: Path, root: Path, params: Mapping[str, Any], locked: str | None) -> list[str]:
    """Where a whole package is not what this commit makes.

    Args:
        root: the repository, whose files are those of the commit.
        params: the tree of its params.yaml.
        locked: what its dvc.lock calls data/package by; None where it does not name it.
    """
    return list(_beside(folder, root, params, locked))


def _beside(folder: Path, root: Path, params: Mapping[str, Any], locked: str | None) -> Iterator[str]:
    files = [*files_in(folder), folder / SUMS]
    if folder_hash({path.relative_to(folder).as_posix(): hash_file(path, "md5") for path in files}) != locked:
        yield "dvc.lock names another package; dvc repro, or dvc checkout data/package"
    try:
        hashes = read_manifest(folder / MANIFEST).hashes
    except DataError:
        return  # said by problems_inside
    if hashes.params != sha256(json.dumps(params, sort_keys=True, allow_nan=False).encode()).hexdigest():
        yield "made with another params.yaml"
    if hashes.clips != _hash(root / "data/clips/clips.csv"):
        yield "made with another table of clips"
    for name, source in EVIDENCE.items():
        if _hash(folder / "evidence" / name) != _hash(root / source / name):
            yield f"evidence/{name}: is not {source}/{name}"
    if other := [name for name in _code(folder) if _hash(folder / "code" / name) != _hash(SOURCE / name)]:
        yield f"code/{other[0]}: is not the code of this commit"
    ours = set(_text(root / "requirements.txt").splitlines())
    if not set(_text(folder / "requirements.txt").splitlines()) <= ours:
        yield "requirements.txt: has lines that those of this commit have not"


def _code(folder: Path) -> list[str]:
    """Names of the modules, but for the empty one that the package adds."""
    names = (path.relative_to(folder / "code").as_posix() for path in files_in(folder / "code"))
    return [name for name in names if name != "spira/__init__.py"]


def _hash(path: Path) -> str | None:
    return hash_file(path) if path.is_file() else None


def _tree(path: Path) -> dict[str, Any]:
    """{} where it is no JSON object."""
    try:
        tree = read_json(path)
    except (DataError, OSError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
