"""The two stages that take recordings in: what is stored is what was recorded, and what is refused is listed."""

import itertools
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from numpy.typing import NDArray

import bad_audio
from spira.base.errors import DataError
from spira.clips.arrays import read_array
from spira.ingest.acceptance import IngestParams
from spira.ingest.resampling import resample
from spira.stages import ingest, ingest_noise

pytestmark = pytest.mark.usefixtures("any_size")
LIMITS = bad_audio.LIMITS
P = IngestParams.model_validate(LIMITS)
STRICT = IngestParams.model_validate(LIMITS | {"max_rejected": 0.25})
RATE = 16000

Waveform = NDArray[np.float32]


def voice(seed: int, rate: int = RATE, seconds: float = 1.5) -> Waveform:
    """Noise under 3 kHz, so that a copy at another rate is the same sound; like no other seed's."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(int(seconds * rate)))
    spectrum[int(3000 * seconds) :] = 0
    sound = np.fft.irfft(spectrum, int(seconds * rate))
    return np.asarray(0.5 * sound / np.abs(sound).max(), np.float32)


def corpus(folder: Path, files: Mapping[str, tuple[Waveform, int] | bytes | None], metadata: str) -> Path:
    """A folder with these recordings, or bytes, or nothing under a name; and this metadata.csv."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            waveform, rate = content
            soundfile.write(path, np.round(waveform * 32767).astype(np.int16), rate)
    (folder / "metadata.csv").write_text(metadata, encoding="utf-8")
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def rejects(out: Path) -> dict[str, str]:
    """The code of each refused file."""
    table = pl.read_csv(out / "rejects.csv", infer_schema=False)
    assert table.columns == ["file_path", "code", "reason"]
    assert not (table["reason"] == "").any()
    return dict(table.select("file_path", "code").rows())


def stored(out: Path, name: str = "clips.csv") -> dict[str, Waveform]:
    """Each clip's samples by its name, as the index says where they lie; which is everywhere, once."""
    table = pl.read_csv(out / name)
    if "shard" not in table.columns:
        table = table.with_columns(shard=pl.lit(0))
    found: dict[str, Waveform] = {}
    for (shard,), own in table.group_by("shard"):
        array = read_array(out / (f"waveforms-{shard:03}.npy" if name == "clips.csv" else "waveforms.npy"))
        starts, lengths = own["start"].to_list(), own["n_samples"].to_list()
        assert starts == [0, *itertools.accumulate(lengths)][:-1]
        assert sum(lengths) == len(array)
        assert np.isfinite(array).all()
        found |= {row[0]: array[start : start + n] for row, start, n in zip(own.rows(), starts, lengths, strict=True)}
    assert len(list(out.glob("*.npy"))) == table["shard"].n_unique()
    return {row[0]: found[row[0]] for row in table.rows()}


def take_in(stage: str, folder: Path, out: Path) -> None:
    if stage == "speech":
        ingest.run(RATE, P, corpus=folder, out=out)
    else:
        ingest_noise.run(RATE, P, noise_corpus=folder, out=out)


MIXED = {
    "a 1.wav": (voice(1), RATE),
    "deep/b.flac": (voice(2, 44100), 44100),
    "c.wav": (voice(3, 8000, 2.5), 8000),
    "d.mp3": (voice(4, 48000), 48000),
    "e.ogg": (np.column_stack([voice(5, 22050), voice(5, 22050)]), 22050),
    "short.wav": (voice(6, seconds=0.5), RATE),
    "text.wav": b"no sound" * 99,
    "gone.wav": None,
}
METADATA = "file_path,label,speaker_id,sex,age\n" + "".join(
    f"{name},{('control', 'patient')[i % 2]},s{i // 2},F,{40 + i}\n" for i, name in enumerate(MIXED)
)


