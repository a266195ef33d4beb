"""A larger corpus makes longer files, neither more of them nor other numbers; `make bench-scale` is the long form."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import scale
from spira.clips.arrays import read_array
from spira.features.store import shard_path
from tiny import ROOT

MOST_FILES = 256  # of a stage: DVC looks at each


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Every third clip of a corpus, and all of them, through three stages."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for n in (120, 360):
            made[n] = tmp_path_factory.mktemp(str(n))
            corpus = made[n] / "data/raw/many"
            scale.write_corpus(corpus, 360)
            table = pl.read_csv(corpus / "metadata.csv")
            table[360 // n - 1 :: 360 // n].write_csv(corpus / "metadata.csv")
            scale.write_noise(made[n] / "data/raw/hiss")
            for stage in ("ingest", "ingest_noise", "split", "featurize"):
                scale.run_stage(stage, made[n])
    return made


def files(at: Path) -> set[Path]:
    return {file.relative_to(at) for file in (at / "data").rglob("*") if file.is_file() and "raw" not in file.parts}


def test_the_number_of_files_is_that_of_a_small_corpus(grown: dict[int, Path]) -> None:
    """``dvc status`` looks at each file of an output, so a hundred thousand clips are not a hundred thousand files."""
    few, many = (files(at) for at in grown.values())
    assert few == many
    assert len(many) < MOST_FILES


def rendered(at: Path) -> dict[tuple[str, ...], str]:
    """By subset, condition, clip and view: a digest of its frames."""
    found: dict[tuple[str, ...], str] = {}
    for table in sorted((at / "data/features").glob("*/*.csv")):
        for (shard,), rows in pl.read_csv(table).group_by("shard"):
            frames = read_array(shard_path(table.parent, table.stem, shard))
            for clip, view, start, n in rows.select("clip_id", "view", "start", "n_frames").rows():
                digest = hashlib.sha256(np.ascontiguousarray(frames[start : start + n]).data).hexdigest()
                found[table.parent.name, table.stem, clip, str(view)] = digest
    return found


def test_the_frames_of_a_clip_do_not_depend_on_how_many_others_there_are(grown: dict[int, Path]) -> None:
    """Every clip of the small corpus has the same bytes in the large one: in its subset, under every condition."""
    few, many = (rendered(at) for at in grown.values())
    assert len(few) > 120
    assert few.items() <= many.items()
