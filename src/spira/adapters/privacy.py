"""What a corpus tells of people: reported when it is taken in, and kept out of what comes of it."""

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from spira.adapters.corpus import USED, columns_of, told_at_once
from spira.core.personal import personal, personal_column, pseudonym
from spira.errors import ParamError

KEY = "SPIRA_PSEUDONYM_KEY"
_SHORTEST_KEY = 16  # bytes; fewer can be guessed
_HASHED = ("file_path", "speaker_id")


def namer(personal_data: str) -> Callable[[str], str]:
    """What clips and speakers are called in every output: their own names, or a keyed hash of them.

    Raises:
        ParamError: a hash is asked for and the environment holds no key that is worth one.
    """
    if personal_data != "pseudonymise":
        return str
    key = os.environ.get(KEY, "").encode()
    if len(key) < _SHORTEST_KEY:
        raise ParamError(
            f"ingest.personal_data: pseudonymise needs a key of {_SHORTEST_KEY} bytes or more in the environment "
            f"variable {KEY}, got {len(key)}; python -c 'import secrets; print(secrets.token_hex())' makes one"
        )
    return partial(pseudonym, key=key)


def renamed(table: pl.DataFrame, name: Callable[[str], str]) -> pl.DataFrame:
    """The table with each file and speaker called what ``name`` calls them."""
    columns = [column for column in _HASHED if column in table.columns]
    return table.with_columns(pl.Series(column, map(name, table[column]), pl.String) for column in columns)


def refuse_personal(folder: Path, *, hashed: bool) -> None:
    """Says which columns tell of people, without a word of what they tell.

    Args:
        folder: of the corpus.
        hashed: names of files and speakers reach no output.

    Raises:
        DataError: a column that is read and reaches an output does.
    """
    path, refused = folder / "metadata.csv", []
    for name, fields in columns_of(folder).items():
        found = [(line, kind) for line, field in fields if (kind := _kind(name, field))]
        if found and name in USED and not (hashed and name in _HASHED):
            refused += [f"{path}:{line}: {name} holds {kind}; {_way_out(name)}" for line, kind in found]
        elif found or personal_column(name):
            kinds = Counter(kind for _, kind in found)
            what = ", ".join(f"{kind} in {n} rows" for kind, n in kinds.items()) or personal_column(name)
            print(f"{path}: column {name}: {what}: personal data, which reaches no output; better left out")
    told_at_once(refused)


def _kind(column: str, field: str) -> str:
    kind = personal(field)
    return "" if column == "recorded_on" and kind == "a date of birth" else kind


def _way_out(column: str) -> str:
    either = ", or set ingest.personal_data=pseudonymise" if column in _HASHED else ""
    return f"take it out{either}"
