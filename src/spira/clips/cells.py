"""Cells of a table that people filled in: each is a value, or unknown, or wrong.

A number has a point or a comma before its decimals. A date begins with its year, or ends with it; then the column
decides whether days or months come first, since ``11/07/2020`` alone does not. What is neither a value nor a marker
of a missing one is a problem, and never taken for unknown.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Generic, NamedTuple, TypeVar

from spira.base.errors import DataError
from spira.clips.spelling import visible

T = TypeVar("T")

# What people and programs write where a value is missing, without accents; a cell without letter or digit is one too.
_MARKERS = """na n/a n.a nan nd n/d n.d ni n/i n.i s/i s/inf s/info s/d none null nil unk unknown undefined missing
blank not_known not_available not_applicable not_recorded not_reported not_provided no_data no_answer no_id refused
declined tbd pending anonymous anonimo anonima desconhecido desconhecida ignorado ignorada indisponivel ausente nulo
vazio branco em_branco pendente recusou a_confirmar a_definir nao_informado nao_informada nao_informou nao_identificado
nao_identificada nao_declarado nao_declarada nao_registrado nao_preenchido nao_coletado nao_respondeu nao_disponivel
nao_consta nao_sabe nao_sei nao_se_aplica nao_tem sem_dado sem_dados sem_info sem_informacao sem_informacoes
sem_registro sem_resposta sem_id sem_identificacao prefiro_nao_dizer prefiro_nao_responder""".split()  # noqa: SIM905
_FORMULA_ERROR = re.compile(r"#[^ ]+[!?]")  # #REF!, #VALOR!, #NOME?, and in any other language
_LONGEST_MARKER = 24

_FLAGS = re.ASCII | re.IGNORECASE
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d{1,2})?", _FLAGS)
_PLAIN_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_TIME = r"([T ,]+\d{1,2}[:h]\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]\.?m\.?)?( ?Z| ?[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"(?P<y>\d{{4}})(?P<by>[-/.])(?P<m>\d{{1,2}})(?P=by)(?P<d>\d{{1,2}}){_TIME}", _FLAGS)
_NO_SEPARATOR = re.compile(rf"(?P<y>\d{{4}})(?P<m>\d{{2}})(?P<d>\d{{2}}){_TIME}", _FLAGS)
_YEAR_LAST = re.compile(rf"(?P<a>\d{{1,2}})(?P<by>[-/.])(?P<b>\d{{1,2}})(?P=by)(?P<y>\d{{4}}){_TIME}", _FLAGS)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?", re.ASCII)
_YEARS = range(1900, 2101)


class Limits(NamedTuple):
    """The lowest and highest number of a column."""

    low: float
    high: float
    unit: str
    such_as: str


NUMBERS: Mapping[str, Limits] = {
    "age": Limits(0, 150, "years", "34.5"),
    "spo2": Limits(30, 100, "percent", "97"),  # so that 0.97 is no percentage, and few ages are one
}


class Cells(NamedTuple, Generic[T]):
    """The values of one column, and what is wrong with its cells."""

    values: list[T | None]  # None where unknown, or wrong
    problems: dict[int, str]  # by row, what the cell must be and is not


def is_unknown(cell: str) -> bool:
    """Whether a cell says nothing: blank, or a marker of a missing value such as ``NA``, ``?`` or ``não informado``."""
    if len(cell) > _LONGEST_MARKER:
        return False
    text = visible(cell).lower()
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    word = "_".join(re.sub(" ?/ ?", "/", plain.replace("_", " ")).strip("<>()[]{}#!?.*'\" ").split())
    return not any(map(str.isalnum, text)) or word in _MARKERS or _FORMULA_ERROR.fullmatch(text) is not None


def read_numbers(column: str, cells: Sequence[str]) -> Cells[float]:
    """Reads the cells of one of the columns in ``NUMBERS`` as numbers."""
    limits, found = NUMBERS[column], Cells[float]([], {})
    expected = (
        f"must be a number of {limits.unit} from {limits.low} to {limits.high}, such as {limits.such_as}, or blank"
    )
    for row, cell in enumerate(cells):
        text = visible(cell)
        value = float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None
        if value is not None and limits.low <= value <= limits.high:
            found.values.append(value)
            continue
        found.values.append(None)
        if not is_unknown(cell):
            found.problems[row] = f"{column} {expected}"
    return found


def read_dates(column: str, cells: Sequence[str], *, day_first: bool) -> Cells[date]:
    """Reads the cells as days; a time behind one is not read.

    Args:
        day_first: what to take where every date of the column could be read both ways; where false, that is a problem.
    """
    both = [_readings(visible(cell)) for cell in cells]
    by_day, by_month = (sum(reading[order] is None for reading in both) for order in (0, 1))
    order = 0 if by_day <= by_month else 1
    unsure = by_day == by_month and not day_first
    found = Cells[date]([], {})
    for row, (cell, reading) in enumerate(zip(cells, both, strict=True)):
        value = reading[order]
        if value is None and not is_unknown(cell):
            found.problems[row] = f"{column} must be a date such as 2020-07-31, or blank"
            if reading != (None, None):
                found.problems[row] += f", and other dates of the column are {('day', 'month')[order]} first"
        elif unsure and None not in reading and reading[0] != reading[1]:
            found.problems[row] = (
                f"{column} may be day or month first, and no date of the column decides: write {reading[0]} or "
                f"{reading[1]}"
            )
            value = None
        found.values.append(value)
    return found


def _readings(text: str) -> tuple[date | None, date | None]:
    """Day first and month first: the same twice where the year is first; None where there is no such day."""
    if found := _YEAR_FIRST.fullmatch(text) or _NO_SEPARATOR.fullmatch(text):
        value = _day(found["y"], found["m"], found["d"])
        return value, value
    if found := _YEAR_LAST.fullmatch(text):  # nobody writes months first with points
        by_month = None if found["by"] == "." else _day(found["y"], found["a"], found["b"])
        return _day(found["y"], found["b"], found["a"]), by_month
    return None, None


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day)) if int(year) in _YEARS else None
    except ValueError:
        return None


def number_text(cell: str, value: float | None) -> str:
    """The number as later stages read it: unchanged where it is plain, "" where unknown."""
    return "" if value is None else cell if _PLAIN_NUMBER.fullmatch(cell) else f"{value:.10g}"


def date_text(cell: str, value: date | None) -> str:
    """The date as later stages read it: unchanged, with its time, where it is ISO 8601; "" where unknown."""
    return "" if value is None else cell if _ISO.fullmatch(cell) else value.isoformat()


def require_read(read: Cells[T], cells: Sequence[str]) -> list[T | None]:
    """The values, None where unknown; raises DataError where a cell is wrong."""
    for row, problem in read.problems.items():
        raise DataError(f"{problem}, got {cells[row]!r}")
    return read.values
