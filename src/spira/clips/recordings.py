"""What ingest left for the stages after it: the samples of clips, the bank of noise, and what is known of each clip."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.base.tables import read_table
from spira.clips.arrays import WAVEFORMS, read_array, require_finite
from spira.clips.noise_bank import NoiseBank

FACTS = ("sex", "age", "site", "device", "recorded_on", "spo2", "task")  # what a corpus may say of a clip
_PLACE = {"start": pl.Int64, "n_samples": pl.Int64}


def waveforms_of(table: pl.DataFrame, folder: Path) -> list[Waveform]:
    """The samples of each row of a table of clips: views into the array of all.

    Args:
        table: with ``start`` and ``n_samples``, as numbers or as they are written.
        folder: where ``waveforms.npy`` lies.
    """
    samples = read_array(folder / WAVEFORMS)
    places = table.select(pl.col(name).cast(kind) for name, kind in _PLACE.items()).rows()
    named = [(name, *place) for name, place in zip(table["clip_id"], places, strict=True)]
    require_finite(samples, named, folder / WAVEFORMS)
    return [samples[start : start + n_samples] for start, n_samples in places]


def read_noise(folder: Path) -> NoiseBank:
    """Every recording of noise."""
    recordings = read_table(folder / "recordings.csv", {"recording_id": pl.String, **_PLACE})
    samples = read_array(folder / WAVEFORMS)
    require_finite(samples, recordings.select("recording_id", *_PLACE).rows(), folder / WAVEFORMS)
    return NoiseBank(samples, tuple(recordings["start"]), tuple(recordings["n_samples"]))


def facts_of(clips: Sequence[str], columns: Sequence[str], path: Path) -> dict[str, list[str]]:
    """By column, what the table says of each of the clips, in their order; "" where it is not known.

    Raises:
        DataError: the table lacks a column or a clip.
    """
    table = read_table(path, dict.fromkeys(["clip_id", *columns], pl.String)).fill_null("")
    place = {clip: i for i, clip in enumerate(table["clip_id"])}
    if lost := [clip for clip in clips if clip not in place]:
        raise DataError(f"{path}: lacks {len(lost)} of {len(clips)} clips that were scored, as {lost[0]}; dvc repro")
    rows = [place[clip] for clip in clips]
    return {name: table[name].gather(rows).to_list() for name in columns}
