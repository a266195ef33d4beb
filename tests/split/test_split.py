"""The stage that splits: one row a clip, and a summary that a person checks before training."""

from pathlib import Path

import polars as pl
import pytest

from spira.base.errors import DataError
from spira.split.holdout import SplitParams, assign
from spira.stages.split import run

P = SplitParams(scheme="holdout", folds=("holdout",), seed=61, validation=0.2, test=0.25, min_speakers=1)
SAMPLE_RATE = 8000

# clip, label, speaker, sex, age, split, n_samples; the first clip of `ana` tells neither sex nor age
CLIPS = """\
clip_id,label,speaker_id,sex,age,split,n_samples,start
a1.wav,1,ana,"","",train,480000,0
a2.wav,1,ana,F,61,"",480000,480000
b.wav,0,bia,F,40,train,240000,960000
c.wav,0,caio,M,unknown,train,96000,1200000
d.wav,1,davi,M,70.5,validation,480000,0
e.wav,0,eva,"","",validation,480000,0
f.wav,1,fabio,M,nan,test,48000,0
g.wav,0,gil,M,18,test,48000,0
"""


def split(folder: Path, clips: str, p: SplitParams = P) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the stage writes for a table of clips: (subsets, summary)."""
    paths = {name: folder / f"{name}.csv" for name in ("clips", "subsets", "summary")}
    paths["clips"].write_text(clips, encoding="utf-8")
    run(SAMPLE_RATE, p, **paths, folds=folder / "folds")
    return pl.read_csv(paths["subsets"]), pl.read_csv(paths["summary"])


def test_the_summary_counts_people_once_and_minutes_of_all_their_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted by hand: a speaker with two clips is one patient, whose sex and age any of the clips may tell."""
    split(tmp_path, CLIPS)
    assert (tmp_path / "summary.csv").read_text(encoding="utf-8") == (
        "fold,subset,speakers,patients,prevalence,women,men,age_median,age_min,age_max,clips,minutes\n"
        "holdout,train,3,1,0.333,2,1,50.5,40.0,61.0,4,2.7\n"
        "holdout,validation,2,1,0.5,0,1,70.5,70.5,70.5,2,2.0\n"
        "holdout,test,2,1,0.5,0,2,18.0,18.0,18.0,2,0.2\n"
    )
    assert "prevalence" in capsys.readouterr().out


def test_every_clip_gets_the_subset_of_its_speaker(tmp_path: Path) -> None:
    """The given split is honoured, for the clip that leaves it blank as well."""
    subsets, _ = split(tmp_path, CLIPS)
    assert subsets.columns == ["fold", "clip_id", "subset"]
    assert set(subsets["fold"]) == {"holdout"}
    assert dict(subsets.drop("fold").iter_rows()) == {
        **dict.fromkeys(("a1.wav", "a2.wav", "b.wav", "c.wav"), "train"),
        **dict.fromkeys(("d.wav", "e.wav"), "validation"),
        **dict.fromkeys(("f.wav", "g.wav"), "test"),
    }


def test_without_a_given_split_the_hash_decides(tmp_path: Path) -> None:
    """Ids that look like numbers stay text: speaker 007 is not speaker 7."""
    speakers = [f"{i:03}" for i in range(60)]
    rows = [f'{who}.wav,{i % 2},{who},F,50,"",8000' for i, who in enumerate(speakers)]
    subsets, summary = split(tmp_path, "\n".join(["clip_id,label,speaker_id,sex,age,split,n_samples", *rows]) + "\n")
    assert dict(subsets.drop("fold").iter_rows()) == {f"{who}.wav": assign(who, P) for who in speakers}
    assert summary["subset"].to_list() == ["train", "validation", "test"]
    assert summary["speakers"].sum() == summary["clips"].sum() == summary["women"].sum() == 60


def test_a_sex_that_is_filled_in_later_moves_nobody(tmp_path: Path) -> None:
    """Only the speaker's id and the seed are hashed: completing the metadata leaks no test speaker into training."""
    head = "clip_id,label,speaker_id,sex,age,split,n_samples"
    blank = [f'{i}.wav,{i % 2},speaker {i},"",50,"",8000' for i in range(60)]
    filled = [row.replace('""', "FM"[i % 3 == 0], 1) for i, row in enumerate(blank)]
    before, _ = split(tmp_path, "\n".join([head, *blank]))
    after, _ = split(tmp_path, "\n".join([head, *filled]))
    assert before.equals(after)


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    """A forced rerun leaves dvc.lock as it is."""
    split(tmp_path, CLIPS)
    names = ("subsets.csv", "summary.csv", "folds/holdout.csv")
    first = {name: (tmp_path / name).read_bytes() for name in names}
    split(tmp_path, CLIPS)
    assert {name: (tmp_path / name).read_bytes() for name in first} == first


def test_a_corpus_that_cannot_be_split_leaves_nothing_behind(tmp_path: Path) -> None:
    """No half-written subsets for the next stage to find."""
    with pytest.raises(DataError, match="test has 0 control speakers"):
        split(tmp_path, "".join(CLIPS.splitlines(keepends=True)[:-1]))
    assert [path.name for path in tmp_path.iterdir()] == ["clips.csv"]


def test_missing_clips_say_which_command_makes_them(tmp_path: Path) -> None:
    """The likely cause: a stage run alone in a fresh clone."""
    paths = {name: tmp_path / f"{name}.csv" for name in ("clips", "subsets", "summary", "folds")}
    with pytest.raises(DataError, match=r"clips.csv: no such file; run the stage that writes it: dvc repro"):
        run(SAMPLE_RATE, P, **paths)


KFOLD = P.model_copy(update={"scheme": "kfold", "folds": (1, 2, 3)})


def test_what_training_may_hear_has_a_table_a_fold_without_the_test_clips(tmp_path: Path) -> None:
    """So a new test recording retrains nothing; a fold that is no longer asked for leaves no table behind."""
    rows = [f'{i}.wav,{i % 2},s{i},F,50,"",8000' for i in range(12)]
    clips = "\n".join(["clip_id,label,speaker_id,sex,age,split,n_samples", *rows]) + "\n"
    for p in (KFOLD.model_copy(update={"folds": (1, 2, 3, 4)}), KFOLD):
        subsets, summary = split(tmp_path, clips, p)
        assert {path.name for path in (tmp_path / "folds").iterdir()} == {f"{fold}.csv" for fold in p.names}
        assert subsets.height == 12 * len(p.names)
        for fold in p.folds:
            learning = pl.read_csv(tmp_path / f"folds/{fold}.csv")
            whole = subsets.filter(pl.col("fold") == fold)
            assert learning.equals(whole.filter(pl.col("subset") != "test").drop("fold"))
        assert summary["fold"].to_list() == [fold for fold in p.folds for _ in range(3)]
        assert set(summary.filter(pl.col("subset") == "test")["speakers"]) == {12 // len(p.names)}
