"""Real recordings, good and broken, that nobody made for these tests: see the shared corpus's README.

The environment variable SPIRA_CORPUS names its folder; where it does not, these tests skip.
"""

import os
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np
import polars as pl
import pytest

from spira.base.errors import DataError
from spira.clips.arrays import read_array
from spira.ingest.acceptance import IngestParams
from spira.stages import ingest, ingest_noise

RATE = 16000
P = IngestParams(
    min_sample_rate=8000,
    max_sample_rate=384000,
    max_channels=2,
    min_seconds=1.0,
    max_seconds=60.0,
    max_noise_seconds=600.0,
    max_frames=30_000_000,
    min_peak=0.003,
    max_clipped=0.25,
    max_decode_seconds=5,
    max_decode_megabytes=512,
    personal_data="refuse",
    max_rejected=0.0,
)
LENIENT = P.model_copy(update={"max_rejected": 1.0})

# What becomes of each file of broken/; None is accepted. Beside it, what its row of metadata.csv asks for.
EXPECTED = {
    "MISSING_9XJ2Q_vowel-o.wav": "missing",  # name the missing file
    "digital_silence_44k_htQzR_vowel-o.wav": "silent",  # reject: digital silence
    "digital_silence_UiUUh_counting-fast.wav": "silent",
    "empty_header_only_16k_9XKj7_counting-normal.wav": "empty",  # reject by name: no samples
    "empty_header_only_16k_TRK6g_counting-fast.wav": "empty",
    "empty_header_only_44k_Vcmjc_counting-fast.wav": "empty",
    **{  # report same content with two labels; drop both. They are too short as well
        f"label_conflict_{pair}.mp3": "label_conflict"
        for pair in (
            *("0_neg_30cfd2ab", "0_pos_2c6623a4", "1_neg_a72df3ff", "1_pos_fe8fe2f7"),
            *("2_neg_c775355f", "2_pos_03d4deff", "3_neg_22525c20", "3_pos_15888e86"),
            *("4_neg_1c4babe9", "4_pos_01c29efb", "5_neg_98406774", "5_pos_25995059"),
        )
    },
    "long_89s_stereo_f50d2d53.mp3": "too_long",  # cap or segment
    "near_silence_eZ9KE_vowel-e.wav": "near_silent",  # reject or warn: level below threshold
    "near_silence_mFQ65_vowel-e.wav": "near_silent",
    "no_audio_frames_098d66e5.mp3": "undecodable",  # reject by name: cannot be decoded
    "no_audio_frames_a9ecaf03.mp3": "undecodable",
    "same_bytes_two_speakers_SY4Ek_A_counting-fast.wav": "speaker_conflict",  # report duplicate; silent as well
    "same_bytes_two_speakers_UiUUh_B_breathing-deep.wav": "speaker_conflict",
    "short_O4BFg_vowel-e.wav": "too_short",  # reject or pad
    "short_e401815f.mp3": "too_short",
    "short_speech_CrlV0_counting-normal.wav": None,  # 1.6 s: above min_seconds, and padded later
    "short_speech_Vcmjc_counting-normal.wav": None,  # 1.4 s
    "zero_samples_85ms_KGWBa_breathing-deep.wav": "too_short",  # reject: too short or silent
}


@pytest.fixture
def shared() -> Path:
    folder = os.environ.get("SPIRA_CORPUS")
    if folder is None or not Path(folder, "broken").is_dir():
        pytest.skip(f"SPIRA_CORPUS={folder} does not name the shared corpus")
    return Path(folder)


def corpus(folder: Path, shared: Path, metadata: pl.DataFrame) -> Path:
    """A corpus of the shared recordings under this metadata.csv."""
    folder.mkdir()
    metadata.write_csv(folder / "metadata.csv")
    for part in ("broken", "noise", "speech"):
        (folder / part).symlink_to(shared / part)
    return folder


def broken(folder: Path, shared: Path, *, without: str = "") -> Path:
    """Every row of broken/: the label that a file's name says, and a speaker of its own as it names none."""
    rows = pl.read_csv(shared / "broken" / "metadata.csv").select("file_path").filter(pl.col("file_path") != without)
    label = pl.when(pl.col("file_path").str.contains("_neg_")).then(pl.lit("control")).otherwise(pl.lit("patient"))
    return corpus(folder, shared, rows.with_columns(label=label, speaker_id=pl.col("file_path").str.slice(7)))