def test_the_index_leads_to_each_recording(tmp_path: Path) -> None:
    """The slice of each clip is its own recording, mono at 16 kHz, whatever it was before."""
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", MIXED, METADATA), out=tmp_path / "out")
    clips = stored(tmp_path / "out")
    assert list(clips) == ["a 1.wav", "c.wav", "d.mp3", "deep/b.flac", "e.ogg"]
    for name, waveform in clips.items():
        content = MIXED[name]
        assert isinstance(content, tuple)
        source, rate = content
        expected = resample(source if source.ndim == 1 else source.mean(axis=1), rate, RATE)
        assert len(waveform) == pytest.approx(len(expected), abs=1)
        n = min(len(waveform), len(expected))
        assert np.corrcoef(waveform[:n], expected[:n])[0, 1] > 0.95  # MP3 keeps that much of noise; any other has 0
    assert rejects(tmp_path / "out") == {"gone.wav": "missing", "short.wav": "too_short", "text.wav": "undecodable"}


def test_the_table_of_clips_keeps_what_the_metadata_says(tmp_path: Path) -> None:
    """Row by row, and the source's rate beside it."""
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", MIXED, METADATA), out=tmp_path / "out")
    table = pl.read_csv(tmp_path / "out" / "clips.csv", infer_schema=False)
    assert table.select("clip_id", "label", "speaker_id", "sex", "age", "source_sample_rate").rows() == [
        ("a 1.wav", "0", "s0", "F", "40", "16000"),
        ("c.wav", "0", "s1", "F", "42", "8000"),
        ("d.mp3", "1", "s1", "F", "43", "48000"),
        ("deep/b.flac", "1", "s0", "F", "41", "44100"),
        ("e.ogg", "0", "s2", "F", "44", "22050"),
    ]


@pytest.mark.parametrize("n_workers", [2, 8])
def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path, n_workers: int) -> None:
    """Every file of the result, the refused included."""
    mine = corpus(tmp_path / "mine", MIXED, METADATA)
    ingest.run(RATE, P, corpus=mine, out=tmp_path / "one", n_workers=1)
    ingest.run(RATE, P, corpus=mine, out=tmp_path / "many", n_workers=n_workers)
    assert digests(tmp_path / "one") == digests(tmp_path / "many")
    assert set(digests(tmp_path / "one")) == {"waveforms-000.npy", "clips.csv", "rejects.csv"}


def test_the_order_of_the_rows_and_the_place_of_the_folder_change_no_byte(tmp_path: Path) -> None:
    """Nor does a second run over the first."""
    header, *lines = METADATA.splitlines(keepends=True)
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", MIXED, METADATA), out=tmp_path / "a")
    moved = corpus(tmp_path / "elsewhere" / "b", MIXED, header + "".join(reversed(lines)))
    ingest.run(RATE, P, corpus=moved, out=tmp_path / "b")
    ingest.run(RATE, P, corpus=moved, out=tmp_path / "b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


COPIES = {
    "one.wav": (voice(1), RATE),
    "two.wav": (voice(2), RATE),
    "twins/two.flac": (voice(2), RATE),
    "three.wav": (voice(3), RATE),
    "twins/three.wav": (voice(3), RATE),
    "four.wav": (voice(4), RATE),
    "twins/four.wav": (voice(4), RATE),
    "twins/another four.wav": (voice(4), RATE),
    "five.wav": (voice(5), RATE),
    "zero.wav": (voice(6), RATE),  # after all that is dropped
}


def test_one_sound_twice_is_dropped_and_the_array_closed_up(tmp_path: Path) -> None:
    """Under two labels or two speakers, all of it; a plain copy, but the first.

    One sound is one waveform, in whatever container.
    """
    metadata = (
        "file_path,label,speaker_id\none.wav,1,ana\nfive.wav,0,eva\nzero.wav,0,eva\n"
        "two.wav,1,bia\ntwins/two.flac,0,bia\n"
        "three.wav,1,caio\ntwins/three.wav,1,davi\n"
        "four.wav,1,fabio\ntwins/four.wav,1,fabio\ntwins/another four.wav,1,fabio\n"
    )
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", COPIES, metadata), out=tmp_path / "out")
    assert rejects(tmp_path / "out") == {
        "two.wav": "label_conflict",
        "twins/two.flac": "label_conflict",
        "three.wav": "speaker_conflict",
        "twins/three.wav": "speaker_conflict",
        "twins/four.wav": "duplicate",
        "twins/another four.wav": "duplicate",
    }
    clips = stored(tmp_path / "out")
    assert list(clips) == ["five.wav", "four.wav", "one.wav", "zero.wav"]
    for name, seed in (("five.wav", 5), ("four.wav", 4), ("one.wav", 1), ("zero.wav", 6)):
        np.testing.assert_allclose(clips[name], voice(seed), atol=2**-15)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"clips.csv", "rejects.csv", "waveforms-000.npy"}


