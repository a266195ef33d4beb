"""YAML and JSON that anybody may have written -> a tree, in bounded time and memory.

YAML is read by ruamel.yaml, as DVC reads it (YAML 1.2), so that ``1e-5`` is a number and ``no`` is text for both.
(PyYAML speaks YAML 1.1 and disagrees.)
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ruamel.yaml import YAML, MappingNode, Node, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from spira.base.errors import ParamError

_DEEPEST = 50  # lists in lists


class Bounds(NamedTuple):
    """What a file may have."""

    characters: int
    brackets: int  # each may be inside the one before
    values: int  # aliases of aliases make a few lines into millions


def read_yaml(text: str, where: str, bounds: Bounds) -> tuple[Any, dict[str, int]]:
    """The tree of a YAML file, and the line (from 1) of each dotted key.

    Args:
        where: what messages call the file.

    Raises:
        ParamError: it is not YAML, has a duplicate key, or is beyond the bounds.
    """
    try:
        return _read(text, where, bounds)
    except ParamError:  # a ValueError itself
        raise
    except RecursionError as error:
        raise ParamError(f"{where}: must hold lists in lists to a depth of at most {_DEEPEST}") from error
    except (YAMLError, ValueError, IndexError, TypeError) as error:  # `!!int x`; `!!int` alone; a list as a key
        mark = getattr(error, "problem_mark", None)
        line = f"{where}:{mark.line + 1}" if mark else where
        raise ParamError(f"{line}: not readable as YAML: {getattr(error, 'problem', error)}") from error


def read_json(text: str, where: str, bounds: Bounds) -> Any:
    """The tree of a JSON file; ParamError where it is not JSON, which has no NaN, or is beyond the bounds."""
    if len(text) > bounds.characters:
        raise ParamError(f"{where}: must have at most {bounds.characters} characters, got {len(text)}")
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ParamError(f"{where}: not readable as JSON: lists in lists without end") from error
    except ValueError as error:
        raise ParamError(f"{where}: not readable as JSON: {error}") from error


@lru_cache(maxsize=1)
def _read(text: str, where: str, bounds: Bounds) -> tuple[Any, dict[str, int]]:
    """The tree and the lines; a stage asks for one section after the other of the same text."""
    yaml = YAML(typ="safe", pure=True)
    node = _within_bounds(yaml, text, where, bounds)
    tree = None if node is None else yaml.constructor.construct_document(node)
    return tree, dict(_lines(node, ""))


def _within_bounds(yaml: YAML, text: str, where: str, bounds: Bounds) -> Node | None:
    """The nodes of a file that can be read in a moment; ParamError where it is made to take long."""
    n_brackets = text.count("[") + text.count("{")
    if len(text) > bounds.characters or n_brackets > bounds.brackets:
        most = f"{bounds.characters} characters and {bounds.brackets} lists"
        raise ParamError(f"{where}: must have at most {most}, got {len(text)} and {n_brackets}")
    node: Node | None = yaml.compose(text)
    n_values, depth = _size(node, {})
    if n_values > bounds.values:
        raise ParamError(
            f"{where}: must hold at most {bounds.values} values, got {min(n_values, 10**99):.3g} once aliases are read"
        )
    if depth > _DEEPEST:
        raise ParamError(f"{where}: must hold lists in lists to a depth of at most {_DEEPEST}, got {depth}")
    return node


def _size(node: Node | None, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """(values, depth) of all that the node stands for, what aliases repeat counted each time."""
    if id(node) not in known:
        known[id(node)] = None  # whoever asks until it is known is inside
        parts: list[Node] = []
        if isinstance(node, MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            parts = node.value
        sizes = [_size(part, known) for part in parts]
        known[id(node)] = 1 + sum(n for n, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)
    if (size := known[id(node)]) is None:
        raise MarkedYAMLError(problem="an `&anchor` holds its own `*alias`", problem_mark=node and node.start_mark)
    return size


def _lines(node: Node | None, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            dotted = f"{prefix}{key.value}"
            yield dotted, key.start_mark.line + 1
            yield from _lines(value, f"{dotted}.")
    elif isinstance(node, SequenceNode):
        for position, value in enumerate(node.value):
            yield f"{prefix}{position}", value.start_mark.line + 1


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Values by dotted key; a list is one value."""
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    return {
        k: v for key, item in tree.items() for k, v in flat(item, f"{prefix}.{key}" if prefix else str(key)).items()
    }
