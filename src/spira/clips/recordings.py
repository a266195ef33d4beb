"""Read what ingest wrote: the samples of clips, the bank of noise, and the metadata of each clip."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.base.tables import read_table
from spira.clips.arrays import WAVEFORMS, read_array, require_finite
from spira.clips.noise_bank import NoiseBank, noise_groups

FACTS = ("sex", "age", "site", "device", "recorded_on", "spo2", "task")  # what a corpus may say of a clip
_SLICE = {"start": pl.Int64, "n_samples": pl.Int64}


def read_waveforms(table: pl.DataFrame, folder: Path) -> list[Waveform]:
    """The samples of each clip in a table: views into the array of all.

    Args:
        table: with ``start`` and ``n_samples``, as numbers or as they are written.
        folder: where ``waveforms.npy`` lies.
    """
    samples = read_array(folder / WAVEFORMS)
    slices = table.select(pl.col(name).cast(kind) for name, kind in _SLICE.items()).rows()
    named = [(name, *rows) for name, rows in zip(table["clip_id"], slices, strict=True)]
    require_finite(samples, named, folder / WAVEFORMS)
    return [samples[start : start + n_samples] for start, n_samples in slices]


def read_noise(folder: Path) -> NoiseBank:
    """Reads every recording of noise."""
    columns = {"recording_id": pl.String, **_SLICE, "source": pl.String}
    table = read_table(folder / "recordings.csv", columns)
    samples = read_array(folder / WAVEFORMS)
    require_finite(samples, table.select("recording_id", *_SLICE).rows(), folder / WAVEFORMS)
    groups = noise_groups(table["recording_id"].to_list(), table["source"].fill_null("").to_list())
    return NoiseBank(samples, tuple(table["start"]), tuple(table["n_samples"]), groups)


def clip_facts(clips: Sequence[str], columns: Sequence[str], path: Path) -> dict[str, list[str]]:
    """Cells of a table by column, in the order of ``clips``; "" where a cell is empty.

    Raises:
        DataError: the table lacks a column or a clip.
    """
    table = read_table(path, dict.fromkeys(["clip_id", *columns], pl.String)).fill_null("")
    row_numbers = {clip: i for i, clip in enumerate(table["clip_id"])}
    if lost := [clip for clip in clips if clip not in row_numbers]:
        raise DataError(
            f"{path}: {len(lost)} of {len(clips)} clips that were scored are missing, such as {lost[0]}; run: dvc repro"
        )
    rows = [row_numbers[clip] for clip in clips]
    return {name: table[name].gather(rows).to_list() for name in columns}