def test_a_conflict_names_the_other_files(tmp_path: Path) -> None:
    """So that a person can look which of them is right."""
    metadata = "file_path,label,speaker_id\none.wav,1,ana\ntwo.wav,1,bia\ntwins/two.flac,0,bia\n"
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", COPIES, metadata), out=tmp_path / "out")
    reasons = dict(pl.read_csv(tmp_path / "out" / "rejects.csv").select("file_path", "reason").rows())
    assert reasons["two.wav"] == "the same sound has both labels: twins/two.flac"
    assert reasons["twins/two.flac"] == "the same sound has both labels: two.wav"


def test_a_copy_without_a_speaker_is_a_copy(tmp_path: Path) -> None:
    """Where nobody said who speaks there are not two speakers; the file that says so is kept."""
    metadata = (
        "file_path,label,speaker_id\n"
        "one.wav,1,ana\nthree.wav,1,\ntwins/three.wav,1,caio\nfour.wav,0,\ntwins/another four.wav,0,\n"
    )
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", COPIES, metadata), out=tmp_path / "out")
    assert rejects(tmp_path / "out") == {"three.wav": "duplicate", "twins/another four.wav": "duplicate"}


def test_recordings_that_are_refused_anyway_are_checked_for_contradictions(tmp_path: Path) -> None:
    """Two short files of the same bytes under two labels are a fault of the corpus, and not only short.

    A copy with the same label and speaker, or a header without sound, is refused for what it is.
    """
    short = voice(1, seconds=0.5), RATE
    silent, empty = (np.zeros(2 * RATE, np.float32), RATE), (np.zeros(0, np.float32), RATE)
    files = {
        "good.wav": (voice(9), RATE),
        **{f"short {i}.wav": short for i in (1, 2)},
        **{f"silent {i}.wav": silent for i in (1, 2)},
        **{f"empty {i}.wav": empty for i in (1, 2)},
        **{f"copy {i}.wav": (voice(2, seconds=0.7), RATE) for i in (1, 2)},
    }
    metadata = (
        "file_path,label,speaker_id\ngood.wav,1,x\nshort 1.wav,1,a\nshort 2.wav,0,a\nsilent 1.wav,1,b\n"
        "silent 2.wav,1,c\nempty 1.wav,1,d\nempty 2.wav,0,e\ncopy 1.wav,1,f\ncopy 2.wav,1,f\n"
    )
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", files, metadata), out=tmp_path / "out")
    table = pl.read_csv(tmp_path / "out" / "rejects.csv")
    too_short = "expected at least 1.0 s, got 0.500 s (ingest.min_seconds)"
    assert table.select("code", "reason").rows() == [
        ("too_short", "expected at least 1.0 s, got 0.700 s (ingest.min_seconds)"),
        ("too_short", "expected at least 1.0 s, got 0.700 s (ingest.min_seconds)"),
        ("empty", "a header and no samples"),
        ("empty", "a header and no samples"),
        ("label_conflict", f"the same sound has both labels: short 2.wav; and {too_short}"),
        ("label_conflict", f"the same sound has both labels: short 1.wav; and {too_short}"),
        (
            "speaker_conflict",
            "the same sound has two speakers: silent 2.wav; and every sample is 0: a muted microphone",
        ),
        (
            "speaker_conflict",
            "the same sound has two speakers: silent 1.wav; and every sample is 0: a muted microphone",
        ),
    ]


