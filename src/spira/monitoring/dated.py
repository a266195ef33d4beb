"""The clips of a corpus that have a date, each with the statistics of its frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from spira.base.array_types import Floats, Waveform
from spira.base.tables import read_table
from spira.baselines.regression import ClipStatistics
from spira.baselines.statistics import FrameLayout, clip_statistics
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import PLACE, read_waveforms
from spira.features.params import FeatureParams
from spira.features.rendering import Renderer
from spira.models.params import Block
from spira.monitoring.staleness import Dated

_COLUMNS: dict[str, type[pl.DataType]] = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "recorded_on": pl.String,
    **PLACE,
}


def dated_clips(
    folder: Path, renderer: Renderer, features: FeatureParams, sample_rate: int, blocks: Sequence[Block]
) -> tuple[Dated, int]:
    """The clips with a date, rendered without noise, in the order of the table; and how many have none.

    Args:
        folder: what ingest wrote.
        renderer: of the features.
        features: what a frame is.
        sample_rate: Hz.
        blocks: of statistics.
    """
    table = read_table(folder / "clips.csv", _COLUMNS)
    known = table.filter(pl.col("recorded_on").fill_null("") != "")
    layout = FrameLayout(features.kind, features.n_mels, sample_rate / features.hop_length)

    def numbers(waveform: Waveform) -> list[Floats]:
        frames = renderer(waveform).numpy()
        return [clip_statistics(frames, block, layout) for block in blocks]

    found = list(progress(ordered_map(numbers, read_waveforms(known, folder)), len(known), "statistics"))
    by_block = {block: np.array([each[i] for each in found]) for i, block in enumerate(blocks)}
    labels, speakers = known["label"].to_numpy(), known["speaker_id"].to_list()
    clips = ClipStatistics(by_block, labels, speakers, np.ones(len(known)))
    return Dated(clips, known["recorded_on"].str.slice(0, 7).to_list()), len(table) - len(known)
