"""Read what ingest wrote: the samples of clips, the bank of noise, and the metadata of each clip."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.base.tables import read_table
from spira.clips.arrays import read_array, require_finite
from spira.clips.noise_bank import NoiseBank, noise_groups

FACTS = ("sex", "age", "site", "device", "recorded_on", "spo2", "task")  # what a corpus may say of a clip
NOISE = "waveforms.npy"  # the samples of all recordings of noise, end to end: they are few
_Schema = dict[str, type[pl.DataType]]
_SLICE: _Schema = {"start": pl.Int64, "n_samples": pl.Int64}
PLACE: _Schema = {"shard": pl.Int64, **_SLICE}  # columns of clips.csv: where the samples of a clip lie


def waveforms_path(folder: Path, shard: int) -> Path:
    """The file that holds the samples of the clips of a shard, end to end."""
    return folder / f"waveforms-{shard:03}.npy"


def open_waveforms(folder: Path, shards: Iterable[int]) -> dict[int, Waveform]:
    """The samples of each of some shards, in the memory map."""
    return {shard: read_array(waveforms_path(folder, shard)) for shard in sorted(set(shards))}


def read_waveforms(table: pl.DataFrame, folder: Path) -> list[Waveform]:
    """The samples of each clip in a table: views into the arrays of their shards.

    Args:
        table: with ``clip_id``, ``shard``, ``start`` and ``n_samples``, as numbers or as they are written.
        folder: where the shards lie.
    """
    schema: _Schema = {"clip_id": pl.String, **PLACE}
    slices = table.select(pl.col(name).cast(kind) for name, kind in schema.items())
    samples = open_waveforms(folder, slices["shard"])
    for (shard,), own in slices.group_by("shard", maintain_order=True):
        require_finite(samples[shard], own.select("clip_id", *_SLICE).rows(), waveforms_path(folder, shard))
    rows = slices.select(*PLACE).rows()
    return [samples[shard][start : start + n_samples] for shard, start, n_samples in rows]


def noise_files(folder: Path) -> list[Path]:
    """What ``read_noise`` reads."""
    return [folder / "recordings.csv", folder / NOISE]


def read_noise(folder: Path) -> NoiseBank:
    """Reads every recording of noise."""
    columns: _Schema = {"recording_id": pl.String, **_SLICE, "source": pl.String}
    table = read_table(folder / "recordings.csv", columns)
    samples = read_array(folder / NOISE)
    require_finite(samples, table.select("recording_id", *_SLICE).rows(), folder / NOISE)
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