@pytest.mark.parametrize("stage", ["speech", "noise"])
def test_silence_that_only_mono_or_the_new_rate_shows_is_refused(tmp_path: Path, stage: str) -> None:
    """Channels that cancel out, and a whistle above 8 kHz, are nothing at 16 kHz mono.

    Silent noise, scaled to a peak, would be NaN in every clip that it is put on.
    """
    whistle = 0.5 * np.sin(2 * np.pi * 15000 * np.arange(96000) / 48000)
    fade = np.minimum(1, np.minimum(np.arange(96000), np.arange(96000)[::-1]) / 9600)
    files = {
        "good.wav": (voice(1), RATE),
        "opposed.wav": (np.column_stack([voice(2), -voice(2)]), RATE),
        "whistle.wav": (np.asarray(whistle * fade, np.float32), 48000),
    }
    mine = corpus(tmp_path / "mine", files, "file_path,label\n" + "".join(f"{name},1\n" for name in files))
    take_in(stage, mine, tmp_path / "out")
    assert rejects(tmp_path / "out") == {"opposed.wav": "silent", "whistle.wav": "near_silent"}
    reasons = pl.read_csv(tmp_path / "out" / "rejects.csv")["reason"]
    assert reasons[0] == "once mono at 16000 Hz: every sample is 0: a muted microphone"


def test_too_many_refused_stop_the_run_and_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list is written before the run stops, as is the word; no clips.csv lets another stage go on."""
    mine = corpus(tmp_path / "mine", MIXED, METADATA)
    out = re.escape(str(tmp_path / "out" / "rejects.csv"))
    said = (
        f"^{out}: 3 of 8 files refused, more than ingest.max_rejected=0.25 allows; mend or remove them, or allow more$"
    )
    with pytest.raises(DataError, match=said):
        ingest.run(RATE, STRICT, corpus=mine, out=tmp_path / "out")
    assert len(rejects(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "clips.csv").exists()
    assert "refused gone.wav: missing: no such file" in capsys.readouterr().out


@pytest.mark.parametrize(("n_refused", "stops"), [(28, False), (29, False), (30, True)])
def test_the_fraction_allowed_is_allowed(tmp_path: Path, n_refused: int, stops: bool) -> None:
    """29 of 100 are not more than 0.29, though 0.29 * 100 is less than 29."""
    p = IngestParams.model_validate(LIMITS | {"max_rejected": 0.29})
    files: dict[str, tuple[Waveform, int] | None] = {
        f"{i:03}.wav": None if i < n_refused else (voice(i, 8000, 1.0), 8000) for i in range(100)
    }
    mine = corpus(tmp_path / "mine", files, "file_path\n" + "".join(f"{name}\n" for name in files))
    if stops:
        with pytest.raises(DataError, match="30 of 100 files refused"):
            ingest_noise.run(8000, p, noise_corpus=mine, out=tmp_path / "out")
    else:
        ingest_noise.run(8000, p, noise_corpus=mine, out=tmp_path / "out")
        assert len(stored(tmp_path / "out", "recordings.csv")) == 100 - n_refused


def test_a_long_list_of_refused_is_shown_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty lines and a count; the file has them all."""
    files = {"a.wav": (voice(1), RATE)} | {f"b{i:02}.wav": None for i in range(25)}
    mine = corpus(tmp_path / "mine", files, "file_path\n" + "".join(f"{name}\n" for name in files))
    ingest_noise.run(RATE, P, noise_corpus=mine, out=tmp_path / "out")
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("refused b") for line in lines) == 20
    assert f"... and 5 more: see {tmp_path / 'out' / 'rejects.csv'}" in lines
    assert len(rejects(tmp_path / "out")) == 25


