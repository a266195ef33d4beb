"""report: two revisions -> what changed in data, parameters and metrics, as a reviewer reads it.

``python -m spira.report BASE [HEAD]``: Markdown on stdout. It reads git and DVC's cache, never the working tree.
"""

import argparse
import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spira.adapters.revisions import (
    Revision,
    content,
    corpora,
    declared,
    fetch,
    judged,
    own_hashes,
    resolve,
    yaml_tree,
)
from spira.core.comparison import COMPARED, Difference, Judged, paired_differences, sizes, verdict, why_not_paired
from spira.core.metrics import EvaluateParams
from spira.core.staleness import flat, hashes, stale
from spira.errors import DataError, told
from spira.params import check, parse

METRICS, SUMMARY = "data/evaluation.json", "data/subsets_summary.csv"
_RULES = (
    "Rules: regression or improvement where the {confidence:g}% paired interval of the AUC difference under the "
    "headline condition, `{condition}`, excludes 0; otherwise no evidence. **Bold**: the interval excludes 0. "
    "Speakers are resampled, seeds are not: a few seeds say little of the next training."
)


def report(base: Revision, head: Revision, *, from_remote: bool) -> tuple[str, bool]:
    """(the Markdown, whether head's results are stale)."""
    locks = [yaml_tree(revision, "dvc.lock").get("stages", {}) for revision in (base, head)]
    parameters = [yaml_tree(revision, "params.yaml") for revision in (base, head)]
    old = _stale(head, locks[1], parameters[1])
    sections = [
        f"# {head.name} ({head.commit[:8]}) against {base.name} ({base.commit[:8]})",
        _corpus(parameters),
        _stale_section(old),
        *_metrics(base, head, locks, parameters, from_remote=from_remote),
        "## Parameters",
        _parameters(*map(flat, parameters)),
        "## Data",
        _data(base, head, locks),
    ]
    return "\n\n".join(filter(None, sections)) + "\n", bool(old)


def _stale(head: Revision, lock: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, list[str]]:
    stages = declared(head)
    made = {path for entry in lock.values() for path in hashes(entry, "outs")}
    paths = {path for stage in stages for path in (*stage.deps, *stage.outs)}
    in_git = {path for path in paths if path not in made} | {path for path in made if content(head, path) is not None}
    return stale(stages, lock, own_hashes(head, in_git), {"params.yaml": params})


def _stale_section(old: Mapping[str, list[str]]) -> str:
    if not old:
        return ""
    lines = [f"- `{stage}`: {'; '.join(reasons)}" for stage, reasons in old.items()]
    return "## Stale results\n\nNewer than dvc.lock; `dvc repro`, then commit dvc.lock:\n\n" + "\n".join(lines)


def _corpus(parameters: list[dict[str, Any]]) -> str:
    names = [str(tree.get("corpus", "?")) for tree in parameters]
    said = f"Corpus: {names[1]}" if names[0] == names[1] else f"Corpus: {names[0]} -> {names[1]}"
    return said + (". The demo is SYNTHETIC speech: no number has medical meaning." if "demo" in names else ".")


def _metrics(
    base: Revision,
    head: Revision,
    locks: list[dict[str, Any]],
    parameters: list[dict[str, Any]],
    *,
    from_remote: bool,
) -> list[str]:
    if problems := list(check("evaluate", EvaluateParams, parameters[1].get("evaluate"))):
        raise DataError(f"{head.name}:params.yaml: {problems[0][0]}: {problems[0][1]}")
    p = parse(EvaluateParams, parameters[1]["evaluate"])
    metrics = [yaml_tree(revision, METRICS) for revision in (base, head)]
    found: dict[str, dict[str, Difference]] = {}
    judgements, reason = _both(base, head, locks, parameters, from_remote=from_remote)
    if judgements:
        found = {
            name: paired_differences(judgements[0][name], judgements[1][name], p)
            for name in judgements[0].keys() & judgements[1].keys()
        }
    rows = [
        _row(name, metric, [tree.get(name, {}).get(metric) for tree in metrics], found.get(name, {}).get(metric))
        for name in {**metrics[0], **metrics[1]}
        if any(isinstance(tree.get(name), dict) and "auc" in tree[name] for tree in metrics)
        for metric in COMPARED
    ]
    table = _table(
        ["condition", "metric", "base", "head", "difference", f"{100 * p.confidence:g}% paired interval", ""], rows
    )
    headline = found.get(p.threshold_condition, {}).get("auc")
    if headline is None:
        said = f"No verdict: {reason or f'{p.threshold_condition} was not scored by both'}. Point estimates only."
    else:
        n_speakers, n_patients, n_clips = sizes(judgements[1][p.threshold_condition])
        said = (
            f"AUC under `{p.threshold_condition}` {headline.difference:+.3f} [{headline.lo:+.3f}, {headline.hi:+.3f}]"
        )
        said = f"**{verdict(headline)}**: {said}; {n_speakers} test speakers ({n_patients} patients), {n_clips} clips."
    rules = _RULES.format(confidence=100 * p.confidence, condition=p.threshold_condition)
    return ["## Verdict", said, "## Metrics", table, rules]


