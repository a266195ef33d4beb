"""Audio files as people bring them: what is read is what was recorded, and what is refused is refused by name."""

import os
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]
import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import bad_audio
from sounds import Samples, caf_with_opus, encoded, id3, pcm, tones, wav, with_length, without_length, without_xing
from spira.base.errors import MachineError
from spira.ingest import ffmpeg as ffmpeg_of_ours
from spira.ingest import samples as samples_module
from spira.ingest.acceptance import IngestParams, Refusal, refuse_clipped, refuse_header, refuse_samples
from spira.ingest.containers.headers import Header
from spira.ingest.decoding import decode
from spira.ingest.resampling import resample, to_mono
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Limits, Lost
from spira.ingest.waveforms import Job, _mono

LIMITS = bad_audio.LIMITS | {"max_rejected": 0.05}
P = IngestParams.model_validate(LIMITS)
ABSURD = 2**31 - 1  # Hz; what four bytes of 0xff and 0x7f read as


def decode_bytes(path: Path, content: bytes, p: IngestParams = P) -> tuple[Samples, int]:
    """The samples of a file with this content, and their rate; a refusal fails the test."""
    path.write_bytes(content)
    decoded = decode(path, p, p.max_seconds)
    assert not isinstance(decoded, Refusal), decoded
    assert np.isfinite(decoded.samples).all()
    return decoded.samples, decoded.sample_rate


def refused(path: Path, content: bytes, p: IngestParams = P) -> Refusal:
    path.write_bytes(content)
    decoded = decode(path, p, p.max_seconds)
    assert isinstance(decoded, Refusal), "was accepted"
    return decoded


def likeness(a: Samples, b: Samples) -> float:
    """The correlation of two signals without shift, over the shorter one."""
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n].ravel(), b[:n].ravel())[0, 1])


# --- what is read

# A step of each format's numbers; None where the format is lossy.
FORMATS = [
    ("WAV", "PCM_U8", 2**-7),
    ("WAV", "PCM_16", 2**-15),
    ("WAV", "PCM_24", 2**-23),
    ("WAV", "PCM_32", 2**-23),
    ("WAV", "FLOAT", 0.0),
    ("WAV", "DOUBLE", 0.0),
    ("WAVEX", "PCM_16", 2**-15),
    ("WAVEX", "PCM_24", 2**-23),
    ("WAVEX", "FLOAT", 0.0),
    ("WAV", "ULAW", None),
    ("WAV", "IMA_ADPCM", None),
    ("FLAC", "PCM_16", 2**-15),
    ("FLAC", "PCM_24", 2**-23),
    ("OGG", "VORBIS", None),
    ("OGG", "OPUS", None),
    ("MP3", "MPEG_LAYER_III", None),
    ("AIFF", "PCM_16", 2**-15),
]
RATES = {
    ("OGG", "OPUS"): (8000, 16000, 48000),
    ("MP3", "MPEG_LAYER_III"): (8000, 16000, 22050, 44100, 48000),
}


@pytest.mark.parametrize(
    ("container", "subtype", "step", "rate"),
    [
        (container, subtype, step, rate)
        for container, subtype, step in FORMATS
        for rate in RATES.get((container, subtype), (8000, 11025, 16000, 44100, 48000, 96000))
    ],
)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_every_format_is_read_as_it_was_recorded(
    tmp_path: Path, container: str, subtype: str, step: float | None, rate: int, n_channels: int
) -> None:
    """At its own rate, channels apart, to within a step of its numbers; lossy formats to a correlation of 0.98."""
    recorded = tones(rate, n_channels)
    samples, sample_rate = decode_bytes(tmp_path / "recording", encoded(recorded, rate, container, subtype))
    assert (sample_rate, samples.dtype.name, samples.shape[1]) == (rate, "float32", n_channels)
    if step is None:
        assert abs(len(samples) - len(recorded)) <= 0.1 * rate  # ADPCM and the like fill their last block
        for channel in range(n_channels):
            assert likeness(samples[:, channel], recorded[:, channel]) > 0.98
    else:
        assert samples.shape == recorded.shape
        assert np.abs(samples - recorded).max() <= step


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_sixteen_bits_are_the_numbers_that_libsndfile_makes_of_them(
    tmp_path: Path, container: str, n_channels: int
) -> None:
    """All 65,536 of them, over more than one read, the last of which is short: the integers are divided here."""
    every = np.arange(-(2**15), 2**15).astype(np.int16)
    recorded = np.resize(every, (samples_module._READ + 1000) * n_channels).reshape(-1, n_channels)
    path = tmp_path / "recording"
    soundfile.write(path, recorded, 16000, "PCM_16", format=container)
    with path.open("rb") as raw:
        expected, _ = soundfile.read(raw, dtype="float32", always_2d=True)
    samples, _ = decode_bytes(path, path.read_bytes(), P.model_copy(update={"max_seconds": 60.0}))
    np.testing.assert_array_equal(samples, expected)


def test_a_telephone_recorders_gsm_wav_is_read(tmp_path: Path) -> None:
    """libsndfile cannot seek in it, and soundfile then refuses to read "all" of it."""
    recorded = tones(8000)
    samples, rate = decode_bytes(tmp_path / "call.wav", encoded(recorded, 8000, "WAV", "GSM610"))
    assert rate == 8000
    assert likeness(samples, recorded) > 0.9  # 13 kbit/s


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw", "a.vox", "a", "ação 1.FLAC"])
@pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
def test_content_decides_and_not_the_name(tmp_path: Path, name: str, container: str, subtype: str) -> None:
    """A file under a wrong suffix is read; soundfile alone raises TypeError where the suffix is .raw."""
    samples, _ = decode_bytes(tmp_path / name, encoded(tones(16000), 16000, container, subtype))
    assert likeness(samples, tones(16000)) > 0.98


