"""A commit's files -> what the gate's rules are about: its test clips, its scores, and whom another was trained on."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from spira.base.errors import DataError
from spira.base.section import HOLDOUT
from spira.evaluation.files import read_evaluation
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Evaluation
from spira.evaluation.subgroups import group_names
from spira.ingest.packed import open_folder
from spira.ingest.sources import Member, Source
from spira.predictions.table import read_predictions, scored_clips
from spira.registry.comparison import TestClips, Trained
from spira.registry.history import Event
from spira.registry.packages import CLIPS, CLIPS_TABLE, SUBSETS, bring_file, outs_at

_WHO = ("clip_id", "speaker_id", "label", "digest")
_PARITY = "clean"  # the condition under which the pipeline scored recordings as they are


@dataclass(frozen=True)
class Met:
    """Whom and what a version of a corpus had, in whichever subset."""

    speakers: frozenset[str]
    digests: frozenset[str]  # of the samples


def test_clips(clips: bytes, subsets: bytes, evaluate: EvaluateParams) -> TestClips:
    """The test clips of a commit, in the order of their names.

    Args:
        clips, subsets: the two tables.
        evaluate: by which columns, and by which bands of age, they are grouped.
    """
    table = _clips_with_subset(clips, subsets, "test")
    groups = {column: group_names(column, list(table[column]), evaluate) for column in evaluate.subgroups}
    return TestClips(
        tuple(table["clip_id"]),
        tuple(table["speaker_id"]),
        np.asarray(table["label"].cast(pl.Int64)),
        tuple(table["digest"]),
        groups,
    )


def trained(clips: bytes, subsets: bytes) -> Trained:
    """Whom a model of these two tables was fitted on, or had its threshold chosen by."""
    table = pl.concat([_clips_with_subset(clips, subsets, name) for name in ("train", "validation")])
    return Trained(frozenset(table["speaker_id"]), frozenset(table["digest"]))


def test_set_hash(test: TestClips) -> str:
    """The same for the same recordings of the same people, whatever was computed of them."""
    rows = zip(test.clips, test.speakers, test.labels.tolist(), test.digests, strict=True)
    return sha256("".join(f"{row}\n" for row in sorted(rows)).encode()).hexdigest()


def _clips_with_subset(clips: bytes, subsets: bytes, subset: str) -> pl.DataFrame:
    try:
        table, parts = map(_as_text, (clips, subsets))
        table.select(_WHO)
        names = parts.filter((pl.col("fold") == HOLDOUT) & (pl.col("subset") == subset))["clip_id"]
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"data/clips/{CLIPS_TABLE} or {SUBSETS}: not as ingest and split write them: {error}"
        ) from error
    return table.filter(pl.col("clip_id").is_in(names.implode())).sort("clip_id")


def _as_text(table: bytes) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(table), infer_schema=False, empty_string_is_null=False, glob=False)


def own_test_clips(root: Path, evaluate: EvaluateParams) -> TestClips:
    """Those of the working folder."""
    return test_clips(_bytes(root / CLIPS / CLIPS_TABLE), _bytes(root / SUBSETS), evaluate)


def trained_by(root: Path, version: Event) -> Trained:
    """Whom a registered version has met in training, by the tables of its own commit."""
    outs = _tables_at(root, version, SUBSETS)
    return trained(_clips_at(root, version), bring_file(root, outs[SUBSETS], f"{version.tag.name}: {SUBSETS}"))


def met_by(root: Path, version: Event) -> Met:
    """Everybody in the corpus that a registered version's commit had, its test speakers too."""
    try:
        table = _as_text(_clips_at(root, version)).select(_WHO)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{version.tag.name}: {CLIPS}/{CLIPS_TABLE} is not as ingest writes it: {error}") from error
    return Met(frozenset(table["speaker_id"]), frozenset(table["digest"]))


def _clips_at(root: Path, version: Event) -> bytes:
    """The table of clips of a registered version's commit."""
    return bring_file(root, _tables_at(root, version)[CLIPS], f"{version.tag.name}: {CLIPS}", CLIPS_TABLE)


def _tables_at(root: Path, version: Event, *others: str) -> dict[str, str]:
    """What dvc.lock of the version's commit names, the table of clips and these others among it."""
    outs = outs_at(root, version.tag.commit)
    if absent := [path for path in (CLIPS, *others) if path not in outs]:
        raise DataError(f"{version.tag.name}: dvc.lock of its commit names no {' and no '.join(absent)}")
    return outs


def evaluation(root: Path) -> Evaluation:
    return read_evaluation(root / "data/evaluation.json")


def committed_evaluation(tree: Mapping[str, Any], where: str) -> Evaluation:
    """data/evaluation.json of a commit.

    Raises:
        DataError: another version wrote it.
    """
    try:
        return Evaluation.model_validate(tree)
    except ValidationError as error:
        raise DataError(f"{where}: another version wrote it: {error.errors()[0]['msg']}") from error


def pipeline_scores(root: Path, model: str) -> dict[str, float]:
    """By test clip, the deployed score of the recording as it is: the mean over the model's trainings."""
    own = scored_clips(read_predictions(root / "data/predictions.csv"), "test", model).get(_PARITY)
    return {} if own is None else dict(zip(own.clips, own.scores.mean(axis=0).tolist(), strict=True))


def recordings(root: Path, corpus: str, clips: tuple[str, ...]) -> dict[str, Source]:
    """Where the recordings of the clips lie, of those that are at hand.

    Raises:
        DataError: the corpus has a manifest that does not fit its tar shards.
    """
    folder = open_folder(root / "data/raw" / corpus)
    found = {clip: folder.source(clip) for clip in clips}
    return {clip: source for clip, source in found.items() if isinstance(source, Member) or source.is_file()}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; dvc repro, or spira pull") from error
