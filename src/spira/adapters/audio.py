"""Audio files -> samples, or the reason why not."""

import io
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from spira.adapters.headers import Header, header_of
from spira.adapters.streams import ends_inside_a_page, piped, promised_frames
from spira.core.audio import IngestParams, Refusal, most_frames, refuse_clipped, refuse_header, refuse_samples

_BY_FFMPEG = (  # what a file begins with, and what that is
    (rb"....(ftyp|moov|mdat)", "m4a, mp4 or 3gp"),
    (rb"\x1aE\xdf\xa3", "webm or Matroska"),
    (rb"#!AMR", "AMR"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "AAC"),
    (rb"0&\xb2u", "WMA"),
    (rb"OggS(?!.*(vorbis|OpusHead))", "Ogg, neither Vorbis nor Opus"),
)
_SECONDS_A_FILE = 120  # an ffmpeg that takes longer is stuck
_NO_SOUND = 7  # libsndfile's code for an MP3 without a block; its text speaks of a missing file
_BLOCK = 1152  # frames; one of MP3's
_READ = 64 * _BLOCK  # frames at once; each call costs as much as decoding 500
_NO_CODEC = ("WAV", "WAVEX")  # as most recordings are; no block can fail to decode
_STEP = np.float32(2**-15)  # of 16 bits, where full scale is 1
_WIDEST = 8  # bytes a sample of any format that does without its length
_HEADERS = 2**20  # bytes before the sound, at most, of a file that does without its length

Samples = tuple[NDArray[np.float32], int]  # (n_frames, n_channels), Hz


class Decoded(NamedTuple):
    """All that is read of one file."""

    samples: NDArray[np.float32]  # (n_frames, n_channels)
    sample_rate: int  # Hz
    header: Header
    comments: list[str]  # INFO of WAV, comments of FLAC and OGG; of people too, at times


def decode(path: Path, p: IngestParams, max_seconds: float) -> Decoded | Refusal:
    """A recording at its own rate, or a refusal by name.

    What a file is, its content says, and not its name. WAV, FLAC, OGG and MP3 are read by
    libsndfile; other containers go through an ``ffmpeg`` on the PATH where there is one.
    The header is judged before anything is decoded, so a file that claims years of sound
    costs nothing.
    """
    try:
        if not path.is_file():
            return Refusal("missing", _instead(path))
        n_bytes = path.stat().st_size
        if n_bytes == 0:
            return Refusal("empty", "the file has no bytes")
        return _decode(path, n_bytes, p, max_seconds)
    except OSError as error:
        return Refusal("undecodable", f"cannot be opened: {error.strerror}")
    except soundfile.LibsndfileError as error:
        kind = kind_of(path)
        if kind is None:
            why = "no sound in it" if error.code == _NO_SOUND else error.error_string
            return Refusal("undecodable", f"cannot be read as WAV, FLAC, OGG or MP3: {why}")
    if shutil.which("ffmpeg") is None:
        return Refusal(
            "unsupported", f"{kind} is read through ffmpeg, which is not on the PATH: install it or convert to FLAC"
        )
    samples = _decode_by_ffmpeg(path, p, max_seconds)
    return samples if isinstance(samples, Refusal) else Decoded(*samples, Header(kind, "", None, n_bytes), [])


def _instead(path: Path) -> str:
    """What there is where a file should be. Nobody opens a pipe, which would wait for ever."""
    if path.is_dir():
        return "a folder, not a file"
    if path.exists():
        return "a pipe, a socket or a device, not a file"
    return "no such file: a link that leads nowhere" if path.is_symlink() else "no such file"


def kind_of(path: Path) -> str | None:
    """The container that ffmpeg would open, by the first bytes; None for any other file."""
    with path.open("rb") as file:
        head = file.read(64)
    return next((kind for start, kind in _BY_FFMPEG if re.match(start, head, re.DOTALL)), None)


def _decode(path: Path, n_bytes: int, p: IngestParams, max_seconds: float) -> Decoded | Refusal:
    # by descriptor: given a name, libsndfile and soundfile guess from its suffix
    with path.open("rb") as raw, soundfile.SoundFile(raw.fileno(), closefd=False) as file:
        header, comments = header_of(file, n_bytes), list(file.copy_metadata().values())
        if header.container == "OGG" and ends_inside_a_page(path):
            return Refusal("truncated", "the file ends inside an Ogg page")
        if header.container != "MP3" and file.frames > 0:
            samples = _judged(file, p, max_seconds)
        else:
            samples = _of_unknown_length(path, file, p, max_seconds)
    return samples if isinstance(samples, Refusal) else Decoded(*samples, header, comments)