@pytest.mark.parametrize("promised", [0, 2**32 - 1, 0x7FFFF000, 0x80000000])
def test_a_wav_whose_writer_never_knew_its_length_is_read_to_its_end(tmp_path: Path, promised: int) -> None:
    """What ffmpeg, sox, arecord and a recorder that was switched off leave in the header is no promise."""
    recorded = tones(16000)
    samples, _ = decode_bytes(tmp_path / "stream.wav", wav(pcm(recorded), promised=promised))
    assert samples.shape == recorded.shape
    assert np.abs(samples - recorded).max() <= 2**-15


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    """A FLAC written to a pipe says 0 frames, which libsndfile calls 2**63 - 1: neither empty nor too long."""
    recorded = tones(16000)
    samples, _ = decode_bytes(tmp_path / "stream.flac", without_length(encoded(recorded, 16000, "FLAC", "PCM_16")))
    assert samples.shape == recorded.shape


@pytest.mark.parametrize("tag", [b"", id3(1000), id3(200_000)])
@pytest.mark.parametrize("end", [b"", b"TAG" + bytes(125), b"<html>" * 500])
def test_an_mp3_that_does_not_say_its_length_is_read_to_its_end(tmp_path: Path, tag: bytes, end: bytes) -> None:
    """libsndfile estimates it: it stops at half of one with quiet passages, and finds another "truncated".

    The last third of the recording sounds an octave higher: it is there.
    """
    quiet = tones(16000, seconds=3.0) * np.repeat(np.array([1, 0.001, 1], np.float32), 16000)[:, None]
    mp3 = tag + without_xing(encoded(quiet, 16000, "MP3", "MPEG_LAYER_III")) + end
    samples, _ = decode_bytes(tmp_path / "stream.mp3", mp3)
    assert len(samples) == pytest.approx(len(quiet), abs=0.15 * 16000)  # the encoder's own padding
    spectrum = np.abs(np.fft.rfft(samples[-8000:-3000, 0]))
    assert np.argmax(spectrum) * 16000 / 5000 == pytest.approx(880, abs=4)


def test_an_mp3_with_a_picture_keeps_its_length(tmp_path: Path) -> None:
    """The number of samples is the header's, with a large tag in front as without."""
    mp3 = encoded(tones(44100), 44100, "MP3", "MPEG_LAYER_III")
    samples, _ = decode_bytes(tmp_path / "song.mp3", id3(200_000) + mp3)
    assert len(samples) == len(tones(44100))


def test_a_header_that_counts_half_a_frame_too_many_is_no_truncation(tmp_path: Path) -> None:
    """An odd byte of padding, counted as data, is not sound that is missing."""
    recorded = tones(16000)
    samples, _ = decode_bytes(tmp_path / "odd.wav", wav(pcm(recorded), promised=2 * len(recorded) + 1))
    assert samples.shape == recorded.shape


@pytest.mark.parametrize("offset", [0, 0.25])
@pytest.mark.parametrize("noise", [0, 2**-15])
def test_a_channel_with_nothing_plugged_in_is_not_clipped(tmp_path: Path, offset: float, noise: float) -> None:
    """Nothing, or the last bit's noise, beside a microphone: all of its samples are its highest or lowest."""
    speech = tones(16000)
    other = offset + noise * np.random.default_rng(3).integers(0, 2, speech.shape)
    recorded = np.hstack([speech, other]).astype(np.float32)
    samples, _ = decode_bytes(tmp_path / "stereo.wav", encoded(recorded, 16000, "WAV", "PCM_16"))
    assert samples.shape == recorded.shape


@pytest.mark.parametrize("channel", [0, 1])
def test_a_channel_that_is_clipped_is_found_beside_one_that_is_not(tmp_path: Path, channel: int) -> None:
    """Whichever it is: the mean of both would hide it."""
    recorded = tones(16000, n_channels=2)
    recorded[:, channel] = np.clip(100 * recorded[:, channel], -0.5, 0.5)
    assert refused(tmp_path / "stereo.wav", encoded(recorded, 16000, "WAV", "PCM_16")).code == "clipped"


@settings(max_examples=300, deadline=None)
@given(
    at_extremes=st.floats(0, 1), limit=st.floats(0.001, 1), offset=st.floats(-0.5, 0.5), seed=st.integers(0, 2**32 - 1)
)
def test_what_is_not_counted_is_not_clipped(at_extremes: float, limit: float, offset: float, seed: int) -> None:
    """The verdict is that of counting, whatever the mean square that spares it: loud or soft, off centre, one-sided."""
    rng = np.random.default_rng(seed)
    samples = rng.uniform(-0.4, 0.4, 2000).astype(np.float32) * np.float32(rng.uniform(0, 1))
    loudest = rng.permutation(2000)[: max(2, round(at_extremes * 2000))]
    samples[loudest] = np.where(rng.uniform(size=len(loudest)) < rng.uniform(), -0.5, 0.5)
    samples += np.float32(offset)
    low, high = samples.min(), samples.max()
    assume(high - low > 0.21)  # any softer is not checked
    near = (high - low) / 2000
    found = np.mean((samples >= high - near) | (samples <= low + near))
    if abs(found - limit) > 1e-6:  # neither side's rounding
        assert (refuse_clipped(samples[:, None], limit) is not None) == (found > limit)


def test_a_float_file_may_pass_full_scale(tmp_path: Path) -> None:
    """It is neither clipped nor refused."""
    samples, _ = decode_bytes(tmp_path / "loud.wav", encoded(4 * tones(16000), 16000, "WAV", "FLOAT"))
    assert np.abs(samples).max() == pytest.approx(2, abs=1e-3)


