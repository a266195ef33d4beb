"""split: the table of clips -> the subset of each clip in each fold, and who is in each subset."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from pathlib import Path

import polars as pl

from spira.base.errors import DataError
from spira.base.params import load
from spira.base.section import HOLDOUT, SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import read_table, write_table
from spira.clips.cells import is_unknown, read_numbers, require_read
from spira.clips.subsets import write_subsets
from spira.split.holdout import SUBSETS, SplitParams, Subset
from spira.split.holdout import split as split_speakers
from spira.split.kfold import cross_validate

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
    folds: Path = Path("data/folds"),
    summary: Path = Path("data/subsets_summary.csv"),
) -> None:
    table = _with_ages(read_table(clips, _CLIPS), clips)
    by_fold = _assign(table, split)
    write_subsets(table["clip_id"].to_list(), by_fold, subsets, folds)
    rows = pl.concat(
        _summary(table.with_columns(subset=pl.Series(clip_subsets, dtype=pl.String)), sample_rate).select(
            pl.lit(fold).alias("fold"), pl.all()
        )
        for fold, clip_subsets in by_fold.items()
    )
    write_table(rows, summary)
    with pl.Config(
        tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=140, tbl_cols=-1, tbl_rows=-1
    ):
        print(rows)


def _with_ages(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The table with ages as numbers, null where unknown; prints how many ages and sexes are unknown."""
    cells = table["age"].to_list()
    try:
        ages = require_read(read_numbers("age", cells), cells)
    except DataError as error:
        raise DataError(f"{path}: {error}; run: dvc repro ingest") from error
    for name in ("sex", "age"):
        if n_unknown := sum(map(is_unknown, table[name])):
            print(f"{path}: {name} is unknown for {n_unknown} of {len(table)} clips")
    return table.with_columns(age=pl.Series(ages, dtype=pl.Float64))


def _assign(table: pl.DataFrame, p: SplitParams) -> dict[str, list[Subset]]:
    """The subset of each clip, by fold."""
    speakers, labels, sexes, given = (table[name].to_list() for name in ("speaker_id", "label", "sex", "split"))
    if p.scheme == "kfold":
        return cross_validate(speakers, labels, sexes, given, p)
    return {HOLDOUT: split_speakers(speakers, labels, given, p)}


def _summary(table: pl.DataFrame, sample_rate: int) -> pl.DataFrame:
    sex, years = pl.col("sex"), pl.col("age")
    speakers = table.group_by("subset", "speaker_id").agg(  # a speaker's first clip may leave blank what another has
        pl.first("label"), sex.filter(sex != "").first(), years.drop_nulls().first()
    )
    age = pl.col("age")
    speaker_counts = speakers.group_by("subset").agg(
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
    clip_counts = table.group_by("subset").agg(clips=pl.len(), minutes=minutes)
    order = pl.DataFrame({"subset": SUBSETS})
    return order.join(speaker_counts, on="subset", maintain_order="left").join(
        clip_counts, on="subset", maintain_order="left"
    )


if __name__ == "__main__":
    with as_stage():
        run(load("sample_rate", SampleRate), load("split", SplitParams))
