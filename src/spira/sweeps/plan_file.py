"""experiments/<name>.yaml -> a table of experiments or a study, strictly: every mistake with its line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from spira.base.errors import ParamError
from spira.base.params import check, parse, read, report, suggest
from spira.sweeps.plan import Choices, Overrides, Plan, Range, RowName, Study, StudyParams, applied

_KINDS: dict[str, Any] = {
    "base": Overrides,
    "rows": Annotated[dict[RowName, Overrides], Field(min_length=1)],
    "published": dict[Annotated[str, Field(strict=True)], dict[RowName, str]],
}
Problems = Iterator[tuple[str, str]]


def read_plan(path: Path, params: dict[str, Any]) -> Plan:
    """The typed plan.

    Args:
        params: the tree of ``params.yaml``, whose keys are the only ones that may be set.

    Raises:
        ParamError: naming the file, the line and the key of every mistake.
    """
    tree, lines = read(path)
    problems = list(_problems(path.stem, tree, params))
    if problems:
        raise ParamError(report(problems, lines, path))
    base = parse(_KINDS["base"], tree.get("base", {}))
    rows = parse(_KINDS["rows"], tree["rows"]) if "rows" in tree else {}
    study = _study(tree["study"]) if "study" in tree else None
    return Plan(path.stem, base, rows, tree.get("published", {}), study)


def _study(tree: dict[str, Any]) -> Study:
    parameters = {key: parse(_kind(value), value) for key, value in tree["parameters"].items()}
    return Study(parse(StudyParams, {k: v for k, v in tree.items() if k != "parameters"}), parameters)


def _problems(name: str, tree: dict[str, Any], params: dict[str, Any]) -> Problems:
    if not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", name):
        yield "", f"the file's name begins each experiment's: small letters, digits, - and _, got {name!r}"
    known = [*_KINDS, "study"]
    yield from ((str(key), f"unknown key; {suggest(str(key), known)}") for key in tree if key not in known)
    if ("rows" in tree) == ("study" in tree):
        yield "rows", "a file has either rows, a table, or study, a search"
    wrong_kinds = [problem for key, kind in _KINDS.items() if key in tree for problem in check(key, kind, tree[key])]
    yield from wrong_kinds
    if "study" in tree:
        yield from _study_problems(tree["study"], params)
    if not wrong_kinds:
        yield from _unknown("base", tree.get("base", {}), params)
        if isinstance(tree.get("study"), dict):
            yield from _model_problems(tree["study"], params["models"], tree.get("base", {}))
        for row, overrides in tree.get("rows", {}).items():
            yield from _unknown(f"rows.{row}", overrides, params)
        for column, cells in tree.get("published", {}).items():
            for row in cells.keys() - tree.get("rows", {}).keys():
                yield f"published.{column}.{row}", f"no such row; {suggest(row, tree.get('rows', {}))}"


def _study_problems(tree: object, params: dict[str, Any]) -> Problems:
    if not isinstance(tree, dict) or not isinstance(tree.get("parameters"), dict) or not tree["parameters"]:
        yield "study.parameters", "must name what is varied, as `train.lr: {low: 1e-4, high: 1e-2, log: true}`"
        return
    yield from check("study", StudyParams, {key: value for key, value in tree.items() if key != "parameters"})
    yield from _unknown("study.parameters", tree["parameters"], params)
    for key, value in tree["parameters"].items():
        yield from check(f"study.parameters.{key}", _kind(value), value)


def _model_problems(study: dict[str, Any], models: dict[str, Any], base: dict[str, Any]) -> Problems:
    """A study follows a model that is there, and gives up none whose loss has no curve."""
    named = (base.get(f"models.{kind}", models[kind]) for kind in ("networks", "baselines"))
    networks, baselines = (names if isinstance(names, list) else [names] for names in named)  # check refuses the latter
    name, known = study.get("model"), [*networks, *baselines]
    if isinstance(name, str) and name not in known:
        yield "study.model", f"must be one that models names, {' or '.join(map(str, known))}, got {name!r}"
    if name in baselines and study.get("prune"):
        yield "study.prune", f"must be false: {name} is a baseline, and its loss has no curve to be given up by"


def _kind(value: object) -> type[Range] | type[Choices]:
    return Choices if isinstance(value, dict) and "choices" in value else Range


def _unknown(where: str, overrides: dict[str, Any], params: dict[str, Any]) -> Problems:
    leaves = [".".join(path) for path in _leaves(params)]
    for key in overrides:
        if key not in leaves:
            yield f"{where}.{key}", f"params.yaml has no such parameter; {suggest(key, leaves)}"


def _leaves(tree: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from ((str(key), *rest) for rest in _leaves(value))
        else:
            yield (str(key),)


def settings(plan: Plan, params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(key in the plan, the parameters it asks for): of each row, and of each end of what a study varies."""
    for row, overrides in plan.rows.items():
        yield f"rows.{row}", applied(params, plan.base | overrides)
    for key, varied in plan.study.parameters.items() if plan.study else ():
        ends = varied.choices if isinstance(varied, Choices) else (varied.low, varied.high)
        for value in ends:
            yield f"study.parameters.{key}", applied(params, {**plan.base, key: value})