def test_decoding_leaves_no_open_file_behind(tmp_path: Path) -> None:
    """Thousands of files are decoded in one process, refused ones among them."""
    contents = [encoded(tones(16000), 16000, "MP3", "MPEG_LAYER_III"), wav(b""), b"text", wav(pcm(tones(16000)))]
    contents.append(encoded(tones(8000, seconds=9), 8000, "MP3", "MPEG_LAYER_III"))  # too long: nobody reads its pipe
    descriptors = Path("/proc/self/fd") if Path("/proc/self/fd").is_dir() else Path("/dev/fd")
    before = len(list(descriptors.iterdir()))
    for content in contents * 3:
        (tmp_path / "file").write_bytes(content)
        decode(tmp_path / "file", P, P.max_seconds)
    assert len(list(descriptors.iterdir())) == before


# --- what is refused

SPEECH = pcm(tones(16000))
BAD = {
    "no bytes": (b"", "empty", "the file has no bytes"),
    "header only": (wav(b""), "empty", "a header and no samples"),
    "header only, of unknown length": (wav(b"", promised=2**32 - 1), "empty", "a header and no samples"),
    "header only, that promises sound": (wav(b"", promised=len(SPEECH)), "empty", "a header and no samples"),
    "half a header": (wav(SPEECH)[:30], "undecodable", "No 'data' chunk"),
    "truncated wav": (wav(SPEECH, promised=2 * len(SPEECH)), "truncated", "promises 48000 frames, 24000 can"),
    "truncated float wav": (
        encoded(tones(16000, 2), 16000, "WAVEX", "FLOAT")[:-100_000],
        "truncated",
        r"promises 24000 frames, 11500 can",
    ),
    "truncated adpcm": (
        encoded(tones(16000, seconds=3), 16000, "WAV", "IMA_ADPCM")[:-8000],
        "truncated",
        r"promises \d+ frames",
    ),
    "truncated aiff": (
        encoded(tones(16000, seconds=3), 16000, "AIFF", "PCM_16")[:-20_000],
        "truncated",
        r"promises \d+ frames, 38000 can",
    ),
    "truncated flac": (
        encoded(tones(16000), 16000, "FLAC", "PCM_16")[:-9000],
        "truncated",
        r"promises 24000 frames, \d+ can be decoded",
    ),
    "truncated mp3": (
        encoded(tones(16000), 16000, "MP3", "MPEG_LAYER_III")[:-2500],
        "truncated",
        r"promises 24000 frames, \d+ can be decoded",
    ),
    "truncated ogg": (
        encoded(tones(48000, seconds=4), 48000, "OGG", "VORBIS")[:-5000],
        "truncated",
        "ends inside an Ogg page",
    ),
    "truncated opus": (
        encoded(tones(48000, seconds=4), 48000, "OGG", "OPUS")[:-5000],
        "truncated",
        "ends inside an Ogg page",
    ),
    "nan": (
        wav(np.where(np.arange(24000) == 7, np.nan, 0.1).astype("<f4").tobytes(), bits=32, tag=3),
        "not_finite",
        "1 of 24000 samples are NaN or infinite",
    ),
    "infinity": (
        wav(np.where(np.arange(24000) > 23997, -np.inf, 0.1).astype("<f4").tobytes(), bits=32, tag=3),
        "not_finite",
        "2 of 24000 samples",
    ),
    "beyond float32": (
        wav(np.full(24000, 1e300).astype("<f8").tobytes(), bits=64, tag=3),
        "not_finite",
        "24000 of 24000",
    ),
    "integers as floats": (
        wav((tones(16000) * 32768).astype("<f4").tobytes(), bits=32, tag=3),
        "out_of_range",
        r"expected samples in \[-1, 1\], got a peak of 16384",
    ),
    "digital silence": (wav(bytes(48000)), "silent", "every sample is 0: a muted microphone"),
    "8-bit silence": (wav(b"\x80" * 24000, bits=8), "silent", "every sample is 0"),
    "an offset and no sound": (wav(b"\0\x40" * 24000), "silent", "every sample is 0.5"),
    "near silence": (
        wav(pcm(tones(16000) * 0.004)),
        "near_silent",
        "expected a peak of at least 0.003, got 0.0020",
    ),
    "near silence with an offset": (wav(pcm(tones(16000) * 0.004 + 0.25)), "near_silent", "got 0.00[12]"),
    "too short": (wav(SPEECH[:-16002]), "too_short", "expected at least 1.0 s, got 1.000 s"),
    "too long": (wav(SPEECH * 3), "too_long", "expected at most 4.0 s, got 4.500 s"),
    "too long, of unknown length": (wav(SPEECH * 3, promised=0), "too_long", "expected at most 4.0 s, got more"),
    "too short, of unknown length": (wav(SPEECH[:8000], promised=0), "too_short", "at least 1.0 s, got 0.250 s"),
    "too long flac of unknown length": (
        without_length(encoded(tones(8000, seconds=5), 8000, "FLAC", "PCM_16")),
        "too_long",
        "expected at most 4.0 s, got more",
    ),
    "slow": (wav(SPEECH, rate=7999), "sample_rate", "expected 8000 to 384000 Hz, got 7999 Hz"),
    "absurd": (wav(SPEECH, rate=ABSURD), "sample_rate", "expected 8000 to 384000 Hz, got 2147483647 Hz"),
    "more absurd": (wav(SPEECH, rate=2**32 - 1), "undecodable", "cannot be read as WAV, FLAC, OGG or MP3"),
    "no rate": (wav(SPEECH, rate=0), "undecodable", "cannot be read"),
    "no channel": (wav(SPEECH, n_channels=0), "undecodable", "Channel count is zero"),
    "six channels": (wav(SPEECH * 6, n_channels=6), "channels", "expected 1 to 2 channels, got 6"),
    "text": (b"I am no recording.\n" * 5000, "undecodable", "Format not recognised"),
    "html": (b"<!DOCTYPE html><html>404 not found</html>" * 500, "undecodable", "Format not recognised"),
    "zero bytes": (bytes(100_000), "undecodable", "Format not recognised"),
    "mp3 without a block": (
        encoded(tones(16000), 16000, "MP3", "MPEG_LAYER_III")[:300],
        "undecodable",
        "MP3: no sound in it",
    ),
    "flac head": (b"fLaC" + bytes(5000), "undecodable", "unimplemented format"),
}


