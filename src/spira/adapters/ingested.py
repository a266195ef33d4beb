"""What ingest left for the stages after it: the samples of clips, and the bank of noise."""

from pathlib import Path

import polars as pl

from spira.adapters.arrays import WAVEFORMS, read_array, require_finite
from spira.adapters.tables import read_table
from spira.core.noise import NoiseBank, Waveform

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
