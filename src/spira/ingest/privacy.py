"""Personal data in a corpus: reported or refused at ingest, and kept out of every output."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import polars as pl

from spira.base.errors import ParamError
from spira.ingest.column_names import USED
from spira.ingest.corpus import at_most, raise_all, read_columns
from spira.ingest.personal_data import NAME, OLD_DATE, kinds, personal_column, pseudonym, taken_for

KEY = "SPIRA_PSEUDONYM_KEY"
_SHORTEST_KEY = 16  # bytes; fewer can be guessed
_HASHED = ("file_path", "speaker_id")
_NOT_A_PERSON = MappingProxyType({NAME: "or that of a place or a thing: take it out where it is a person's"})
_ALLOWED = {  # by column, what looks personal and is only warned of, with what to do
    "file_path": {
        OLD_DATE: "of birth, or of the recording: rename the file where it is of birth",
        NAME: "or other words: rename the file where it is a person's, or set ingest.personal_data=pseudonymise",
    },
    **dict.fromkeys(("site", "device", "task", "source"), _NOT_A_PERSON),
}
_READ_OTHERWISE = {("recorded_on", OLD_DATE), ("label", NAME)}  # a date, and what is refused for being no label


def namer(personal_data: str) -> Callable[[str], str]:
    """A function from a clip's or speaker's name to its name in every output: itself, or a keyed hash.

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
    """The table with every file's and speaker's name replaced by what ``name`` makes of it."""
    columns = [column for column in _HASHED if column in table.columns]
    return table.with_columns(pl.Series(column, map(name, table[column]), pl.String) for column in columns)


def refuse_personal(folder: Path, *, hashed: bool, used: Collection[str] = USED) -> None:
    """Refuses columns with personal data, a line a value, which never quotes it.

    What is ``_ALLOWED`` is warned of and goes on: a site is where, not who, and the date in the name of a file is most
    often that of the recording. A column that is not read is warned of too.

    Args:
        folder: of the corpus.
        hashed: names of files and speakers reach no output.
        used: the columns that are read.

    Raises:
        DataError: a column that is read and reaches an output holds personal data.
    """
    path, refused, doubtful = folder / "metadata.csv", list[str](), list[str]()
    for name, fields in read_columns(folder).items():
        found = list(_personal_values(name, fields))
        if name in used and not (hashed and name in _HASHED):
            allowed = _ALLOWED.get(name, {})
            for kind, line, n_rows in found:
                many = f" ({n_rows} rows)" if n_rows > 1 else ""
                if kind in allowed:
                    doubtful.append(f"{path}:{line}: {name} holds {kind}{many}, {allowed[kind]}")
                else:
                    refused.append(f"{path}:{line}: {name} holds {taken_for(kind)}{many}; {_way_out(name)}")
        elif found or personal_column(name):
            rows: dict[str, int] = defaultdict(int)
            for kind, _, n_rows in found:
                rows[taken_for(kind)] += n_rows
            what = ", ".join(f"{kind} in {n} rows" for kind, n in rows.items()) or personal_column(name)
            print(f"{path}: column {name}: {what}: personal data, which reaches no output; better left out")
    raise_all(refused)
    for said in at_most(doubtful):
        print(said)


def _way_out(column: str) -> str:
    either = ", or set ingest.personal_data=pseudonymise" if column in _HASHED else ""
    return f"take it out{either}"


def _personal_values(column: str, fields: Sequence[tuple[int, str]]) -> Iterator[tuple[str, int, int]]:
    """The surest kind of each value with personal data, its first line, and how many rows have it."""
    counts = Counter(field for _, field in fields)
    first = {field: line for line, field in reversed(fields)}
    for field, n_rows in counts.items():
        if found := [kind for kind in kinds(field) if (column, kind) not in _READ_OTHERWISE]:
            surest = next((kind for kind in found if kind not in _ALLOWED.get(column, {})), found[0])
            yield surest, first[field], n_rows