@pytest.mark.parametrize("stage", ["speech", "noise"])
@pytest.mark.parametrize("files", [{"a.wav": b"", "b.wav": None}, {"a.wav": b"text", "b.wav": b"text"}])
def test_a_corpus_with_nothing_good_in_it_is_refused(tmp_path: Path, stage: str, files: Mapping[str, bytes]) -> None:
    """Also where max_rejected allows it: nothing comes after an empty table."""
    mine = corpus(tmp_path / "mine", files, "file_path,label\na.wav,1\nb.wav,0\n")
    with pytest.raises(DataError, match=r"rejects\.csv: every file was refused"):
        take_in(stage, mine, tmp_path / "out")
    assert set(rejects(tmp_path / "out")) == {"a.wav", "b.wav"}


def test_a_corpus_of_contradictions_only_is_refused(tmp_path: Path) -> None:
    """Every file decodes, and not one is left."""
    mine = corpus(tmp_path / "mine", COPIES, "file_path,label\nthree.wav,1\ntwins/three.wav,0\n")
    with pytest.raises(DataError, match="every file was refused"):
        ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    assert set(rejects(tmp_path / "out").values()) == {"label_conflict"}


def test_where_all_is_well_the_list_of_refused_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A header and no rows; and one line says what there is."""
    files = {"a.wav": (voice(1), RATE), "b.wav": (voice(2), RATE)}
    mine = corpus(tmp_path / "mine", files, "file_path,label,speaker_id\na.wav,1,x\nb.wav,1,x\n")
    ingest.run(RATE, STRICT, corpus=mine, out=tmp_path / "out")
    assert (tmp_path / "out" / "rejects.csv").read_text(encoding="utf-8") == "file_path,code,reason\n"
    assert capsys.readouterr().out.splitlines()[-1] == f"{mine}: 2 of 2 clips, 1 speakers, 0.1 minutes"


def test_noise_may_be_longer_than_speech(tmp_path: Path) -> None:
    """To its own limit, and no longer; its table leads to each recording."""
    files = {
        "ward.wav": (np.tile(voice(1), 6), RATE),
        "bell.flac": (voice(2, 44100), 44100),
        "night.wav": (np.tile(voice(3), 7), RATE),
    }
    metadata = "file_path,description,source\nward.wav,ward,icu\nbell.flac,bell,\nnight.wav,night,icu\n"
    mine = corpus(tmp_path / "noise", files, metadata)
    ingest_noise.run(RATE, P, noise_corpus=mine, out=tmp_path / "out")
    recordings = stored(tmp_path / "out", "recordings.csv")
    assert list(recordings) == ["bell.flac", "ward.wav"]
    np.testing.assert_allclose(recordings["ward.wav"], np.tile(voice(1), 6), atol=2**-15)
    assert rejects(tmp_path / "out") == {"night.wav": "too_long"}
    sources = pl.read_csv(tmp_path / "out/recordings.csv").select("recording_id", "source")
    assert sources.rows() == [("bell.flac", ""), ("ward.wav", "icu")]


@pytest.mark.parametrize("n_workers", [2, 8])
def test_noise_too_is_the_same_with_any_number_of_workers(tmp_path: Path, n_workers: int) -> None:
    """Byte for byte."""
    mine = corpus(tmp_path / "mine", MIXED, METADATA)
    ingest_noise.run(RATE, P, noise_corpus=mine, out=tmp_path / "one", n_workers=1)
    ingest_noise.run(RATE, P, noise_corpus=mine, out=tmp_path / "many", n_workers=n_workers)
    assert digests(tmp_path / "one") == digests(tmp_path / "many")


def test_a_file_that_is_copied_in_later_changes_only_itself(tmp_path: Path) -> None:
    """What was stored of the others stays, sample for sample."""
    ingest.run(RATE, P, corpus=corpus(tmp_path / "mine", MIXED, METADATA), out=tmp_path / "before")
    soundfile.write(tmp_path / "mine" / "gone.wav", voice(77), RATE)
    ingest.run(RATE, P, corpus=tmp_path / "mine", out=tmp_path / "after")
    before, after = stored(tmp_path / "before"), stored(tmp_path / "after")
    assert set(after) - set(before) == {"gone.wav"}
    for name, waveform in before.items():
        np.testing.assert_array_equal(after[name], waveform)
