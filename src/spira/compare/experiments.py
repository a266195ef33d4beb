"""A plan's experiments -> a line each and model, aligned as text that is Markdown too.

Read are the experiments that ``dvc exp show`` lists under the commit that they started from: their metrics, and for
spreads and differences their predictions from DVC's cache.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spira.base.errors import DataError
from spira.base.params import PARAMS, read
from spira.compare.against_first import against, conclusion, held_against, signed
from spira.compare.read_side import compared, read_side
from spira.compare.revision import Revision, read_params, resolve
from spira.compare.sides import Side
from spira.evaluation.markdown import cell, code, inert
from spira.evaluation.metrics import auc, std_over_seeds
from spira.evaluation.origin import origin
from spira.evaluation.paired import Difference
from spira.features.conditions import CONDITIONS
from spira.repository.git import object_name
from spira.sweeps.clones import reference
from spira.sweeps.log import RESULTS, WORK, minutes
from spira.sweeps.plan import Plan, applied
from spira.sweeps.plan_file import read_plan


@dataclass(frozen=True)
class Line:
    """One model of a row that has run."""

    row: str
    model: str
    ran: Side
    first: bool  # of its row

    @property
    def label(self) -> str:
        """The row, with the model where it has several."""
        return self.row if len(self.ran.models) < 2 else f"{self.row} {self.model}"


def table(path: Path, rev: str) -> str:
    """The plan's rows in its order, a line a model, or a study's trials in theirs."""
    params, _ = read(PARAMS)
    plan = read_plan(path, params)
    if plan.study:
        return _history(RESULTS / plan.name / "history.csv")
    base = resolve(Path.cwd(), rev)
    headline = applied(params, plan.base)["evaluate"]["threshold_condition"]
    corpora = dict.fromkeys(applied(params, plan.base | row)["corpus"] for row in plan.rows.values())
    ran = {row: _ran(plan, row, base) for row in plan.rows}
    lines = [line for row, side in ran.items() if isinstance(side, Side) for line in _lines(row, side)]
    differences, text = _differences(lines, headline)
    rows = [cells for row in plan.rows for cells in _rows(plan, row, ran[row], lines, differences, headline)]
    others = [f"AUC {name}" for name in CONDITIONS if name != headline]
    numbers = [f"AUC {headline}", "seeds", "sd", "interval", "difference", "sensitivity", "specificity", *others]
    notes = (
        f"Corpus: {', '.join(inert(origin(corpus)) for corpus in corpora)}. From {base.commit[:7]}. "
        "AUC: mean over seeds, of which a baseline has one; sd: its spread over them, interval: over resampled "
        f"speakers; sensitivity and specificity under `{headline}`. Deployed: chosen on validation clips. Minutes of "
        "this machine; none where the cache had them."
    )
    if plan.published:
        notes += " Published figures are of other recordings."
    head = [plan.name, "model", *numbers, "minutes", *plan.published]
    return f"{aligned(head, rows)}\n{notes}\n{text}"


def _lines(row: str, ran: Side) -> list[Line]:
    return [Line(row, model, ran, i == 0) for i, model in enumerate(ran.models or ("",))]


def _differences(lines: Sequence[Line], headline: str) -> tuple[dict[str, Difference | str], str]:
    """Each line's difference from the first row, and the sentences that conclude; empty where there is one line."""
    if len(lines) < 2:
        return {}, ""
    first, differences = lines[0].ran, dict[str, Difference | str]()
    pair = compared(first, first)
    for line in lines:
        if line.ran is not first:
            pair = compared(first, line.ran)
        other = held_against(first, line.model, own=line.ran is first)
        if other is not None:
            differences[line.label] = against(pair.between(other, line.model))
    text = conclusion(first.name, differences, headline, pair.rules.confidence)
    others = {line.row: line.ran for line in lines if line.ran.params.get("noise") != first.params.get("noise")}
    if others:
        text += f" {', '.join(map(code, others))}: its own `noise` was inserted into the test clips too."
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


def _rows(
    plan: Plan,
    row: str,
    ran: Side | str,
    lines: Sequence[Line],
    differences: Mapping[str, Difference | str],
    headline: str,
) -> list[list[str]]:
    """The cells of a row's lines; its minutes and what was published stand in the first."""
    published = [cells.get(row, "") for cells in plan.published.values()]
    if isinstance(ran, str):
        return [[row, "", ran, *[""] * (7 + len(CONDITIONS) - 1), *published]]
    took = minutes(WORK / plan.name).get(ran.commit)
    once = ["" if took is None else f"{took:.1f}", *published]
    return [
        [*_cells(line, differences.get(line.label), headline), *(once if line.first else [""] * len(once))]
        for line in lines
        if line.row == row
    ]


def _cells(line: Line, difference: Difference | str | None, headline: str) -> list[str]:
    found = line.ran.metrics.get(line.model, {})
    metrics = found.get(headline, {})
    interval = f"[{_number(metrics, 'auc_lo')}, {_number(metrics, 'auc_hi')}]"
    others = [_number(found.get(name, {}), "auc") for name in CONDITIONS if name != headline]
    chosen = len(line.ran.models) > 1 and line.model == line.ran.deployed
    return [
        *(line.row, f"{line.model} (deployed)" if chosen else line.model),
        *(_number(metrics, "auc"), *_over_seeds(line, headline), interval),
        signed(difference) if isinstance(difference, Difference) else "–",
        *(_number(metrics, "sensitivity"), _number(metrics, "specificity"), *others),
    ]


def _over_seeds(line: Line, condition: str) -> tuple[str, str]:
    """(how many, the spread of their AUCs); empty where the cache lacks the predictions."""
    clips = line.ran.test_clips.get(line.model, {}).get(condition)
    if clips is None:
        return "", ""
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
