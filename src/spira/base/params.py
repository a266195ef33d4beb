"""params.yaml -> the typed sections, strictly."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from spira.base.bounded_yaml import Bounds, read_yaml
from spira.base.errors import ParamError

PARAMS = Path("params.yaml")
BOUNDS = Bounds(characters=50_000, brackets=300, values=10_000)  # ours has a quarter of it
_LONGEST_SHOWN = 300  # characters of a value in a message
T = TypeVar("T")


@overload
def load(name: str, kind: type[T], *, path: Path = PARAMS) -> T: ...
@overload
def load(name: str, kind: object, *, path: Path = PARAMS) -> Any: ...
def load(name: str, kind: Any, *, path: Path = PARAMS) -> Any:
    """The section or value ``name`` of ``params.yaml``, checked against its type.

    Args:
        name: a top-level key, such as ``"features"``.
        kind: a ``Section``, or a plain type such as ``tuple[int, ...]`` or a ``Literal``.
        path: the file to read.

    Raises:
        ParamError: the file cannot be read as YAML, or the section has unknown,
            missing or impossible keys; all of them are named, each with its line.
    """
    tree, lines = read(path)
    if name not in tree:
        raise ParamError(f"{path}: {name}: missing; {suggest(name, map(str, tree))}")
    problems = list(check(name, kind, tree[name]))
    if problems:
        raise ParamError(report(problems, lines, path))
    return parse(kind, tree[name])


def read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The tree of a YAML file, and the line (from 1) of each dotted key.

    Raises:
        ParamError: not UTF-8, not YAML, a duplicate key, or no mapping at the top.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ParamError(f"{path}: no such file; run from the repository's root") from error
    except OSError as error:
        raise ParamError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ParamError(f"{path}: not readable as YAML: {error}") from error
    tree, lines = read_yaml(text, str(path), BOUNDS)
    if not isinstance(tree, dict):
        raise ParamError(f"{path}: must hold `key: value` lines, got {'nothing' if tree is None else repr(tree)}")
    return tree, lines


def parse(kind: type[T], value: object) -> T:
    """The typed value. Lists are how YAML writes a tuple; every scalar inside stays strict."""
    typed: T = TypeAdapter(kind).validate_python(_tuples(value))
    return typed


def check(name: str, kind: Any, value: object) -> Iterator[tuple[str, str]]:
    """Each problem of one section as (dotted key, message); none when it is sound."""
    try:
        parse(kind, value)
    except ValidationError as error:
        for problem in error.errors():
            yield _explain(name, kind, problem)


def report(problems: list[tuple[str, str]], lines: Mapping[str, int], path: Path = PARAMS) -> str:
    """One line a problem, each with its key and the line of the key, or of the section that lacks it."""
    return "\n".join(f"{path}{_line_suffix(key, lines)}: {key}: {message}" for key, message in problems)


def suggest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, or all of them."""
    close = get_close_matches(name, known := list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _explain(name: str, kind: Any, problem: Any) -> tuple[str, str]:
    key = ".".join([name, *map(str, problem["loc"])])
    match problem["type"]:
        case "extra_forbidden" | "invalid_key":  # a key that is no text is no parameter's either
            return (
                key,
                f"unknown parameter; {suggest(str(problem['loc'][-1]), _fields(kind, problem['loc'][:-1]))}",
            )
        case "missing":
            return key, "missing; code has no defaults, so write it"
        case "value_error":  # a section's own check, whose message opens with the key
            field, _, message = str(problem["ctx"]["error"]).partition(": ")
            return f"{key}.{field}", message
        case "model_type":
            return key, f"must be a section of `key: value` lines, got {_as_written(problem['input'])}"
        case _:
            expected = re.sub(r"^\w+ should\b", "must", problem["msg"]).replace("tuple", "list")
            return key, f"{expected}, got {_as_written(problem['input'])}{_meant(problem)}{_quoted(key, problem)}"


def _meant(problem: Any) -> str:
    """What was probably meant by a word or a number that is not allowed; "" where nobody can tell."""
    got, kind = problem["input"], problem["type"]
    written = str(got).lower().strip()
    meant: object = None
    if kind == "literal_error":
        meant = next(
            iter(get_close_matches(written, re.findall(r"'([^']*)'", problem["ctx"]["expected"]), 1, 0.7)), None
        )
    elif kind == "bool_type":
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(written)
    elif kind in ("float_type", "int_type") and re.fullmatch(r"[+-]?\d*[.,]?\d+(e[+-]?\d+)?", written):
        value = float(written.replace(",", "."))
        meant = value if kind == "float_type" else int(value) if value.is_integer() else None
    return "" if meant is None else f"; did you mean {meant}?"


def _quoted(key: str, problem: Any) -> str:
    """How to write a text that YAML takes for a number, a date, true or nothing; "" for any other mistake."""
    got, name = problem["input"], key.rpartition(".")[2]
    if problem["type"] != "string_type" or not isinstance(got, int | float | date | None):
        return ""
    text = "null" if got is None else str(got).lower() if isinstance(got, bool) else str(got)
    written = f'"{text}"' if name.isdigit() else f"""{name}: "{text}", or -S '{key}="{text}"'"""  # in a list, or not
    spelled = ", or as you spelled it" if isinstance(got, int | float) and not isinstance(got, bool) else ""
    return f"; text that YAML takes for something else needs quotes, such as {written}{spelled}"


def _fields(kind: Any, loc: tuple[str | int, ...]) -> list[str]:
    for part in loc:
        kind = kind.model_fields[part].annotation
    return list(kind.model_fields)


def _line_suffix(key: str, lines: Mapping[str, int]) -> str:
    while key not in lines and "." in key:
        key = key.rpartition(".")[0]
    return f":{lines[key]}" if key in lines else ""


def _as_written(value: object) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(text)} characters)"


def _tuples(value: object) -> object:
    """Lists as tuples, since a frozen section holds no list."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
