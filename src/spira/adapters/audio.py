"""Audio files -> samples, or the reason why not."""

import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from spira.core.audio import IngestParams, Refusal, refuse_header, refuse_samples

_BY_FFMPEG = (  # what a file begins with, and what that is
    (rb"....(ftyp|moov|mdat)", "m4a, mp4 or 3gp"),
    (rb"\x1aE\xdf\xa3", "webm or Matroska"),
    (rb"#!AMR", "AMR"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "AAC"),
    (rb"0&\xb2u", "WMA"),
    (rb"OggS", "Ogg, neither Vorbis nor Opus"),
)
_SECONDS_A_FILE = 120  # an ffmpeg that takes longer is stuck
_NO_LENGTH = 2**31 - 2**16  # bytes; sox, arecord and ffmpeg write this much or more where they cannot know
_NO_SOUND = 7  # libsndfile's code for an MP3 without a block; its text speaks of a missing file
_BLOCK = 1152  # frames; one of MP3's

Decoded = tuple[NDArray[np.float32], int]  # samples (n_frames, n_channels), Hz


def decode(path: Path, p: IngestParams, max_seconds: float) -> Decoded | Refusal:
    """The samples of a recording at its own rate, or a refusal by name.

    What a file is, its content says, and not its name. WAV, FLAC, OGG and MP3 are read by
    libsndfile; other containers go through an ``ffmpeg`` on the PATH where there is one.
    The header is judged before anything is decoded, so a file that claims years of sound
    costs nothing.
    """
    try:
        if not path.is_file():
            return Refusal("missing", "a folder, not a file" if path.is_dir() else "no such file")
        if path.stat().st_size == 0:
            return Refusal("empty", "the file has no bytes")
        return _decode(path, p, max_seconds)
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
    return _decode_by_ffmpeg(path, p, max_seconds)


def kind_of(path: Path) -> str | None:
    """The container that ffmpeg would open, by the first bytes; None for any other file."""
    with path.open("rb") as file:
        head = file.read(12)
    return next((kind for start, kind in _BY_FFMPEG if re.match(start, head, re.DOTALL)), None)


def _decode(path: Path, p: IngestParams, max_seconds: float) -> Decoded | Refusal:
    # by descriptor: given a name, libsndfile and soundfile guess from its suffix
    with path.open("rb") as raw, soundfile.SoundFile(raw.fileno(), closefd=False) as file:
        is_mp3 = file.format == "MP3"
        if not is_mp3 and file.frames > 0:
            return _judged(file, p, max_seconds)
    if is_mp3:
        with _piped(path) as pipe, soundfile.SoundFile(pipe, closefd=False) as file:
            return _judged(file, p, max_seconds)
    # a recorder that was cut off, or wrote to a pipe, left a length of 0 in front of its samples
    mended = path.read_bytes().replace(b"data" + bytes(4), b"data" + b"\xff" * 4, 1)
    with soundfile.SoundFile(io.BytesIO(mended)) as file:
        return _judged(file, p, max_seconds)


@contextmanager
def _piped(path: Path) -> Iterator[int]:
    """A pipe that gives an MP3.

    Where an MP3 does not say its length, libsndfile takes it from the size of the file and
    the rate of the first block, and stops there, early or late. In a pipe it reads to the end.
    """
    reader, writer = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), path.open("rb") as source, os.fdopen(writer, "wb") as sink:
            _skip_tags(source)
            shutil.copyfileobj(source, sink)

    thread = Thread(target=feed)
    thread.start()
    try:
        yield reader
    finally:
        os.close(reader)
        thread.join()


def _skip_tags(source: BinaryIO) -> None:
    """Past the ID3 tags: in a pipe, libsndfile finds no sound behind a picture of the cover."""
    start = 0
    while (head := source.read(10)).startswith(b"ID3"):
        start += 10 + sum(byte << 7 * place for place, byte in enumerate(reversed(head[6:])))
        source.seek(start)
    source.seek(start)


def _judged(file: soundfile.SoundFile, p: IngestParams, max_seconds: float) -> Decoded | Refusal:
    rate, n_channels, longest = file.samplerate, file.channels, int(max_seconds * file.samplerate)
    if re.search(r"Ogg ?: Last page lacks an end-of-stream bit.\s+Ogg ?: Junk after", file.extra_info):
        return Refusal("truncated", "the file ends inside an Ogg page")
    promised = _promised_frames(file)
    refusal = refuse_header(longest if promised is None else promised, rate, n_channels, p, max_seconds)
    if refusal is not None:
        return refusal
    samples = _read(file, longest + 1)
    if promised is None:
        if len(samples) > longest:
            return Refusal("too_long", f"expected at most {max_seconds} s, got more")
        refusal = refuse_header(len(samples), rate, n_channels, p, max_seconds)
    elif len(samples) < promised - (_BLOCK if file.format == "MP3" else 0):  # some count the block that has the count
        refusal = Refusal("truncated", f"the header promises {promised} frames, {len(samples)} can be decoded")
    return refusal or refuse_samples(samples, p.min_peak) or (samples, rate)


def _read(file: soundfile.SoundFile, n_frames: int) -> NDArray[np.float32]:
    """Up to ``n_frames``, front to back; fewer where the file ends, or cannot be decoded further."""
    file.seekable = lambda: False  # soundfile seeks after every read, which fails at the end of a streamed FLAC
    samples = np.empty((min(file.frames, n_frames), file.channels), np.float32)
    held = 0
    with suppress(soundfile.LibsndfileError):
        while n_new := len(file.read(out=samples[held : held + _BLOCK])):
            held += n_new
    return samples[:held]


def _promised_frames(file: soundfile.SoundFile) -> int | None:
    """Frames that the header promises, or None where its writer did not know.

    libsndfile shortens a file that ends too early without an error and tells only its log:
    ``data : 64000 (should be 32000)``.
    """
    n_frames: int = file.frames
    if n_frames == 2**63 - 1:
        return None
    sizes = re.search(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    promised, held = (int(sizes[1]), int(sizes[2])) if sizes else (0, 0)
    if promised >= _NO_LENGTH:
        return None
    return max(n_frames, promised * n_frames // held) if held else n_frames


def _decode_by_ffmpeg(path: Path, p: IngestParams, max_seconds: float) -> Decoded | Refusal:
    # one second more than allowed, so that too long a file is seen to be so and no more is decoded
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-t", str(max_seconds + 1)]
    command += ["-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=_SECONDS_A_FILE)
    except subprocess.TimeoutExpired:
        return Refusal("undecodable", f"ffmpeg was not done in {_SECONDS_A_FILE} s")
    errors = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        first = re.sub(r"^\[[^]]*\] ", "", errors.strip().partition("\n")[0])  # [demuxer @ an address of memory]
        return Refusal("undecodable", f"ffmpeg: {first.replace(str(path), path.name) or 'failed'}")
    if re.search("partial file|ended prematurely", errors):
        return Refusal("truncated", "ffmpeg: the file ends before its sound")
    try:
        with soundfile.SoundFile(io.BytesIO(done.stdout)) as file:
            return _judged(file, p, max_seconds)
    except soundfile.LibsndfileError as error:
        return Refusal("undecodable", f"ffmpeg wrote no audio: {error.error_string}")
