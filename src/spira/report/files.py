"""The files that the report is made of, and the page that is made of them."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import soundfile
from jinja2 import Environment, StrictUndefined, TemplateError

from spira.base.array_types import Floats
from spira.base.errors import DataError, ParamError
from spira.base.files import write_bytes
from spira.base.params import check, parse, read
from spira.base.params import report as problems_of
from spira.base.tables import from_sheet, read_table
from spira.clips.recordings import read_waveforms
from spira.report.cards import Card


def read_plots(folder: Path) -> dict[str, dict[str, Floats]]:
    """By name, the columns of every plot that has numbers alone."""
    found = {path.stem: pl.read_csv(path, glob=False) for path in sorted(folder.glob("*.csv"))}
    if not found:
        raise DataError(f"{folder}: no plots; run the stage that writes them: dvc repro evaluate")
    return {
        name: {column: table[column].to_numpy() for column in table.columns}
        for name, table in found.items()
        if all(kind.is_numeric() for kind in table.dtypes)
    }


def read_rows(path: Path, *, sheet: bool = False) -> list[list[str]]:
    """A CSV file's cells as they are written, its head first; of a sheet, as they were before."""
    try:
        table = pl.read_csv(path, glob=False, infer_schema=False, empty_string_is_null=False)
    except (FileNotFoundError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: not readable as CSV: {error}") from error
    return [table.columns, *map(list, (from_sheet(table) if sheet else table).iter_rows())]


def read_clips(clips: Sequence[str], folder: Path) -> dict[str, Floats]:
    """By name, the samples of each of some clips, in [-1, 1]."""
    table = read_table(folder / "clips.csv", {"clip_id": pl.String, "start": pl.Int64, "n_samples": pl.Int64})
    table = table.filter(pl.col("clip_id").is_in(set(clips)))
    found = dict(zip(table["clip_id"], read_waveforms(table, folder), strict=True))
    if lost := [clip for clip in clips if clip not in found]:
        raise DataError(f"{folder / 'clips.csv'}: lacks {lost[0]}, which was judged; dvc repro")
    return {clip: waveform.astype(np.float64) for clip, waveform in found.items()}


def flac(samples: Floats, sample_rate: int) -> str:
    """A player's source: 16-bit FLAC, as base64; the same bytes for the same samples."""
    file = BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return base64(file.getvalue())


def base64(content: bytes) -> str:
    return b64encode(content).decode()


def digests(paths: Sequence[Path]) -> list[list[str]]:
    """(path, md5) of each file, as dvc.lock has it."""
    return [[str(path), md5(path.read_bytes(), usedforsecurity=False).hexdigest()] for path in paths]


def packages(path: Path) -> list[list[str]]:
    """(name, version) of each package that requirements.txt pins."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.rstrip(" \\").split("==", 1) for line in lines if "==" in line]  # a backslash, and then its hashes


def render(template: Path, content: Mapping[str, Any]) -> str:
    """The template with its content, every word of it escaped but what is ``Markup``."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    try:
        return environment.from_string(template.read_text(encoding="utf-8")).render(content)
    except (OSError, TemplateError) as error:
        raise DataError(f"{template}: cannot be rendered: {error}") from error


def write_texts(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        write_bytes(text.encode(), path)


def read_card(path: Path) -> Card:
    """What a person wrote; ParamError names each field that is unknown or missing, with its line."""
    tree, lines = read(path)
    if problems := [(key.removeprefix("."), message) for key, message in check("", Card, tree)]:
        raise ParamError(problems_of(problems, lines, path))
    return parse(Card, tree)