def test_every_broken_file_gets_what_its_row_asks_for(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, and no other file is lost; on a machine without ffmpeg, which stops at the one that needs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    m4a = "broken/aac_in_m4a_0619b0ad.m4a"
    with pytest.raises(DataError, match=rf"^1 of 31 files: {m4a}: m4a, mp4 or 3gp is read through ffmpeg"):
        ingest.run(RATE, LENIENT, corpus=broken(tmp_path / "all", shared), out=tmp_path / "out")
    assert not (tmp_path / "out" / "rejects.csv").exists()
    ingest.run(RATE, LENIENT, corpus=broken(tmp_path / "mine", shared, without=m4a), out=tmp_path / "out")
    refused = pl.read_csv(tmp_path / "out" / "rejects.csv")
    codes = {path.removeprefix("broken/"): code for path, code in refused.select("file_path", "code").rows()}
    accepted = [path.removeprefix("broken/") for path in pl.read_csv(tmp_path / "out" / "clips.csv")["clip_id"]]
    assert codes | dict.fromkeys(accepted) == EXPECTED
    assert np.isfinite(read_array(tmp_path / "out" / "waveforms-000.npy")).all()
    reasons = dict(refused.select("file_path", "reason").rows())
    assert reasons["broken/label_conflict_5_neg_98406774.mp3"] == (
        "the same sound has both labels: broken/label_conflict_5_pos_25995059.mp3; "
        "and expected at least 1.0 s, got 0.900 s (ingest.min_seconds)"
    )


def test_with_an_ffmpeg_and_wider_limits_more_of_them_are_accepted(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The m4a, the long stereo call and the half second are good sound; what contradicts itself stays out."""
    (tmp_path / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", str(tmp_path))
    wider = LENIENT.model_copy(update={"min_seconds": 0.25, "max_seconds": 200.0})
    ingest.run(RATE, wider, corpus=broken(tmp_path / "mine", shared), out=tmp_path / "out")
    accepted = {name for name, code in EXPECTED.items() if code is None}
    accepted |= {"aac_in_m4a_0619b0ad.m4a", "long_89s_stereo_f50d2d53.mp3"}
    accepted |= {"short_O4BFg_vowel-e.wav", "short_e401815f.mp3"}
    clips = pl.read_csv(tmp_path / "out" / "clips.csv")
    assert {path.removeprefix("broken/") for path in clips["clip_id"]} == accepted
    refused = dict(pl.read_csv(tmp_path / "out" / "rejects.csv").select("file_path", "code").rows())
    assert sum(code == "label_conflict" for code in refused.values()) == 12


def test_nothing_good_is_refused_of_coswara(tmp_path: Path, shared: Path) -> None:
    """All 123 recordings, WAV and FLAC at 44.1 and 48 kHz, with nothing allowed to be refused."""
    mine = corpus(tmp_path / "mine", shared, pl.read_csv(shared / "benchmarks" / "coswara_sex.csv"))
    ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    clips = pl.read_csv(tmp_path / "out" / "clips.csv")
    assert len(clips) == 123
    assert clips["speaker_id"].n_unique() == 64
    shared_rows = pl.read_csv(shared / "metadata.csv").select("file_path", "duration_s")
    both = clips.join(shared_rows, left_on="clip_id", right_on="file_path")
    assert len(both) == 123
    assert (both["n_samples"] / RATE - both["duration_s"]).abs().max() == pytest.approx(0, abs=0.01)


def test_no_noise_recording_is_refused(tmp_path: Path, shared: Path) -> None:
    """All 11, of 14 s to 147 s, mono and stereo."""
    mine = corpus(tmp_path / "mine", shared, pl.read_csv(shared / "noise" / "metadata.csv"))
    ingest_noise.run(RATE, P, noise_corpus=mine, out=tmp_path / "out")
    recordings = pl.read_csv(tmp_path / "out" / "recordings.csv")
    assert len(recordings) == 11
    assert (recordings["n_samples"] / RATE).is_between(14, 148).all()