@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
@pytest.mark.parametrize(("content", "code", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_with_its_code_and_a_sentence(
    tmp_path: Path, suffix: str, content: bytes, code: str, reason: str
) -> None:
    """Whatever it is called; and nothing but a refusal comes of it."""
    refusal = refused(tmp_path / f"bad{suffix}", content)
    assert refusal.code == code, refusal
    assert re.search(reason, refusal.reason), refusal


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nobody.wav", "no such file"),
        ("folder", "a folder, not a file"),
        ("gone.wav", "no such file"),
        ("file/a.wav", "no such"),
    ],
)
def test_what_is_no_file_is_missing(tmp_path: Path, name: str, reason: str) -> None:
    """A folder, a dangling link and a path through a file are said to be so."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")
    refusal = decode(tmp_path / name, P, P.max_seconds)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "missing"
    assert reason in refusal.reason


@pytest.mark.parametrize("name", ["x" * 300, "nul\0.wav"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """A sentence in the column of paths must not end the run."""
    refusal = decode(tmp_path / name, P, P.max_seconds)
    assert isinstance(refusal, Refusal)
    assert refusal.code in ("missing", "undecodable")


def test_a_header_that_claims_years_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decoded of a file that its header rules out."""
    monkeypatch.setattr(samples_module, "_read", lambda *_: pytest.fail("decoded"))
    for name in ("too long", "absurd", "six channels", "too short"):
        content, code, _ = BAD[name]
        assert refused(tmp_path / "file.wav", content).code == code


def test_limits_are_inclusive() -> None:
    """A recording of exactly the least length, the greatest, the least rate and the least peak is accepted."""
    assert refuse_header(8000, 8000, 1, P, P.max_seconds) is None
    assert refuse_header(32000, 8000, 2, P, P.max_seconds) is None
    assert refuse_header(384000, 384000, 2, P, P.max_seconds) is None
    quiet = np.array([[0.003], [-0.003]], np.float32)
    assert refuse_samples(quiet, float(quiet.max())) is None
    assert refuse_samples(np.array([[16], [-16]], np.float32), 0.003) is None


def test_a_dead_channel_does_not_silence_the_other() -> None:
    """The louder channel counts."""
    assert refuse_samples(np.column_stack([np.zeros(16000), tones(16000)[:16000, 0]]).astype(np.float32), 0.003) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_sample_rate": 400000}, "min_sample_rate: must not exceed max_sample_rate=384000, got 400000"),
        ({"min_seconds": 5.0}, "min_seconds: must not exceed max_seconds and max_noise_seconds, got 5.0"),
        ({"min_seconds": 0.0}, "greater than 0"),
        ({"min_peak": 1.0}, "less than 1"),
        ({"max_rejected": 1.5}, "less than or equal to 1"),
        ({"max_channels": 0}, "greater than or equal to 1"),
        ({"max_seconds": float("nan")}, "finite"),
    ],
)
def test_limits_that_refuse_everything_are_refused(change: dict[str, float], message: str) -> None:
    """Before a file is opened."""
    with pytest.raises(ValidationError, match=message):
        IngestParams.model_validate(LIMITS | change)


# --- through ffmpeg

FFMPEG_FORMATS = {
    "voice.m4a": ("aac", ["-movflags", "+faststart"], 16000, 0.98),
    "voice.mp4": ("aac", [], 16000, 0.98),
    "lossless.m4a": ("alac", [], 16000, 0.999),
    "voice.aac": ("aac", ["-f", "adts"], 16000, None),  # no word on the encoder's delay, so it shifts
    "voice.webm": ("libopus", [], 48000, 0.98),
    "voice.amr": ("libopencore_amrnb", ["-ar", "8000"], 8000, None),
    "voice.3gp": ("libopencore_amrnb", ["-ar", "8000"], 8000, None),
    "voice.wma": ("wmav2", [], 16000, None),
    "flac.ogg": ("flac", [], 16000, 0.999),
}


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture
def no_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it; returns its one folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def with_ffmpeg(no_ffmpeg: Path, ffmpeg: str) -> None:
    """A PATH with an ffmpeg on it and nothing else."""
    (no_ffmpeg / "ffmpeg").symlink_to(ffmpeg)


