"""Waveforms in shards: one recording more or less changes its own, and a shard can be made anywhere."""

import pickle
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from numpy.typing import NDArray

import bad_audio
from spira.clips.recordings import read_waveforms
from spira.clips.shards import assign_shards
from spira.ingest import waveforms
from spira.ingest.acceptance import IngestParams
from spira.ingest.file_names import locate_files
from spira.ingest.waveforms import Job, shards_by_name, store_shard, store_shards
from spira.stages import ingest

pytestmark = pytest.mark.usefixtures("any_size")
P = IngestParams.model_validate(bad_audio.LIMITS)
RATE, N_CLIPS = 16_000, 24


def sound(seed: int) -> NDArray[np.int16]:
    """1.1 s of noise like no other seed's."""
    return np.random.default_rng(seed).integers(-9000, 9000, 17_600, np.int16)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus whose recordings have eight shards; one is no recording."""
    monkeypatch.setattr(waveforms, "SHARD_BYTES", 100_000)
    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(N_CLIPS):
        soundfile.write(folder / f"{i}.wav", sound(i), RATE)
    (folder / "text.wav").write_bytes(b"no sound" * 99)
    described(folder, [*(f"{i}.wav" for i in range(N_CLIPS)), "text.wav"])
    return folder


def described(folder: Path, names: list[str]) -> None:
    rows = [f"{name},{i % 2},s{i % 2}" for i, name in enumerate(names)]
    (folder / "metadata.csv").write_text("\n".join(["file_path,label,speaker_id", *rows]) + "\n")


def taken(folder: Path, out: Path, n_workers: int | None = None) -> dict[str, str]:
    """The digest of every file that ingest writes."""
    ingest.run(RATE, P, corpus=folder, out=out, n_workers=n_workers)
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}


def own_shard(name: str) -> str:
    return f"waveforms-{assign_shards([name], 8)[0]:03}.npy"


def test_each_clip_is_in_the_shard_of_its_name(mine: Path, tmp_path: Path) -> None:
    """With any number of workers, and its samples are its own."""
    one, many = (taken(mine, tmp_path / f"out{n}", n) for n in (1, 5))
    assert one == many
    table = pl.read_csv(tmp_path / "out1/clips.csv")
    assert table["shard"].to_list() == assign_shards(table["clip_id"].to_list(), 8)
    assert table["shard"].n_unique() > 4
    for name, samples in zip(table["clip_id"], read_waveforms(table, tmp_path / "out1"), strict=True):
        np.testing.assert_array_equal(samples * 2**15, sound(int(name.removesuffix(".wav"))))


def test_one_clip_more_leaves_the_other_shards_as_they_are(mine: Path, tmp_path: Path) -> None:
    """Byte for byte, though its name is before all others: a remote is sent one shard."""
    before = taken(mine, tmp_path / "out")
    soundfile.write(mine / "!.wav", sound(99), RATE)
    described(mine, ["!.wav", *(f"{i}.wav" for i in range(N_CLIPS)), "text.wav"])
    after = taken(mine, tmp_path / "out")
    assert {name for name in after if after[name] != before.get(name)} == {own_shard("!.wav"), "clips.csv"}


def test_a_copy_is_dropped_from_its_own_shard(mine: Path, tmp_path: Path) -> None:
    """The others stay as they are; what ingest writes is the same as if the copy had never been there."""
    alone = taken(mine, tmp_path / "out")
    soundfile.write(mine / "copy.wav", sound(3), RATE)
    described(mine, [*(f"{i}.wav" for i in range(N_CLIPS)), "text.wav", "copy.wav"])
    with_copy = taken(mine, tmp_path / "with")
    assert "a copy of 3.wav" in (tmp_path / "with/rejects.csv").read_text()
    assert {name for name in with_copy if with_copy[name] != alone[name]} == {"rejects.csv"}


def test_a_shard_of_refused_recordings_has_no_file(mine: Path, tmp_path: Path) -> None:
    """Nor does one of an earlier run stay that had more shards."""
    taken(mine, tmp_path / "out")
    for i in range(N_CLIPS):
        if own_shard(f"{i}.wav") == own_shard("5.wav"):
            (mine / f"{i}.wav").write_bytes(b"no sound" * 4400)
    kept = taken(mine, tmp_path / "out")
    assert own_shard("5.wav") not in kept
    assert set(pl.read_csv(tmp_path / "out/clips.csv")["shard"]) == {
        int(name[10:13]) for name in kept if name.endswith(".npy")
    }


def test_a_shard_made_alone_is_the_same(mine: Path, tmp_path: Path) -> None:
    """By a process that is given it pickled, small, and gives back rows: so another machine can make it."""
    names = pl.read_csv(mine / "metadata.csv")["file_path"].to_list()
    job, files = Job(RATE, P, "max_seconds"), locate_files(mine, names, str)
    together = store_shards(job, shards_by_name(mine, files, tmp_path / "together", str), 3, "mine")
    shards = shards_by_name(mine, files, tmp_path / "alone", str)
    content = [pickle.dumps((job, shard)) for shard in shards]
    assert max(map(len, content)) < 4000
    alone = [store_shard(*pickle.loads(each)) for each in content]
    assert sorted((row for one in alone for row in one.accepted), key=lambda row: row.file_path) == together.accepted
    assert [row for one in alone for row in one.refused] == together.refused
    assert len(pickle.dumps(alone)) < 20_000
    for path in (tmp_path / "together").iterdir():
        assert path.read_bytes() == (tmp_path / "alone" / path.name).read_bytes()
