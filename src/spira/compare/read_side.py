"""A revision -> its side of a comparison, and which of its results are stale: from git and DVC's cache."""

import csv
import io
from collections.abc import Callable, Mapping
from typing import TypeVar

from spira.base.errors import DataError
from spira.base.params import check, parse
from spira.base.section import HOLDOUT
from spira.compare.committed import Evaluated, Lock, Metrics, Models, ProbeFile, evaluated, probed
from spira.compare.results import declared, fetch, scored_test_clips, validation_losses
from spira.compare.revision import (
    Revision,
    changed_inside,
    content,
    corpora,
    own_hashes,
    read_params,
    read_tree,
    refuse_what_dvc_cannot_read,
)
from spira.compare.sides import Comparison, Rules, Side
from spira.compare.staleness import hashes, stale

METRICS, PROBES, SUMMARY = "data/evaluation.json", "data/probes.json", "data/subsets_summary.csv"
T = TypeVar("T")


def read_side(revision: Revision, *, from_remote: bool) -> Side:
    """All that a comparison and a review say of a revision.

    Raises:
        DataError: which results it has cannot be read: dvc.lock, params.yaml or another file of DVC's.
    """
    refuse_what_dvc_cannot_read(revision)
    lock = read_tree(revision, "dvc.lock", Lock).get("stages", {})
    params = read_params(revision)
    failed = fetch(revision, lock) if from_remote and declared(revision) else None  # whose stages end, as fetch asks
    unread: list[str] = []
    baselines = Models.model_validate(params.get("models", {})).baselines
    test_clips = _read(lambda: scored_test_clips(revision, lock, params.get("evaluate", {}), baselines), None, unread)
    test_clips = test_clips or {}
    missing = f" ({failed})" if failed else "" if from_remote else "; dvc fetch, or --fetch"
    missing = "; they are not readable" if unread else missing
    found = _read(lambda: _evaluated(revision), Evaluated(), unread)
    # without evaluation.json a commit says by its scores alone which model it has
    deployed = found.deployed or (next(iter(test_clips)) if len(test_clips) == 1 else None)
    return Side(
        name=revision.name,
        commit=revision.commit,
        lock=lock,
        params=params,
        missing=missing,
        deployed=deployed,
        because=found.because,
        metrics=found.metrics,
        distances=found.distances,
        probes=_read(lambda: probed(read_tree(revision, PROBES, ProbeFile), deployed), {}, unread),
        corpora=corpora(revision),
        subsets=_read(lambda: _subsets(revision), {}, unread),
        test_clips=test_clips,
        losses=_read(lambda: validation_losses(revision, lock), {}, unread),
        refused=tuple(unread),
    )


def _read(what: Callable[[], T], otherwise: T, unread: list[str]) -> T:
    """What is said otherwise where the commit's file is not as it must be: that is noted, and the review goes on."""
    try:
        return what()
    except DataError as error:
        unread.append(str(error))
        return otherwise


def _evaluated(revision: Revision) -> Evaluated:
    return evaluated(read_tree(revision, METRICS, Metrics), f"{revision.name}:{METRICS}")


def _subsets(revision: Revision) -> dict[tuple[str, str], str]:
    try:
        rows = list(csv.DictReader(io.StringIO((content(revision, SUMMARY) or b"subset").decode()), strict=True))
        return {
            (_subset(row), name): value for row in rows for name, value in row.items() if name not in ("fold", "subset")
        }
    except (csv.Error, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{revision.name}:{SUMMARY}: not a table with a column subset: {error}") from error


def _subset(row: Mapping[str, str]) -> str:
    """Without the fold where it is all there is, as in commits from before there were others."""
    fold = row.get("fold", HOLDOUT)
    return row["subset"] if fold == HOLDOUT else f"{row['subset']} of fold {fold}"


def stale_stages(revision: Revision, side: Side) -> dict[str, list[str]]:
    """Why each stage's results are not those of the revision; {} where all are."""
    stages = declared(revision)
    made = {path for entry in side.lock.values() for path in hashes(entry, "outs")}
    paths = {path for stage in stages for path in (*stage.deps, *stage.outs)} - made
    above_outs = {path for path in paths if any(out.startswith(f"{path}/") for out in made)}  # git has its .gitignore
    in_git = (paths - above_outs) | {path for path in made if content(revision, path) is not None}
    now = own_hashes(revision, in_git)
    folders = {
        (path, then)
        for entry in side.lock.values()
        for path, then in hashes(entry, "deps").items()
        if then.endswith(".dir") and now.get(path, then) != then
    }
    inside = {(path, then): changed_inside(revision, path, then) for path, then in folders}
    return stale(stages, side.lock, now, {"params.yaml": side.params}, inside)


def compared(base: Side, head: Side) -> Comparison:
    """Both sides, by the parameters of head and the models that each deploys."""
    if problems := list(check("evaluate", Rules, head.params.get("evaluate"))):
        raise DataError(f"{head.name}:params.yaml: {problems[0][0]}: {problems[0][1]}")
    return Comparison(base, head, parse(Rules, head.params["evaluate"]), (base.deployed, head.deployed))
