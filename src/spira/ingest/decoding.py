"""Decode audio files: samples, or the reason why a file is refused."""

import errno
import io
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from spira.base.errors import MachineError
from spira.ingest.acceptance import IngestParams, Refusal, most_frames
from spira.ingest.containers.chunks import sound_chunk
from spira.ingest.containers.endings import behind_the_sound, missing_sound, nothing_but_notes
from spira.ingest.containers.flac import LengthlessFlac
from spira.ingest.containers.foreign import foreign_sound
from spira.ingest.containers.headers import Header, read_header
from spira.ingest.containers.mpeg import blocks_left_out
from spira.ingest.containers.ogg import refuse_pages
from spira.ingest.containers.streams import SoundFile, piped, promised_frames
from spira.ingest.ffmpeg import has_ffmpeg, through_ffmpeg
from spira.ingest.samples import RecordingLimits, Samples, read_samples

_NAME_ERRORS = (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)  # no disk's fault
_NO_SOUND = 7  # libsndfile's code for an MP3 without a block; its text speaks of a missing file
_SAYS_ITSELF = ("WAV", "WAVEX", "AIFF", "AU")  # libsndfile's log has the frames that are missing
_CHECKED_LATER = ("FLAC", "MP3")  # when it is known how far they can be decoded
_UNCHECKED = ("MAT4", "SDS")  # what follows the promised end cannot be found
_WIDEST = 8  # bytes a sample of any format that does without its length
_HEADERS = 2**20  # bytes before the sound, at most, of a file that does without its length
_READ_THROUGH = 2**28  # bytes of a refused file, read again to see whether the disk failed


class Decoded(NamedTuple):
    """The contents of one file."""

    samples: NDArray[np.float32]  # (n_frames, n_channels)
    sample_rate: int  # Hz
    header: Header
    comments: list[str]  # INFO of WAV, comments of FLAC and OGG; they may name people


def decode(path: Path, p: IngestParams, max_seconds: float, seconds_key: str = "max_seconds") -> Decoded | Refusal:
    """Decodes a recording at its own rate, or refuses it with a reason.

    The format is taken from the content, not from the name. libsndfile tries first; a format that it does not know
    goes through an ``ffmpeg`` on the PATH. Where there is none the refusal is ``unsupported``, which says nothing of
    the file. The header is checked before anything is decoded, so a file that claims years of sound costs nothing.

    Raises:
        OSError, MachineError: the machine failed, and nothing is known about the file.
    """
    try:
        if not path.is_file():
            return Refusal("missing", _not_a_file(path))
        n_bytes = path.stat().st_size
        if n_bytes == 0:
            return Refusal("empty", "the file has no bytes")
        decoded = _decode(path, n_bytes, RecordingLimits(p, max_seconds, seconds_key))
        if isinstance(decoded, Refusal) and decoded.code in ("truncated", "trailing", "undecodable"):
            _read_through(path)
    except OSError as error:
        if error.errno not in _NAME_ERRORS:
            raise
        return Refusal("undecodable", f"cannot be opened: {error.strerror}")
    return decoded


def _read_through(path: Path) -> None:
    """Raises OSError where the disk cannot read the file: libsndfile takes that for the end of the file."""
    with path.open("rb") as file:
        for _ in range(0, _READ_THROUGH, _HEADERS):
            file.read(_HEADERS)


def _not_a_file(path: Path) -> str:
    """What is there in place of a file, in words. A pipe is never opened: that would wait for ever."""
    if path.is_dir():
        return "a folder, not a file"
    if path.exists():
        return "a pipe, a socket or a device, not a file"
    return "no such file: a link that leads nowhere" if path.is_symlink() else "no such file"


