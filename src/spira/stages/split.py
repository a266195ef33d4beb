"""split: the table of clips -> the subset of each clip, and who is in each subset."""

from pathlib import Path

import polars as pl

from spira.adapters.tables import read_table, write_table
from spira.core.section import SampleRate
from spira.core.splitting import SUBSETS, SplitParams
from spira.core.splitting import split as split_speakers
from spira.errors import told
from spira.params import load

_CLIPS = {
    "clip_id": pl.String,
    "label": pl.Int64,
    "speaker_id": pl.String,
    "sex": pl.String,
    "age": pl.String,
    "split": pl.String,
    "n_samples": pl.Int64,
}


def run(
    sample_rate: int,
    split: SplitParams,
    *,
    clips: Path = Path("data/clips/clips.csv"),
    subsets: Path = Path("data/subsets.csv"),
    summary: Path = Path("data/subsets_summary.csv"),
) -> None:
    table = read_table(clips, _CLIPS)
    chosen = split_speakers(
        table["speaker_id"].to_list(),
        table["label"].to_list(),
        table["split"].to_list(),
        split,
    )
    table = table.with_columns(subset=pl.Series(chosen, dtype=pl.String))
    write_table(table.select("clip_id", "subset"), subsets)
    rows = _summary(table, sample_rate)
    write_table(rows, summary)
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=120, tbl_cols=-1):
        print(rows)


def _summary(table: pl.DataFrame, sample_rate: int) -> pl.DataFrame:
    sex, years = pl.col("sex"), pl.col("age").cast(pl.Float64, strict=False)
    speakers = table.group_by("subset", "speaker_id").agg(  # a speaker's first clip may leave blank what another tells
        pl.first("label"), sex.filter(sex != "").first(), years.filter(years.is_finite()).first()
    )
    age = pl.col("age")
    of_speakers = speakers.group_by("subset").agg(
        speakers=pl.len(),
        patients=pl.sum("label"),
        prevalence=pl.mean("label").round(3),
        women=(pl.col("sex") == "F").sum(),
        men=(pl.col("sex") == "M").sum(),
        age_median=age.median(),
        age_min=age.min(),
        age_max=age.max(),
    )
    minutes = (pl.sum("n_samples") / sample_rate / 60).round(1)
    of_clips = table.group_by("subset").agg(clips=pl.len(), minutes=minutes)
    order = pl.DataFrame({"subset": SUBSETS})
    return order.join(of_speakers, on="subset", maintain_order="left").join(
        of_clips, on="subset", maintain_order="left"
    )


if __name__ == "__main__":
    with told():
        run(load("sample_rate", SampleRate), load("split", SplitParams))