def _of_unknown_length(
    path: Path, probed: soundfile.SoundFile, p: IngestParams, max_seconds: float
) -> Samples | Refusal:
    """What is to be read otherwise than ``probed`` was opened."""
    if probed.format == "MP3":
        with piped(path) as pipe, soundfile.SoundFile(pipe, closefd=False) as file:
            return _judged(file, p, max_seconds)
    # a recorder that was cut off, or wrote to a pipe, left a length of 0 in front of its samples
    n_channels, longest = min(probed.channels, p.max_channels), most_frames(probed.samplerate, p, max_seconds)
    with path.open("rb") as raw:
        head = raw.read(_HEADERS + _WIDEST * n_channels * (1 + longest))
    with soundfile.SoundFile(io.BytesIO(head.replace(b"data" + bytes(4), b"data" + b"\xff" * 4, 1))) as file:
        return _judged(file, p, max_seconds)


def _judged(file: soundfile.SoundFile, p: IngestParams, max_seconds: float) -> Samples | Refusal:
    rate, n_channels = file.samplerate, file.channels
    longest = most_frames(rate, p, max_seconds)
    promised = promised_frames(file)
    refusal = refuse_header(longest if promised is None else promised, rate, n_channels, p, max_seconds)
    if refusal is not None:
        return refusal
    samples = _read(file, longest + 1)
    if promised is None:
        if len(samples) > longest:
            most = f"{max_seconds} s" if longest < p.max_frames else f"{longest} samples a channel"
            return Refusal("too_long", f"expected at most {most}, got more")
        refusal = refuse_header(len(samples), rate, n_channels, p, max_seconds)
    elif len(samples) < promised - (_BLOCK if file.format == "MP3" else 0):  # some count the block that has the count
        refusal = Refusal("truncated", f"the header promises {promised} frames, {len(samples)} can be decoded")
    refusal = refusal or refuse_samples(samples, p.min_peak) or refuse_clipped(samples, p.max_clipped)
    return refusal or (samples, rate)


def _read(file: soundfile.SoundFile, n_frames: int) -> NDArray[np.float32]:
    """Up to ``n_frames``, front to back; fewer where the file ends, or cannot be decoded further."""
    file.seekable = lambda: False  # soundfile seeks after every read, which fails at the end of a streamed FLAC
    samples = np.full((min(file.frames, n_frames), file.channels), np.nan, np.float32)
    read = _int16_reader(file) if file.subtype == "PCM_16" and file.format in _NO_CODEC else file.read
    held = 0
    try:
        while n_new := len(read(out=samples[held : held + _READ])):
            held += n_new
    except soundfile.LibsndfileError:  # in a block whose count is lost with it
        held = int(np.argmax(np.isnan(np.append(samples[:, 0], np.nan))))
    return samples[:held]


def _int16_reader(file: soundfile.SoundFile) -> Callable[..., NDArray[np.float32]]:
    """``file.read`` into float32, of integers: the same numbers in a third of the time libsndfile takes to divide."""
    block = np.empty((_READ, file.channels), np.int16)

    def read(out: NDArray[np.float32]) -> NDArray[np.float32]:
        integers = file.read(out=block[: len(out)])
        np.multiply(integers, _STEP, out=out[: len(integers)])
        return out[: len(integers)]

    return read


def _decode_by_ffmpeg(path: Path, p: IngestParams, max_seconds: float) -> Samples | Refusal:
    # one second more than allowed, so that too long a file is seen to be so and no more is decoded
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-threads",
        "1",
        "-protocol_whitelist",
        "file",
        "-i",
        f"file:{path}",
    ]
    command += ["-t", str(max_seconds + 1), "-fs", str(_HEADERS + 4 * (p.max_channels + 1) * p.max_frames)]
    command += ["-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-"]
    with tempfile.TemporaryFile() as sound:
        try:
            done = subprocess.run(command, check=False, stdout=sound, stderr=subprocess.PIPE, timeout=_SECONDS_A_FILE)
        except subprocess.TimeoutExpired:
            return Refusal("undecodable", f"ffmpeg was not done in {_SECONDS_A_FILE} s")
        errors = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            first = re.sub(r"^\[[^]]*\] ", "", errors.strip().partition("\n")[0])  # [demuxer @ an address of memory]
            return Refusal("undecodable", f"ffmpeg: {first.replace(str(path), 'the file') or 'failed'}")
        if re.search("partial file|ended prematurely", errors):
            return Refusal("truncated", "ffmpeg: the file ends before its sound")
        try:
            sound.seek(0)
            with soundfile.SoundFile(sound.fileno(), closefd=False) as file:
                return _judged(file, p, max_seconds)
        except soundfile.LibsndfileError as error:
            return Refusal("undecodable", f"ffmpeg wrote no audio: {error.error_string}")
