"""What the table of clips says of the clips that were scored."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from spira.adapters.tables import read_table
from spira.errors import DataError

FACTS = ("sex", "age", "site", "device", "recorded_on", "spo2", "task")  # what a corpus may say of a clip


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
