"""A plan's experiments -> one row each, aligned as text that is Markdown too.

Read are the experiments that ``dvc exp show`` lists under the commit that they started from: their metrics, and for
spreads and differences their predictions from DVC's cache.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spira.base.errors import DataError
from spira.base.params import PARAMS, read
from spira.compare.against_first import against, conclusion, signed
from spira.compare.read_side import compared, read_side
from spira.compare.revision import Revision, read_params, resolve
from spira.compare.sides import Side
from spira.evaluation.markdown import cell, inert
from spira.evaluation.metrics import auc, std_over_seeds
from spira.evaluation.origin import origin
from spira.evaluation.paired import Difference
from spira.features.conditions import CONDITIONS
from spira.repository.git import object_name
from spira.sweeps.clones import reference
from spira.sweeps.log import RESULTS, WORK, minutes
from spira.sweeps.plan import Plan, applied
from spira.sweeps.plan_file import read_plan


def table(path: Path, rev: str) -> str:
    """The plan's rows in its order, or a study's trials in theirs."""
    params, _ = read(PARAMS)
    plan = read_plan(path, params)
    if plan.study:
        return _history(RESULTS / plan.name / "history.csv")
    base = resolve(Path.cwd(), rev)
    headline = applied(params, plan.base)["evaluate"]["threshold_condition"]
    corpora = dict.fromkeys(applied(params, plan.base | row)["corpus"] for row in plan.rows.values())
    ran = {row: _ran(plan, row, base) for row in plan.rows}
    differences, text = _differences(ran, headline)
    rows = [_row(plan, row, ran[row], differences.get(row), headline) for row in plan.rows]
    others = [f"AUC {name}" for name in CONDITIONS if name != headline]
    head = [plan.name, f"AUC {headline}", "seeds", "sd", "interval", "difference", "sensitivity", "specificity"]
    notes = (
        f"Corpus: {', '.join(inert(origin(corpus)) for corpus in corpora)}. From {base.commit[:7]}. "
        "AUC: mean over seeds, sd: its spread over them, interval: over resampled speakers; "
        f"sensitivity and specificity under `{headline}`. Minutes of this machine; none where the cache had them."
    )
    if plan.published:
        notes += " Published figures are of other recordings."
    return f"{aligned([*head, *others, 'minutes', *plan.published], rows)}\n{notes}\n{text}"


def _differences(ran: Mapping[str, Side | str], headline: str) -> tuple[dict[str, Difference | str], str]:
    """Each row's difference from the first that has run, and the sentences that conclude; empty where one alone has."""
    sides = [side for side in ran.values() if isinstance(side, Side)]
    if len(sides) < 2:
        return {}, ""
    first, *others = sides
    pairs = {side.name: compared(first, side) for side in others}
    differences = {row: against(pair) for row, pair in pairs.items()}
    text = conclusion(first.name, differences, headline, next(iter(pairs.values())).rules.confidence)
    if noisy := [f"`{side.name}`" for side in others if side.params.get("noise") != first.params.get("noise")]:
        text += f" {', '.join(noisy)}: its own `noise` was inserted into the test clips too."
    return differences, f"\n{text}\n"


def _ran(plan: Plan, row: str, base: Revision) -> Side | str:
    """What came of a row; why nothing did, in two words."""
    name = reference(base.commit, plan.experiment(row))
    if (commit := object_name(base.root, name)) is None:
        return "not run"
    experiment = Revision(base.root, name, commit)
    params = read_params(experiment)
    if applied(params, plan.base | plan.rows[row]) != params:
        return "other parameters"
    return replace(read_side(experiment, from_remote=False), name=row, missing="; dvc exp pull")


def _row(plan: Plan, row: str, ran: Side | str, difference: Difference | str | None, headline: str) -> list[str]:
    published = [cells.get(row, "") for cells in plan.published.values()]
    if isinstance(ran, str):
        return [row, ran, *[""] * (7 + len(CONDITIONS) - 1), *published]
    metrics = ran.metrics.get(headline, {})
    interval = f"[{_number(metrics, 'auc_lo')}, {_number(metrics, 'auc_hi')}]"
    others = [_number(ran.metrics.get(name, {}), "auc") for name in CONDITIONS if name != headline]
    took = minutes(WORK / plan.name).get(ran.commit)
    return [
        *(row, _number(metrics, "auc"), *_over_seeds(ran, headline), interval),
        signed(difference) if isinstance(difference, Difference) else "–",
        *(_number(metrics, "sensitivity"), _number(metrics, "specificity"), *others),
        *("" if took is None else f"{took:.1f}", *published),
    ]


def _over_seeds(ran: Side, condition: str) -> tuple[str, str]:
    """(how many, the spread of their AUCs); empty where the cache lacks the predictions."""
    if condition not in ran.test_clips:
        return "", ""
    clips = ran.test_clips[condition]
    values = [float(auc(clips.labels, scores)) for scores in clips.scores]
    return str(len(values)), f"{std_over_seeds(values):.3f}" if len(values) > 1 else ""


def _number(metrics: Mapping[str, Any], key: str) -> str:
    return f"{metrics[key]:.3f}" if key in metrics else ""


def _history(path: Path) -> str:
    """A study's trials as its sweep left them: the validation loss, nothing of the test set."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; spira sweep makes it")
    head, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    return aligned(head, rows)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also stand under each other as plain text."""
    cells = [list(map(cell, row)) for row in (head, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [" | ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "".join(f"| {line} |\n" for line in lines)