def _both(
    base: Revision,
    head: Revision,
    locks: list[dict[str, Any]],
    parameters: list[dict[str, Any]],
    *,
    from_remote: bool,
) -> tuple[list[dict[str, Judged]], str]:
    """Both revisions' judgements where they can be paired, else none and the reason."""
    both = []
    for revision, lock, tree in zip((base, head), locks, parameters, strict=True):
        failed = fetch(revision) if from_remote else None
        found = judged(revision, lock, tree.get("evaluate", {}).get("threshold_condition", ""))
        if found is None:
            why = f" ({failed})" if failed else "" if from_remote else "; dvc fetch, or --fetch"
            return [], f"the predictions of {revision.name} are not at hand{why}"
        both.append(found)
    if parameters[0].get("corpus") != parameters[1].get("corpus"):
        return [], "the corpora differ, so the test clips are of other people"
    for name in sorted(both[0].keys() & both[1].keys()):
        if reason := why_not_paired(both[0][name], both[1][name]):
            return [], reason
    return both, ""


def _row(condition: str, metric: str, points: list[float | None], paired: Difference | None) -> list[str]:
    base, head = (paired.base, paired.head) if paired else points
    cells = [condition, "AUC" if metric == "auc" else metric, *("–" if x is None else f"{x:.3f}" for x in (base, head))]
    if base is None or head is None:
        return [*cells, "–", "–", ""]
    difference = paired.difference if paired else head - base
    interval = f"[{paired.lo:+.3f}, {paired.hi:+.3f}]" if paired else "–"
    arrow = "↑ better" if difference > 0 else "↓ worse" if difference < 0 else "="
    sure = paired is not None and verdict(paired) != "no evidence"
    return [*cells, f"{difference:+.3f}", interval, f"**{arrow}**" if sure else arrow]


def _parameters(base: Mapping[str, Any], head: Mapping[str, Any]) -> str:
    absent = object()
    keys = [key for key in {**base, **head} if base.get(key, absent) != head.get(key, absent)]
    return _table(["parameter", "base", "head"], [[key, base.get(key, "–"), head.get(key, "–")] for key in keys])


def _data(base: Revision, head: Revision, locks: list[dict[str, Any]]) -> str:
    before, after = (
        {path: md5 for stage in lock.values() for path, md5 in hashes(stage, "outs").items()} | corpora(revision)
        for revision, lock in zip((base, head), locks, strict=True)
    )
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    rows = [[path, before.get(path, "–")[:8], after.get(path, "–")[:8]] for path in paths]
    tables = [_table(["path", "base", "head"], rows)]
    of_base, of_head = (_summary(revision) for revision in (base, head))
    cells = [key for key in {**of_base, **of_head} if of_base.get(key) != of_head.get(key)]
    if cells:
        changed = [[*key, of_base.get(key, "–"), of_head.get(key, "–")] for key in cells]
        tables.append("Subsets:\n\n" + _table(["subset", "count", "base", "head"], changed))
    return "\n\n".join(tables)


def _summary(revision: Revision) -> dict[tuple[str, str], str]:
    """Each cell of the committed table of subsets, by row and column."""
    rows = csv.DictReader(io.StringIO((content(revision, SUMMARY) or b"").decode()))
    return {(row["subset"], name): value for row in rows for name, value in row.items() if name != "subset"}


def _table(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table; a cell cannot break out of it."""
    if not rows:
        return "Nothing changed."
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;").replace("@", "&#64;")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m spira.report", description="What changed between two revisions.")
    parser.add_argument("base")
    parser.add_argument("head", nargs="?", default="HEAD")
    parser.add_argument("--check", action="store_true", help="exit 1 where head's dvc.lock is stale")
    parser.add_argument("--fetch", action="store_true", help="bring missing predictions from DVC's remote")
    asked = parser.parse_args(arguments)
    root = Path.cwd()
    if not (root / "dvc.yaml").is_file():
        raise DataError(f"{root}: no dvc.yaml here; run from the repository's root")
    text, old = report(resolve(root, asked.base), resolve(root, asked.head), from_remote=asked.fetch)
    sys.stdout.write(text)
    return int(asked.check and old)


if __name__ == "__main__":
    with told():
        sys.exit(main(sys.argv[1:]))
