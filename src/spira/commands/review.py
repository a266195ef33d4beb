"""report: two revisions -> what changed in data, parameters and metrics, as a reviewer reads it.

``spira review BASE [HEAD]``: Markdown on stdout. It reads git and DVC's cache, never the working tree.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import vl_convert

from spira.base.errors import DataError, visible
from spira.base.files import write_bytes
from spira.base.markdown import inert
from spira.base.params import check, parse
from spira.base.program import exit_on_error
from spira.compare.committed import Lock, Metrics, Params, ProbeFile, measured
from spira.compare.corpus_versions import corpus_changes_section
from spira.compare.plots import drawings
from spira.compare.results import declared, fetch, judged, validation_losses
from spira.compare.review import review
from spira.compare.revision import (
    Revision,
    content,
    corpora,
    own_hashes,
    read_tree,
    refuse_what_dvc_cannot_read,
    resolve,
)
from spira.compare.sides import Comparison, Rules, Side
from spira.compare.staleness import hashes, stale
from spira.predictions.table import ONLY_FOLD

METRICS, PROBES, SUMMARY = "data/evaluation.json", "data/probes.json", "data/subsets_summary.csv"
_PIXELS_A_POINT = 1.5
K = TypeVar("K")
V = TypeVar("V")


def side(revision: Revision, *, from_remote: bool) -> Side:
    """All that the report says of a revision.

    Raises:
        DataError: what its results are cannot be read: dvc.lock, params.yaml or another file of DVC's.
    """
    refuse_what_dvc_cannot_read(revision)
    lock = read_tree(revision, "dvc.lock", Lock).get("stages", {})
    params = read_tree(revision, "params.yaml", Params)
    failed = fetch(revision, lock) if from_remote and declared(revision) else None  # whose stages end, as fetch asks
    unread: list[str] = []
    found = _read(lambda: judged(revision, lock, params.get("evaluate", {})) or {}, unread)
    missing = f" ({failed})" if failed else "" if from_remote else "; dvc fetch, or --fetch"
    return Side(
        name=revision.name,
        commit=revision.commit,
        lock=lock,
        params=params,
        missing="; they are not readable" if unread else missing,
        metrics=_read(lambda: measured(read_tree(revision, METRICS, Metrics), f"{revision.name}:{METRICS}"), unread),
        probes=_read(lambda: read_tree(revision, PROBES, ProbeFile).get("probes", {}), unread),
        corpora=corpora(revision),
        subsets=_read(lambda: _subsets(revision), unread),
        judged=found,
        losses=_read(lambda: validation_losses(revision, lock), unread),
        refused=tuple(unread),
    )


def _read(what: Callable[[], dict[K, V]], unread: list[str]) -> dict[K, V]:
    """Empty where the commit's file is not as it must be: that is noted, and the rest of the report goes without."""
    try:
        return what()
    except DataError as error:
        unread.append(str(error))
        return {}


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
    fold = row.get("fold", ONLY_FOLD)
    return row["subset"] if fold == ONLY_FOLD else f"{row['subset']} of fold {fold}"


def compare(base: Side, head: Side) -> Comparison:
    """Both sides, to be judged by the parameters of head."""
    if problems := list(check("evaluate", Rules, head.params.get("evaluate"))):
        raise DataError(f"{head.name}:params.yaml: {problems[0][0]}: {problems[0][1]}")
    return Comparison(base, head, parse(Rules, head.params["evaluate"]))


def stale_stages(revision: Revision, of: Side) -> dict[str, list[str]]:
    """Why each stage's results are not those of the revision; {} where all are."""
    stages = declared(revision)
    made = {path for entry in of.lock.values() for path in hashes(entry, "outs")}
    paths = {path for stage in stages for path in (*stage.deps, *stage.outs)}
    in_git = (paths - made) | {path for path in made if content(revision, path) is not None}
    return stale(stages, of.lock, own_hashes(revision, in_git), {"params.yaml": of.params})


def draw(compared: Comparison, folder: Path) -> None:
    """The curves of both sides, a PNG file each."""
    for name, spec in drawings(compared).items():
        write_bytes(vl_convert.vegalite_to_png(spec, scale=_PIXELS_A_POINT), folder / name, summed=False)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m spira.commands.review", description="What changed between two revisions."
    )
    parser.add_argument("base")
    parser.add_argument("head", nargs="?", default="HEAD")
    parser.add_argument(
        "--check", action="store_true", help="exit 1 where head's dvc.lock is stale, or a file not readable"
    )
    parser.add_argument("--fetch", action="store_true", help="bring missing predictions and curves from DVC's remote")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw both revisions' curves there, as PNG files")
    asked = parser.parse_args(arguments)
    root = Path.cwd()
    if not (root / "dvc.yaml").is_file():
        raise DataError(f"{root}: no dvc.yaml here; run from the repository's root")
    base, head = resolve(root, asked.base), resolve(root, asked.head)
    compared = compare(*(side(revision, from_remote=asked.fetch) for revision in (base, head)))
    old = stale_stages(head, compared.head)
    if asked.plots:
        draw(compared, asked.plots)
    try:
        clips = corpus_changes_section(base, head, from_remote=asked.fetch)
    except DataError as error:
        clips = f"What changed in the corpus is not known: {inert(error)}."
    sys.stdout.write(visible(review(compared, old, clips), lines=True))
    return int(asked.check and bool(old or compared.head.refused))


if __name__ == "__main__":
    with exit_on_error():
        sys.exit(main(sys.argv[1:]))
