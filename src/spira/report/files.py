"""The files that the report reads, and the page and texts that it writes."""

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from pydantic import ValidationError

from spira.base.array_types import Floats
from spira.base.errors import DataError, ParamError
from spira.base.files import write_bytes
from spira.base.params import check, parse, read
from spira.base.params import report as format_problems
from spira.base.tables import from_sheet, read_json, read_table
from spira.clips.recordings import PLACE, read_waveforms
from spira.probes.results import ProbeAnswer, ProbeAnswers
from spira.report.blocks import html
from spira.report.cards import Card


def read_plots(folder: Path) -> dict[str, dict[str, Floats]]:
    """By name, the columns of every plot whose columns are all numbers."""
    found = {path.stem: pl.read_csv(path, glob=False) for path in sorted(folder.glob("*.csv"))}
    if not found:
        raise DataError(f"{folder}: no plots; run the stage that writes them: dvc repro evaluate")
    return {
        name: {column: table[column].to_numpy() for column in table.columns}
        for name, table in found.items()
        if all(kind.is_numeric() for kind in table.dtypes)
    }


def read_rows(path: Path, *, sheet: bool = False) -> list[list[str]]:
    """The cells of a CSV file as they are written, its head first; of a sheet, as they were before ``write_sheet``."""
    try:
        table = pl.read_csv(path, glob=False, infer_schema=False, empty_string_is_null=False)
    except (FileNotFoundError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: not readable as CSV: {error}") from error
    return [table.columns, *map(list, (from_sheet(table) if sheet else table).iter_rows())]


def read_clips(clips: Sequence[str], folder: Path) -> dict[str, Floats]:
    """By name, the samples of each of some clips, in [-1, 1]."""
    columns: dict[str, type[pl.DataType]] = {"clip_id": pl.String, **PLACE}
    table = read_table(folder / "clips.csv", columns)
    table = table.filter(pl.col("clip_id").is_in(set(clips)))
    found = dict(zip(table["clip_id"], read_waveforms(table, folder), strict=True))
    if lost := [clip for clip in clips if clip not in found]:
        raise DataError(f"{folder / 'clips.csv'}: lacks {lost[0]}, which was scored; dvc repro")
    return {clip: waveform.astype(np.float64) for clip, waveform in found.items()}


def flac(samples: Floats, sample_rate: int) -> str:
    """16-bit FLAC as base64, for an audio element; the same samples give the same bytes."""
    file = BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return base64(file.getvalue())


def base64(content: bytes) -> str:
    """The bytes as a data address needs them."""
    return b64encode(content).decode()


def md5_sums(paths: Sequence[Path]) -> list[list[str]]:
    """(path, md5) of each file, as in dvc.lock."""
    return [[str(path), md5(path.read_bytes(), usedforsecurity=False).hexdigest()] for path in paths]


def packages(path: Path) -> list[list[str]]:
    """(name, version) of each package that requirements.txt pins."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.rstrip(" \\").split("==", 1) for line in lines if "==" in line]  # a backslash, and then its hashes


TEMPLATE = Path(__file__).with_name("page.html")


def render(content: Mapping[str, Any], template: Path = TEMPLATE) -> str:
    """The template with its content, all text escaped; lines of ``blocks`` go through the filter ``html``."""
    folders = FileSystemLoader([template.parent, TEMPLATE.parent])  # the second has what every page extends
    environment = Environment(loader=folders, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["html"] = html
    try:
        return environment.get_template(template.name).render(content)
    except (OSError, TemplateError) as error:
        raise DataError(f"{template}: cannot be rendered: {error}") from error


def read_probes(path: Path, models: Collection[str]) -> dict[str, dict[str, ProbeAnswer]]:
    """By model and probe, the answers in data/probes.json.

    Args:
        path: of that file.
        models: that were evaluated; in the order of what is returned.

    Raises:
        DataError: the file is missing, has another form than this version of the code writes, or is about other models.
    """
    try:
        found = ProbeAnswers.model_validate(read_json(path)).models
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(f"{path}: {key}: {problem['msg']}; another version wrote it: dvc repro probe") from error
    if found.keys() != set(models):
        names = f"{', '.join(models)}, got {', '.join(found)}"
        raise DataError(f"{path}: expected answers about the models that were evaluated, {names}; dvc repro probe")
    return {model: found[model].probes for model in models}


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write each text to its path."""
    for path, text in texts.items():
        write_bytes(text.encode(), path)


def read_card(path: Path) -> Card:
    """docs/card.yaml; a ParamError names each field that is unknown or missing, with its line."""
    tree, lines = read(path)
    if problems := [(key.removeprefix("."), message) for key, message in check("", Card, tree)]:
        raise ParamError(format_problems(problems, lines, path))
    return parse(Card, tree)
