"""Cells of metadata.csv in one canonical form, and messages on what was assumed."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from spira.clips.cells import NUMBERS, date_text, is_unknown, number_text, read_dates, read_numbers
from spira.clips.spelling import difference, id_key, key, spelled_alike
from spira.ingest.personal_data import personal, shown

_TEXTS = ("speaker_id", "sex", "site", "device", "task", "split", "source")
_CODES: Mapping[str, tuple[str, Mapping[str, str]]] = {  # what it must be; its values by how people write them
    "label": (
        "patient or control (SPIRA's class: 1 or 0)",
        {"patient": "1", "paciente": "1", "1": "1", "control": "0", "controle": "0", "0": "0"},
    ),
    "sex": (
        "F, M or empty",
        dict.fromkeys(("f", "female", "fem", "feminino", "mulher", "woman"), "F")
        | dict.fromkeys(("m", "male", "masc", "masculino", "homem", "man"), "M"),
    ),
    "split": (
        "train, validation, test or empty",
        {"train": "train", "treino": "train", "treinamento": "train", "test": "test", "teste": "test"}
        | dict.fromkeys(("validation", "val", "validacao", "validação"), "validation"),
    ),
}
_ROUNDED = re.compile(r"\d[.,]\d+E\+\d+", re.ASCII)  # a long number, as spreadsheets write it: what it was is lost
_COMPARED = {"speaker_id": id_key, "site": key, "device": key, "task": key, "source": key}
_MOST_SAID = 10
Columns = Mapping[str, Sequence[str]]  # by name, a cell a row


def canonical(
    table: Columns, lines: Sequence[int], *, day_first: bool
) -> tuple[dict[str, list[str]], list[tuple[int, str]]]:
    """Brings every cell into one form: ``34.2``, ``2020-07-31``, "" where it is unknown.

    Args:
        table: the columns that are read, as they are written.
        lines: the line of each row.
        day_first: how a date is read where no date of the column decides.

    Returns:
        The columns; and each value that cannot be read, once, with its first line and what is wrong with it.
    """
    columns, problems = dict[str, list[str]](), list[tuple[int, str]]()
    for name, cells in table.items():
        counts = Counter(cells)
        first = dict(zip(reversed(cells), reversed(lines), strict=True))
        texts, wrong = _read(name, list(counts), day_first=day_first)
        columns[name] = [texts[cell] for cell in cells]
        problems += [(first[cell], f"{why}, got {shown(cell)}{_rows(counts[cell])}") for cell, why in wrong.items()]
    return columns, sorted(problems)


def _read(name: str, cells: list[str], *, day_first: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Canonical forms of one column's cells, and what is wrong with those that have none; both by cell."""
    if name in NUMBERS:
        numbers = read_numbers(name, cells)
        texts, problems = list(map(number_text, cells, numbers.values)), numbers.problems
    elif name == "recorded_on":
        dates = read_dates(name, cells, day_first=day_first)
        texts, problems = list(map(date_text, cells, dates.values)), dates.problems
    else:
        texts = ["" if name in _TEXTS and is_unknown(cell) else cell for cell in cells]
        problems = {}
        if name == "speaker_id":
            lost = (
                "speaker_id must not be rounded, as by a spreadsheet: format the column as text, and fill it in again"
            )
            problems = {row: lost for row, text in enumerate(texts) if _ROUNDED.fullmatch(text)}
        elif name in _CODES:
            expected, codes = _CODES[name]
            found = [codes.get(id_key(text).rstrip(".")) if text or name == "label" else "" for text in texts]
            problems = {row: f"{name} must be {expected}" for row, text in enumerate(found) if text is None}
            texts = [text or "" for text in found]
    return dict(zip(cells, texts, strict=True)), {cells[row]: why for row, why in problems.items()}


def assumptions(written: Columns, read: Columns) -> Iterator[str]:
    """Messages on cells that were taken for unknown, and on dates that were not written as ISO 8601."""
    pairs = {name: sorted(Counter(zip(cells, read[name], strict=True)).items()) for name, cells in written.items()}
    unknown = [
        f"{name} {cell!r}{_rows(n)}"
        for name, counts in pairs.items()
        for (cell, text), n in counts
        if cell and not text
    ]
    if unknown:
        yield f"taken for unknown: {_some(unknown)}"
    dates = [(cell, text) for (cell, text), _ in pairs.get("recorded_on", ()) if cell != text != ""]
    if dates:
        yield f"recorded_on is read as dates: {_some([f'{cell!r} as {text}' for cell, text in dates], most=2)}"


def alike(columns: Columns, named: Callable[[str], str]) -> Iterator[str]:
    """A message for each group of values that differ only in spelling: they may be one person, or one site.

    Args:
        columns: from ``canonical``.
        named: gives a speaker's name in the log.
    """
    for name, same in _COMPARED.items():
        counts = Counter(columns.get(name, ()))
        groups = spelled_alike(counts, same)
        for group in groups[:_MOST_SAID]:
            quoted = [text + _rows(counts[cell]) for text, cell in zip(_quoted(name, group, named), group, strict=True)]
            how = " or ".join(dict.fromkeys(difference(group[0], other) for other in group[1:]))
            yield (
                f"{name} {', '.join(quoted[:-1])} and {quoted[-1]} differ only {how}, and count as {len(group)}; "
                "write one spelling where one is meant"
            )
        if len(groups) > _MOST_SAID:
            yield f"{name}: {len(groups) - _MOST_SAID} more groups differ only in spelling"


def _quoted(name: str, group: Sequence[str], named: Callable[[str], str]) -> list[str]:
    """The values as a message may quote them; of speakers none where one may be a person's name."""
    if name != "speaker_id":
        return [shown(text, capitals=True) for text in group]
    hidden = [shown(text) for text in map(named, group) if personal(text)]
    return [hidden[0]] * len(group) if hidden else [repr(named(text)) for text in group]


def _rows(n: int) -> str:
    return f" ({n} rows)" if n > 1 else ""


def _some(parts: Sequence[str], most: int = _MOST_SAID) -> str:
    more = [f"and {len(parts) - most} more"] if len(parts) > most else []
    return ", ".join([*parts[:most], *more])