def _decode(path: Path, n_bytes: int, limits: RecordingLimits) -> Decoded | Refusal:
    try:
        return _decode_by_libsndfile(path, n_bytes, limits)
    except soundfile.LibsndfileError as error:
        foreign = foreign_sound(path)
        if foreign is None and (refusal := _refuse_what_follows(path, Header("", "", None, n_bytes))):
            return refusal  # a second WAV behind the first, which libsndfile takes for a chunk and calls no WAV
        if foreign is None:
            if "resource fork" in error.error_string:
                raise MachineError(
                    f"libsndfile takes `._` or `.AppleDouble` in {Path.cwd()} for a part of it: remove them"
                ) from error
            why = "no sound in it" if error.code == _NO_SOUND else error.error_string
            return Refusal("undecodable", f"cannot be read as WAV, FLAC, OGG or MP3: {why}")
    if foreign.refusal is not None:
        return foreign.refusal
    if not has_ffmpeg():
        way_out = "is read through ffmpeg, which is not on the PATH: install it or convert to FLAC"
        return Refusal("unsupported", f"{foreign.kind} {way_out}")
    samples = through_ffmpeg(path, limits.max_seconds, partial(read_samples, limits=limits, promised=foreign.promised))
    return samples if isinstance(samples, Refusal) else Decoded(*samples, Header(foreign.kind, "", None, n_bytes), [])


def _decode_by_libsndfile(path: Path, n_bytes: int, limits: RecordingLimits) -> Decoded | Refusal:
    # by descriptor: given a name, libsndfile and soundfile guess from its suffix
    with path.open("rb") as raw, SoundFile(raw.fileno(), closefd=False) as file:
        header, comments = read_header(file, n_bytes), list(file.copy_metadata().values())
        samples = _refuse_what_follows(path, header) or _samples(path, file, header, limits)
    return samples if isinstance(samples, Refusal) else Decoded(*samples, header, comments)


def _refuse_what_follows(path: Path, header: Header) -> Refusal | None:
    """Refuses a file for the bytes after its promised sound."""
    if header.container in _UNCHECKED:
        return Refusal("undecodable", f"{header.container} does not say where its sound ends: convert it to FLAC")
    if header.container in _CHECKED_LATER:
        return None
    with path.open("rb") as file:
        if header.container == "OGG":
            return refuse_pages(file, header.n_bytes)
        if words := behind_the_sound(file, header.n_bytes):
            return Refusal("trailing", words)
        words = None if header.container in _SAYS_ITSELF else missing_sound(file, header.n_bytes)
    return Refusal("truncated", words) if words else None


def _samples(path: Path, probed: SoundFile, header: Header, limits: RecordingLimits) -> Samples | Refusal:
    if probed.format == "FLAC":
        return _flac(path, limits)
    if probed.subtype.startswith("MPEG"):
        return _mpeg(path, header, limits)
    if probed.frames > 0:
        return read_samples(probed, limits, promised_frames(probed))
    return _cut_off(path, header, probed, limits)


def _flac(path: Path, limits: RecordingLimits) -> Samples | Refusal:
    """Reads a FLAC to its end, whatever its header says: else a second file, or more frames, would be lost."""
    with path.open("rb", buffering=0) as raw:
        flac = LengthlessFlac(raw)
        with SoundFile(flac) as file:
            return read_samples(file, limits, flac.promised, is_padded=flac.is_padded)


def _mpeg(path: Path, header: Header, limits: RecordingLimits) -> Samples | Refusal:
    """Reads an MP3, as it is or inside a WAV."""
    with path.open("rb") as file:
        sound = sound_chunk(file, header.n_bytes)
        start, end = (sound.start, sound.start + sound.n_bytes) if sound else (0, header.n_bytes)
        if words := missing_sound(file, header.n_bytes):
            return Refusal("truncated", words)
        with piped(path, start, end) as pipe, SoundFile(pipe, closefd=False) as blocks:
            samples = read_samples(blocks, limits, promised_frames(blocks))
        words = None if isinstance(samples, Refusal) else blocks_left_out(file, start, end)
    return Refusal("trailing", words) if words else samples


def _cut_off(path: Path, header: Header, probed: SoundFile, limits: RecordingLimits) -> Samples | Refusal:
    """Reads a file with a length of 0, as a recorder leaves that was cut off or wrote to a pipe."""
    longest = most_frames(probed.samplerate, limits.p, limits.max_seconds)
    n_channels = min(probed.channels, limits.p.max_channels)
    with path.open("rb") as raw:
        if nothing_but_notes(raw, header.n_bytes):
            return Refusal("empty", "a header and no samples")
        raw.seek(0)
        head = raw.read(_HEADERS + _WIDEST * n_channels * (1 + longest))
    if head.startswith(b"RF64"):  # says it twice
        head = b"RIFF" + head[4:]
    with SoundFile(io.BytesIO(head.replace(b"data" + bytes(4), b"data" + b"\xff" * 4, 1))) as file:
        return read_samples(file, limits, promised_frames(file))
