"""What a corpus tells of people: reported when it is taken in, and kept out of what comes of it."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
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
_OF_A_PLACE = MappingProxyType({NAME: "or that of something called after one: take it out where it is a person's"})
_BY_RIGHT = {  # by column, what may be there though it looks like a person's, and what that is
    "file_path": {OLD_DATE: "of birth, or of the recording: rename the file where it is of birth"},
    **dict.fromkeys(("site", "device", "task"), _OF_A_PLACE),
}


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
    """Says which columns tell of people, a line a value, without a word of what they tell.

    What may be there by right is said and goes on: a site is where, not who, and the date in the name of a file is most
    often that of the recording.

    Args:
        folder: of the corpus.
        hashed: names of files and speakers reach no output.

    Raises:
        DataError: a column that is read and reaches an output does.
    """
    path, refused, doubtful = folder / "metadata.csv", list[str](), list[str]()
    for name, fields in read_columns(folder).items():
        found = list(_personal_values(name, fields))
        if name in USED and not (hashed and name in _HASHED):
            by_right = _BY_RIGHT.get(name, {})
            for kind, line, n_rows in found:
                many = f" ({n_rows} rows)" if n_rows > 1 else ""
                if kind in by_right:
                    doubtful.append(f"{path}:{line}: {name} holds {kind}{many}, {by_right[kind]}")
                else:
                    refused.append(f"{path}:{line}: {name} holds {taken_for(kind)}{many}; {_way_out(name)}")
        elif found or personal_column(name):
            rows_of: dict[str, int] = defaultdict(int)
            for kind, _, n_rows in found:
                rows_of[taken_for(kind)] += n_rows
            what = ", ".join(f"{kind} in {n} rows" for kind, n in rows_of.items()) or personal_column(name)
            print(f"{path}: column {name}: {what}: personal data, which reaches no output; better left out")
    raise_all(refused)
    for said in at_most(doubtful):
        print(said)


def _way_out(column: str) -> str:
    either = ", or set ingest.personal_data=pseudonymise" if column in _HASHED else ""
    return f"take it out{either}"


def _personal_values(column: str, fields: Sequence[tuple[int, str]]) -> Iterator[tuple[str, int, int]]:
    """What each value that tells of a person tells, the first line that has it, and how many have."""
    counts = Counter(field for _, field in fields)
    first = {field: line for line, field in reversed(fields)}
    for field, n_rows in counts.items():
        if found := [kind for kind in kinds(field) if (column, kind) != ("recorded_on", OLD_DATE)]:
            surest = next((kind for kind in found if kind not in _BY_RIGHT.get(column, {})), found[0])
            yield surest, first[field], n_rows
