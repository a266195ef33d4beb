"""What DVC knows of a commit's results: its stages, and the files in DVC's cache that its dvc.lock names by hash."""

import signal
from collections.abc import Collection, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from dvc.exceptions import DvcException
from dvc.repo import Repo
from pydantic import TypeAdapter, ValidationError

from spira.base.array_types import Floats
from spira.base.errors import DataError
from spira.base.section import HOLDOUT
from spira.compare.committed import MOST_MODELS, NETWORK, Listed
from spira.compare.revision import Revision
from spira.compare.staleness import Declared, Tree, hashes
from spira.evaluation.files import refuse_incomplete
from spira.evaluation.thresholds import threshold_rule, thresholds_by_clip, thresholds_by_fold
from spira.predictions.scored import ScoredClips
from spira.predictions.table import PREDICTIONS, models_in, read_predictions, scored_clips

SECONDS = 20  # for DVC to read a commit's stages; ours take one
# What DVC raises of files that it did not expect.
_OF_ODD_FILES = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
_CURVES, _PLOTS, _LOSS = "data/curves/", "/plots", "metrics/validation/loss.tsv"


def declared(revision: Revision) -> list[Declared]:
    """Every stage of the revision's dvc.yaml, as DVC itself resolves it.

    Raises:
        DataError: DVC cannot, or not in time: a dozen lines can ask for a billion stages.
    """
    stages = []
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    try:
        with Repo(str(revision.root)) as repo:
            for name in repo.brancher(revs=[revision.commit]):
                if name != "workspace":
                    stages = [_declared(stage) for stage in repo.index.stages if hasattr(stage, "cmd") and stage.cmd]
    except (DvcException, TimeoutError, *_OF_ODD_FILES) as error:
        raise DataError(f"{revision.name}:dvc.yaml: {error or type(error).__name__}") from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    if any("\0" in path for stage in stages for path in (*stage.deps, *stage.outs)):
        raise DataError(f"{revision.name}:dvc.yaml: a path holds the character 0")
    return stages


def _late(_number: int, _frame: object) -> None:
    raise TimeoutError(f"its stages could not be read within {SECONDS} s")


def _declared(stage: Any) -> Declared:
    params = {str(dep.def_path): tuple(dep.params) for dep in stage.deps if hasattr(dep, "params")}
    deps = tuple(str(dep.def_path) for dep in stage.deps if not hasattr(dep, "params"))
    return Declared(stage.name, str(stage.cmd), deps, tuple(str(out.def_path) for out in stage.outs), params)


def fetch(revision: Revision, lock: Tree) -> str | None:
    """Brings the revision's predictions and learning curves from the remote; the reason where that fails."""
    targets = [PREDICTIONS, *_curves(lock)]
    try:
        with Repo(str(revision.root)) as repo:
            repo.fetch(targets=targets, revs=[revision.commit], workspace=False)
    except (DvcException, OSError) as error:
        return next(iter(str(error).splitlines()), type(error).__name__)
    return None


def scored_test_clips(
    revision: Revision, lock: Tree, evaluate: Mapping[str, Any], baselines: Collection[str]
) -> dict[str, dict[str, ScoredClips]] | None:
    """By model and condition, what the revision's models said of the test clips; None where DVC's cache lacks it.

    Args:
        lock: the ``stages`` of the revision's dvc.lock, which names the predictions by hash.
        evaluate: that section of the revision's params.yaml: by which rule, and under which condition, validation
            clips choose each model's threshold.
        baselines: the models in which nothing is drawn.
    """
    with Repo(str(revision.root)) as repo:
        path = cached(repo.cache.local, _outs(lock).get(PREDICTIONS))
    if path is None:
        return None
    condition, where = str(evaluate.get("threshold_condition", "")), f"{revision.name}:{PREDICTIONS}"
    try:
        table, rule = read_predictions(path), threshold_rule(evaluate)
        _refuse_many(table, where)
        refuse_incomplete(table, Path(where))
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error
    found = {}
    for model in models_in(table):
        validation = scored_clips(table, "validation", model).get(condition)
        if validation is None:
            raise DataError(f"{where}: no validation clip under {condition!r} for a threshold")
        by_fold, drawn = thresholds_by_fold(validation, rule), model not in baselines
        found[model] = {
            name: replace(clips, thresholds=thresholds_by_clip(by_fold, clips.folds), drawn=drawn)
            for name, clips in scored_clips(table, "test", model).items()
        }
    return found


def _refuse_many(table: pl.DataFrame, where: str) -> None:
    if len(names := models_in(table)) > MOST_MODELS:
        raise DataError(f"{where}: must have at most {MOST_MODELS} models, got {len(names)}")


def validation_losses(revision: Revision, lock: Tree) -> dict[str, dict[str, Floats]]:
    """By model and training, the validation loss after each epoch; {} where DVC's cache lacks some."""
    found = dict[str, dict[str, Floats]]()
    with Repo(str(revision.root)) as repo:
        for path, folder in _curves(lock).items():
            file = cached(repo.cache.local, listed(repo.cache.local, folder).get(_LOSS))
            if file is None:
                return {}
            model, training = _training(path)
            found.setdefault(model, {})[training] = _losses(file)
    return found


def _training(path: str) -> tuple[str, str]:
    """(model, training) of a folder of curves, as ``MODEL/FOLD/SEED/plots``; in older commits FOLD/SEED or SEED.

    A training is its seed alone where a fold is all there is.
    """
    parts = path.removeprefix(_CURVES).removesuffix(_PLOTS).split("/")
    *model, fold, seed = [NETWORK, HOLDOUT][: max(0, 3 - len(parts))] + parts
    return "/".join(model), seed if fold == HOLDOUT else f"{fold}-{seed}"


def _losses(file: Path) -> Floats:
    try:
        losses = np.atleast_1d(np.genfromtxt(file, delimiter="\t", names=True)["loss"])  # dvclive writes them in order
    except (ValueError, IndexError) as error:
        raise DataError(f"{file}: expected columns step and loss: {error}") from error
    if not losses.size:
        raise DataError(f"{file}: has no epoch")
    return losses


def _curves(lock: Tree) -> dict[str, str]:
    """md5 by path of each training's folder of curves."""
    folders = sorted((path, key) for path, key in _outs(lock).items() if key.endswith(".dir"))
    return {path: key for path, key in folders if fnmatchcase(path, f"{_CURVES}?*{_PLOTS}")}


def _outs(lock: Tree) -> Mapping[str, str]:
    return {path: key for stage in lock.values() for path, key in hashes(stage, "outs").items()}


def cached(cache: Any, key: str | None) -> Path | None:
    """The file in DVC's cache that has this hash; None where it is not there.

    Args:
        cache: ``Repo.cache.local``.

    Raises:
        DataError: the file that has this name has another hash.
    """
    if key is None or not (path := Path(cache.oid_to_path(key))).is_file():
        return None
    if md5(path.read_bytes(), usedforsecurity=False).hexdigest() != key.removesuffix(".dir"):
        raise DataError(f"{path}: damaged, its hash is not its name; delete it, then dvc fetch or dvc repro")
    return path


def listed(cache: Any, key: str | None) -> dict[str, str]:
    """By name, the hash of each file of a folder in DVC's cache; {} where that is not there."""
    listing = cached(cache, key)
    if listing is None:
        return {}
    try:
        entries = TypeAdapter(list[Listed]).validate_json(listing.read_bytes())
    except ValidationError as error:
        raise DataError(f"{listing}: not a list of a folder's files; dvc.lock or a .dvc file names another") from error
    return {entry.relpath: entry.md5 for entry in entries}