@pytest.fixture(scope="session")
def made(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """``tones(16000)`` as ffmpeg writes it under a name; a test skips where this ffmpeg lacks the encoder."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "tones.wav").write_bytes(wav(SPEECH))

    def make(name: str) -> bytes:
        codec, options, *_ = FFMPEG_FORMATS[name]
        command = [ffmpeg, "-nostdin", "-y", "-v", "error", "-i", "tones.wav", "-c:a", codec, *options, name]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if "Unknown encoder" in done.stderr:
            pytest.skip(f"{ffmpeg} has no encoder {codec}")
        assert done.returncode == 0, done.stderr
        return (folder / name).read_bytes()

    return make


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("name", FFMPEG_FORMATS)
def test_without_ffmpeg_other_containers_are_refused_with_a_way_out(
    tmp_path: Path, made: Callable[[str], bytes], name: str
) -> None:
    """`unsupported`, not `undecodable`: the file is well, and the sentence names what is missing."""
    refusal = refused(tmp_path / name, made(name))
    assert refusal.code == "unsupported"
    assert re.search(
        "is read through ffmpeg, which is not on the PATH: install it or convert to FLAC", refusal.reason
    ), refusal


@pytest.mark.usefixtures("with_ffmpeg")
@pytest.mark.parametrize(("name", "suffix"), [(name, None) for name in FFMPEG_FORMATS] + [("voice.m4a", ".wav")])
def test_with_ffmpeg_other_containers_are_read(
    tmp_path: Path, made: Callable[[str], bytes], name: str, suffix: str | None
) -> None:
    """The same sound at the file's rate; also where a telephone called it .wav."""
    _, _, rate, least = FFMPEG_FORMATS[name]
    samples, sample_rate = decode_bytes((tmp_path / name).with_suffix(suffix or Path(name).suffix), made(name))
    recorded = tones(rate)
    assert (sample_rate, samples.shape[1]) == (rate, 1)
    assert len(samples) == pytest.approx(len(recorded), abs=0.1 * rate)
    for start, hertz in ((0.3, 440), (1.1, 880)):
        part = samples[int(start * rate) : int((start + 0.25) * rate), 0]
        assert np.argmax(np.abs(np.fft.rfft(part))) * 4 == pytest.approx(hertz, abs=4)
    if least is not None:
        assert likeness(samples, recorded) > least


@pytest.mark.usefixtures("with_ffmpeg")
def test_what_only_ffmpeg_opens_is_known_by_its_container(tmp_path: Path, made: Callable[[str], bytes]) -> None:
    """No guess at how it holds its sound."""
    path = tmp_path / "a.wav"
    path.write_bytes(made("voice.m4a"))
    decoded = decode(path, P, P.max_seconds)
    assert not isinstance(decoded, Refusal), decoded
    assert decoded.header == Header("m4a, mp4 or 3gp", "", None, path.stat().st_size)


@pytest.mark.usefixtures("with_ffmpeg")
def test_through_ffmpeg_the_same_limits_hold(tmp_path: Path, made: Callable[[str], bytes]) -> None:
    """Too long, too short, too quiet and too slow are refused as in a WAV."""
    for change, code in (
        ({"max_seconds": 1.2}, "too_long"),
        ({"min_seconds": 2.0}, "too_short"),
        ({"min_peak": 0.9}, "near_silent"),
        ({"min_sample_rate": 22050}, "sample_rate"),
    ):
        p = IngestParams.model_validate(LIMITS | change)
        assert refused(tmp_path / "voice.m4a", made("lossless.m4a"), p).code == code


@pytest.mark.usefixtures("with_ffmpeg")
@pytest.mark.parametrize("name", ["voice.m4a", "voice.webm"])
def test_through_ffmpeg_a_truncated_file_is_refused(tmp_path: Path, made: Callable[[str], bytes], name: str) -> None:
    """ffmpeg decodes what is there and ends with success."""
    content = made(name)
    refusal = refused(tmp_path / name, content[: len(content) * 9 // 10])
    assert refusal.code == "truncated"
    assert re.search("ffmpeg: the file ends before its sound", refusal.reason), refusal


@pytest.mark.usefixtures("with_ffmpeg")
def test_what_ffmpeg_cannot_read_is_refused_in_the_same_words_each_time(tmp_path: Path) -> None:
    """Its messages hold addresses of memory and absolute paths, which must not reach rejects.csv."""
    refusals = {refused(tmp_path / name / "a.m4a", bytes(4) + b"ftypM4A " + b"x" * 999) for name in folders(tmp_path)}
    assert len(refusals) == 1
    refusal = refusals.pop()
    assert refusal.code == "undecodable"
    assert re.search("^ffmpeg: .*moov atom not found$", refusal.reason), refusal


def folders(parent: Path) -> list[str]:
    for name in ("one", "two"):
        (parent / name).mkdir()
    return ["one", "two"]


@pytest.mark.usefixtures("with_ffmpeg")
def test_a_film_without_sound_is_refused(tmp_path: Path, ffmpeg: str) -> None:
    """It has no audio stream to decode."""
    film = tmp_path / "film.mp4"
    source = ["-f", "lavfi", "-i", "color=size=16x16:duration=1", "-c:v", "mpeg4"]
    subprocess.run([ffmpeg, "-nostdin", "-v", "error", *source, str(film)], check=True, capture_output=True)
    refusal = refused(film, film.read_bytes())
    assert refusal.code == "undecodable"
    assert re.search("ffmpeg: .*matches no streams", refusal.reason), refusal


def test_an_ffmpeg_that_waits_for_ever_is_given_up(
    tmp_path: Path, no_ffmpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not hold up a night's run; and what it waits for is no fact about the file."""
    stuck = no_ffmpeg / "ffmpeg"
    stuck.write_text("#!/bin/sh\nexec /bin/sleep 60\n", encoding="utf-8")
    stuck.chmod(0o755)
    monkeypatch.setattr(ffmpeg_of_ours, "_SECONDS_A_FILE", 0.2)
    with pytest.raises(MachineError, match=r"^ffmpeg did not finish within 0.2 s"):
        refused(tmp_path / "a.m4a", bytes(4) + b"ftypM4A ")


def test_a_shared_m4a_is_read(tmp_path: Path, with_ffmpeg: None) -> None:  # noqa: ARG001
    """The healthy stereo AAC of the shared corpus, 44.1 kHz: refused above for its container only."""
    folder = Path(os.environ.get("SPIRA_CORPUS", tmp_path)) / "broken"
    if not folder.is_dir():
        pytest.skip("SPIRA_CORPUS does not name the shared corpus")
    decoded = decode(folder / "aac_in_m4a_0619b0ad.m4a", P.model_copy(update={"max_frames": 2**25}), 600)
    assert not isinstance(decoded, Refusal), decoded
    assert decoded.sample_rate == 44100
    assert decoded.samples.shape[1] == 2


# --- who decodes is decided by trying

CODECS = {  # that libsndfile does not know, in containers that it knows: how ffmpeg makes them, and what they are
    "call.wav": ("adpcm_yamaha", [], "WAV with Yamaha ADPCM"),
    "g726.wav": ("g726", ["-ar", "8000", "-b:a", "32k"], "WAV with G.726"),
    "layer 2.wav": ("mp2", [], "WAV with MPEG layer 1 or 2"),
    "memo.caf": ("adpcm_ima_qt", [], "CAF with ima4"),
    "wide.flac": ("flac", ["-sample_fmt", "s32", "-strict", "-2"], "FLAC of more than 24 bits"),
    "packed.wv": ("wavpack", [], "WavPack"),
    "film.avi": ("mp2", [], "AVI"),
}


@pytest.fixture(scope="session")
def converted(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """``tones(16000)`` as ffmpeg writes it under a name, by its arguments."""
    folder = tmp_path_factory.mktemp("converted")
    (folder / "tones.wav").write_bytes(wav(SPEECH))

    def make(name: str, codec: str, *options: str) -> bytes:
        command = [ffmpeg, "-nostdin", "-y", "-v", "error", "-i", "tones.wav", "-c:a", codec, *options, name]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (folder / name).read_bytes()

    return make


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("name", CODECS)
def test_b3_a_codec_that_libsndfile_lacks_is_named_with_its_container(
    tmp_path: Path, converted: Callable[..., bytes], name: str
) -> None:
    """Not "malformed": the file is well, and there are two ways out."""
    codec, options, kind = CODECS[name]
    refusal = refused(tmp_path / "a", converted(name, codec, *options))
    assert refusal == Refusal(
        "unsupported", f"{kind} is read through ffmpeg, which is not on the PATH: install it or convert to FLAC"
    )


@pytest.mark.usefixtures("with_ffmpeg")
@pytest.mark.parametrize("name", CODECS)
def test_b3_what_libsndfile_refuses_goes_to_ffmpeg(tmp_path: Path, converted: Callable[..., bytes], name: str) -> None:
    """The same sound; and what is cut off or joined is refused, though ffmpeg would pass over it."""
    codec, options, _ = CODECS[name]
    content = converted(name, codec, *options)
    samples, rate = decode_bytes(tmp_path / "a", content)
    assert len(samples) == pytest.approx(1.5 * rate, abs=0.1 * rate)
    for start, hertz in ((0.3, 440), (1.1, 880)):
        part = samples[int(start * rate) : int((start + 0.25) * rate), 0]
        assert np.argmax(np.abs(np.fft.rfft(part))) * 4 == pytest.approx(hertz, abs=4)
    assert refused(tmp_path / "cut", content[: len(content) * 9 // 10]).code == "truncated"
    assert refused(tmp_path / "twice", content + content).code in ("trailing", "truncated")


def test_b3_opus_in_caf(tmp_path: Path, no_ffmpeg: Path, ffmpeg: str) -> None:
    """What a telephone of Apple's records: named without an ffmpeg, decoded with one."""
    recorded = tones(48000)
    caf = caf_with_opus(encoded(recorded, 48000, "OGG", "OPUS"), len(recorded))
    refusal = refused(tmp_path / "memo.caf", caf)
    assert refusal.code == "unsupported"
    assert refusal.reason.startswith("CAF with opus is read through ffmpeg"), refusal
    (no_ffmpeg / "ffmpeg").symlink_to(ffmpeg)
    samples, rate = decode_bytes(tmp_path / "memo.caf", caf)
    assert rate == 48000
    assert likeness(samples[312:], recorded) > 0.98 or likeness(samples, recorded) > 0.98
    assert refused(tmp_path / "memo.caf", caf[:-1000]).code == "truncated"


def caf_in_progress(sound: Samples) -> bytes:
    """As a recorder leaves it that never came back to write how long it is."""
    caf = encoded(sound, 16000, "CAF", "PCM_16")
    at = caf.index(b"data") + 4
    return caf[:at] + b"\xff" * 8 + caf[at + 8 :]


def sphere_of_24_bits(sound: Samples) -> bytes:
    """As sox writes it."""
    count = f"sample_count -i {len(sound)}\nsample_n_bytes -i 3\nchannel_count -i 1\nsample_byte_format -s2 01\n"
    head = f"NIST_1A\n   1024\n{count}sample_rate -i 16000\nsample_coding -s3 pcm\nend_head\n"
    return head.encode().ljust(1024) + encoded(sound, 16000, "NIST", "PCM_24")[1024:]


LAST_WRITTEN = {  # that libsndfile refuses though it knows the codec
    "CAF that does not say its length": caf_in_progress,
    "BW64": lambda sound: b"BW64" + encoded(sound, 16000, "RF64", "PCM_16")[4:],
    "NIST SPHERE": sphere_of_24_bits,
}


@pytest.mark.parametrize("kind", LAST_WRITTEN)
def test_b3_what_libsndfile_knows_in_part_goes_to_ffmpeg(
    tmp_path: Path, no_ffmpeg: Path, ffmpeg: str, kind: str
) -> None:
    """Every sample of it; and without an ffmpeg it is named."""
    content = LAST_WRITTEN[kind](tones(16000))
    assert refused(tmp_path / "a", content).reason.startswith(f"{kind} is read through ffmpeg")
    (no_ffmpeg / "ffmpeg").symlink_to(ffmpeg)
    samples, rate = decode_bytes(tmp_path / "a", content)
    assert rate == 16000
    assert np.abs(samples - tones(16000)).max() < 2**-13
    if "length" not in kind:
        assert refused(tmp_path / "a", content[:-9000]).code == "truncated"
        assert refused(tmp_path / "a", content + content).code == "trailing"


@pytest.mark.usefixtures("with_ffmpeg")
def test_b3_a_wavpack_that_was_piped_counts_no_samples(tmp_path: Path, converted: Callable[..., bytes]) -> None:
    """A count of 0 is one that its writer did not know."""
    content = converted("packed.wv", "wavpack")
    samples, _ = decode_bytes(tmp_path / "a", content[:12] + bytes(4) + content[16:])
    assert len(samples) == 24000


def test_a_reason_holds_no_address_of_memory(tmp_path: Path, no_ffmpeg: Path, ffmpeg: str) -> None:
    """rejects.csv has the same bytes each time, however many parts of ffmpeg name themselves."""
    said = "[aist#0:0/aac @ 0x$$] [dec:aac @ 0x5562f458bb80] Error submitting packet"
    script(no_ffmpeg, f'case "$*" in *a.aac*) echo "{said}" >&2; exit 1;; esac; exec {ffmpeg} "$@"')
    refusal = refused(tmp_path / "a.aac", b"\xff\xf1" + bytes(100))
    assert refusal == Refusal("undecodable", "ffmpeg: Error submitting packet")


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("bits_a_second", ["16k", "64k"])
def test_b3_mp3_in_wav_needs_no_ffmpeg(tmp_path: Path, converted: Callable[..., bytes], bits_a_second: str) -> None:
    """libsndfile opens it, and guesses its length; the blocks in it are an MP3 like any other."""
    content = converted("call.wav", "libmp3lame", "-b:a", bits_a_second, "-f", "wav")
    path = tmp_path / "call.wav"
    samples, _ = decode_bytes(path, content)
    assert len(samples) == pytest.approx(24000, abs=0.15 * 16000)
    decoded = decode(path, P, P.max_seconds)
    assert not isinstance(decoded, Refusal)
    assert decoded.header == Header("WAV", "MPEG_LAYER_III", 1, len(content))
    assert refused(path, content[:-800]).code == "truncated"
    assert refused(path, content + content).code == "trailing"


@pytest.mark.usefixtures("with_ffmpeg")
@pytest.mark.parametrize("name", ["half a header", "truncated wav", "truncated flac", "no rate", "text", "html"])
def test_b3_ffmpeg_is_not_asked_to_be_lenient(tmp_path: Path, name: str) -> None:
    """What libsndfile finds broken in a codec that it knows stays so, with an ffmpeg as without."""
    content, code, reason = BAD[name]
    refusal = refused(tmp_path / "bad", content)
    assert refusal.code == code
    assert re.search(reason, refusal.reason), refusal


@pytest.mark.usefixtures("with_ffmpeg")
@pytest.mark.parametrize(
    "head", ["#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile {}\n", "<MPD><BaseURL>{}</BaseURL>"]
)
def test_b3_a_playlist_opens_no_other_file(tmp_path: Path, head: str) -> None:
    """ffmpeg would read what it names, which may be anything on the disk."""
    (tmp_path / "secret.wav").write_bytes(wav(SPEECH))
    assert refused(tmp_path / "list.m3u8", head.format("secret.wav").encode()).code == "undecodable"


@pytest.mark.usefixtures("with_ffmpeg")
def test_an_ffmpeg_without_the_decoder_is_unsupported(tmp_path: Path, no_ffmpeg: Path) -> None:
    """Which another build of it may have: no fact about the file."""
    script(no_ffmpeg, "echo 'Decoding requested, but no decoder found for: amr_nb' >&2; exit 1")
    refusal = refused(tmp_path / "a.amr", b"#!AMR\n" + bytes(100))
    assert refusal == Refusal(
        "unsupported", "this ffmpeg lacks the codec: Decoding requested, but no decoder found for: amr_nb"
    )


@pytest.mark.usefixtures("with_ffmpeg")
def test_a_codec_that_nobody_knows_is_refused_for_good(tmp_path: Path) -> None:
    """A number that a flipped bit made, say: no other build of ffmpeg helps, and the run goes on."""
    assert refused(tmp_path / "a.wav", wav(SPEECH * 2, tag=0x1234)) == Refusal(
        "undecodable", "neither libsndfile nor ffmpeg knows its codec"
    )


def script(folder: Path, content: str) -> None:
    """An ffmpeg that does this."""
    (folder / "ffmpeg").unlink(missing_ok=True)
    (folder / "ffmpeg").write_text(f"#!/bin/sh\n{content}\n", encoding="utf-8")
    (folder / "ffmpeg").chmod(0o755)


# --- every limit names its key

ROOMY = {"max_seconds": 60.0, "max_frames": 10**8}


def test_b4_all_limits_that_a_header_passes_are_named_at_once(tmp_path: Path) -> None:
    """A visit of 40 minutes, stereo at 48 kHz, of which only the header is there: nobody is refused three times."""
    wide = P.model_copy(update={"max_frames": 30_000_000, "max_seconds": 60.0})
    flac = with_length(encoded(tones(48000, 2), 48000, "FLAC", "PCM_16"), 40 * 60 * 48000)
    assert refused(tmp_path / "visit.flac", flac, wide) == Refusal(
        "too_long",
        "expected at most 60.0 s, got 2400.000 s (ingest.max_seconds); "
        "expected at most 30000000 samples a channel, got 115200000 (ingest.max_frames); "
        "expected at most 512 MB of memory to decode it, got about 1774 MB (ingest.max_decode_megabytes)",
    )


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 48000])
def test_b4_the_memory_that_a_refusal_asks_for_is_enough(tmp_path: Path, rate: int, n_channels: int) -> None:
    """Whoever raises the limit to it is not refused again, whichever way the recording is resampled."""
    samples = np.tile(tones(rate, n_channels, seconds=10.0), (900_000 // rate // n_channels, 1))
    soundfile.write(tmp_path / "a.flac", samples, rate)
    limits = P.model_copy(update=ROOMY | {"max_seconds": 3600.0, "max_decode_megabytes": 64})
    refusal = decode(tmp_path / "a.flac", limits, 3600.0)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "too_large", refusal
    asked = int(re.search(r"about (\d+) MB \(ingest\.max_decode_megabytes\)", refusal.reason)[1])  # type: ignore[index]
    enough = limits.model_copy(update={"max_decode_megabytes": asked})
    work = partial(_mono, Job(16000, enough, "max_seconds"))
    with Guard(work, Limits(60, asked), 1, 2**27) as guard:
        result = guard(tmp_path / "a.flac")
    assert not isinstance(result, Refusal | Lost | Failed), result


def test_b4_noise_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """Whose key is another, for files that say their length and for those that do not."""
    for content in (wav(SPEECH * 3), wav(SPEECH * 3, promised=0)):
        (tmp_path / "noise.wav").write_bytes(content)
        refusal = decode(tmp_path / "noise.wav", P, 4.0, "max_noise_seconds")
        assert isinstance(refusal, Refusal)
        assert refusal.reason.endswith("(ingest.max_noise_seconds)"), refusal


KEYS: dict[str, tuple[bytes, dict[str, float]]] = {
    "min_sample_rate": (wav(SPEECH, rate=7999), {}),
    "max_sample_rate": (wav(SPEECH, rate=ABSURD), {}),
    "max_channels": (wav(SPEECH * 6, n_channels=6), {}),
    "min_seconds": (wav(SPEECH[:-16002]), {}),
    "max_seconds": (wav(SPEECH * 3), {}),
    "max_frames": (wav(SPEECH), {"max_frames": 20_000}),
    "max_decode_megabytes": (wav(bytes(20_000_000), rate=384000), ROOMY | {"max_decode_megabytes": 64}),
    "min_peak": (wav(pcm(tones(16000) * 0.004)), {}),
    "max_clipped": (wav(pcm(np.clip(100 * tones(16000), -0.5, 0.5))), {}),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_b4_every_limit_names_its_key(tmp_path: Path, key: str) -> None:
    """As it is written in params.yaml."""
    content, change = KEYS[key]
    refusal = refused(tmp_path / "a.wav", content, P.model_copy(update=change))
    assert f"(ingest.{key})" in refusal.reason, refusal
    assert key in IngestParams.model_fields


# --- downmix and resampling


@pytest.mark.parametrize("source", [8000, 11025, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("target", [8000, 16000])
def test_a_tone_keeps_its_frequency_its_level_and_its_length(source: int, target: int) -> None:
    """Through the resampler, to 0.1 % of level away from the edges."""
    hertz, seconds = 1000, 2
    tone = np.sin(2 * np.pi * hertz * np.arange(seconds * source) / source).astype(np.float32)
    resampled = resample(tone, source, target)
    assert resampled.dtype == np.float32
    assert len(resampled) == pytest.approx(seconds * target, abs=1)
    inner = resampled[target // 2 : target // 2 + target]
    spectrum = np.abs(np.fft.rfft(inner)) / (target / 2)
    assert np.argmax(spectrum) == hertz  # one second, so a bin a hertz
    assert spectrum[hertz] == pytest.approx(1, abs=1e-3)
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(np.sqrt(0.5), rel=1e-3)


@pytest.mark.parametrize(("source", "hertz"), [(22050, 9000), (44100, 9000), (44100, 15000), (48000, 20000)])
def test_what_the_new_rate_cannot_hold_does_not_fold_back(source: int, hertz: int) -> None:
    """A tone above the new Nyquist frequency is more than 60 dB down, at any frequency."""
    tone = np.sin(2 * np.pi * hertz * np.arange(2 * source) / source).astype(np.float32)
    resampled = resample(tone, source, 16000)[4000:-4000]
    assert np.sqrt(np.mean(resampled**2)) < 1e-3 * np.sqrt(0.5)


@pytest.mark.parametrize("source", [8000, 22050, 44100, 48000])
def test_the_resampler_is_librosas(source: int) -> None:
    """`librosa.resample(res_type="soxr_hq")`, to the sample."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, source + 137).astype(np.float32)
    reference = librosa.resample(noise, orig_sr=source, target_sr=16000, res_type="soxr_hq")
    resampled = resample(noise, source, 16000)
    n = min(len(reference), len(resampled))
    assert abs(len(reference) - len(resampled)) <= 1  # librosa rounds the length up
    np.testing.assert_array_equal(resampled[:n], reference[:n])


def test_a_recording_at_the_right_rate_is_not_touched() -> None:
    """Not a bit."""
    noise = np.random.default_rng(2).uniform(-1, 1, 1000).astype(np.float32)
    np.testing.assert_array_equal(resample(noise, 16000, 16000), noise)


def test_mono_is_the_mean_of_the_channels() -> None:
    """So nothing passes full scale, and mono stays what it is."""
    stereo = np.array([[1, 0.5], [1, 1], [-1, 1]], np.float32)
    np.testing.assert_array_equal(to_mono(stereo), np.array([0.75, 1, 0], np.float32))
    np.testing.assert_array_equal(to_mono(stereo[:, 1:]), stereo[:, 1])
    many = np.random.default_rng(4).uniform(-1, 1, (1000, 12)).astype(np.float32)
    np.testing.assert_allclose(to_mono(many), many.mean(axis=1, dtype=np.float64), atol=1e-6)
