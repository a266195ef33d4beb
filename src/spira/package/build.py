"""The deployed model -> a folder that scores recordings anywhere, with what it is worth beside it.

Nothing in it is a pickle, and two makings have the same bytes: no time, no commit, no path of this machine.
"""

import json
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from spira.base.files import write_bytes
from spira.base.tables import write_json
from spira.package.closure import SOURCE, closure, distributions, locked
from spira.package.golden import golden_recordings
from spira.population.reference import REFERENCE, Reference
from spira.scorer.answer import NOTICE
from spira.scorer.contents import SUMS, sums
from spira.scorer.manifest import MANIFEST, Hashes, Manifest
from spira.scorer.scorer import ENCODER, GOLDEN, GOLDEN_ANSWERS, Scorer

ENTRY = SOURCE / "spira/scorer/pyfunc.py"
# numba compiles these for long trainings; scoring does without, and needs no compiler where it is installed.
LEFT_OUT = SOURCE / "spira/models/cpu"
INIT = '"""What a package of SPIRA needs to score recordings; package.json beside code/ says which."""\n'
MLMODEL = """flavors:
  python_function:
    code: code
    loader_module: spira.scorer.pyfunc
    env: requirements.txt
    python_version: {python}
"""


class Sources(NamedTuple):
    """The files that a package is made of."""

    members: Mapping[str, Path]  # by its name in the package, the folder of a trained model
    evidence: tuple[Path, ...]  # copied under evidence/
    requirements: Path
    clips: Path  # the table, whose hash names the corpus
    encoder: Path | None = None  # weights of a frozen encoder, where the models are given its frames


def code_files() -> list[Path]:
    """What the scorer imports, and nothing else."""
    return sorted(file for file in closure(ENTRY) if not file.is_relative_to(LEFT_OUT))


def build(
    settings: Mapping[str, Any],
    params: Mapping[str, Any],
    sources: Sources,
    reference: Reference,
    python: str,
    out: Path,
) -> Manifest:
    """Writes the package.

    Args:
        settings: the fields of ``Manifest`` that are a choice of the study.
        params: the tree of params.yaml.
        sources: the files.
        reference: what the recordings of the training were like.
        python: the oldest version of Python that it runs on, such as ``3.11.0``.
        out: its folder; what was there is removed.
    """
    shutil.rmtree(out, ignore_errors=True)
    code = code_files()
    write_bytes(INIT.encode(), out / "code/spira/__init__.py")  # without it, an installed spira would come first
    _copied({f"code/{file.relative_to(SOURCE).as_posix()}": file for file in code}, out)
    for name, folder in sources.members.items():
        _copied({f"models/{name}/{file}": folder / file for file in ("model.json", "weights.safetensors")}, out)
    if sources.encoder:
        _copied({f"{ENCODER}/{sources.encoder.name}": sources.encoder}, out)
    _copied({f"evidence/{path.name}": path for path in sources.evidence}, out)
    requirements = locked(sources.requirements.read_text(encoding="utf-8"), distributions(code)).encode()
    write_bytes(requirements, out / "requirements.txt")
    write_bytes(MLMODEL.format(python=python).encode(), out / "MLmodel")
    manifest = Manifest(
        schema_version=1,
        notice=NOTICE,
        **settings,
        members=tuple(sources.members),
        hashes=Hashes(
            clips=sha256(sources.clips.read_bytes()).hexdigest(),
            params=sha256(json.dumps(params, sort_keys=True, allow_nan=False).encode()).hexdigest(),
            code=sha256(sums(out / "code").encode()).hexdigest(),
            requirements=sha256(requirements).hexdigest(),
        ),
    )
    write_json(manifest.model_dump(mode="json"), out / MANIFEST)
    write_bytes(reference.model_dump_json().encode(), out / REFERENCE)
    for name, recording in golden_recordings().items():
        write_bytes(recording, out / GOLDEN / name)
    with Scorer(out, check=False) as scorer:
        write_json(scorer.golden_answers(out / GOLDEN), out / GOLDEN / GOLDEN_ANSWERS)
    write_bytes(sums(out).encode(), out / SUMS)
    return manifest


def _copied(files: Mapping[str, Path], out: Path) -> None:
    for name, path in files.items():
        write_bytes(path.read_bytes(), out / name)
