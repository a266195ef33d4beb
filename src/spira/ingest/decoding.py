"""Audio files -> samples, or the reason why not."""

import errno
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from spira.base.errors import MachineError
from spira.ingest.acceptance import IngestParams, Refusal, most_frames, refuse_clipped, refuse_header, refuse_samples
from spira.ingest.containers.chunks import sound_chunk
from spira.ingest.containers.endings import MEND, behind_the_sound, missing_sound, nothing_but_notes
from spira.ingest.containers.flac import LengthlessFlac
from spira.ingest.containers.foreign import foreign_sound
from spira.ingest.containers.headers import Header, header_of
from spira.ingest.containers.mpeg import unheard_blocks
from spira.ingest.containers.ogg import refuse_pages
from spira.ingest.containers.streams import Recording, piped, promised_frames
from spira.ingest.ffmpeg import has_ffmpeg, through_ffmpeg

_OF_THE_NAME = (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)  # no disk's fault
_NO_SOUND = 7  # libsndfile's code for an MP3 without a block; its text speaks of a missing file
_BLOCK = 1152  # frames; one of MP3's
_READ = 64 * _BLOCK  # frames at once; each call costs as much as decoding 500
_NO_CODEC = ("WAV", "WAVEX")  # as most recordings are; no block can fail to decode
_SAYS_ITSELF = ("WAV", "WAVEX", "AIFF", "AU")  # libsndfile's log has the frames that are missing
_JUDGED_LATER = ("FLAC", "MP3")  # when it is known how far they can be decoded
_UNCHECKED = ("MAT4", "SDS")  # what follows the promised end is not heard, and not seen
_STEP = np.float32(2**-15)  # of 16 bits, where full scale is 1
_WIDEST = 8  # bytes a sample of any format that does without its length
_HEADERS = 2**20  # bytes before the sound, at most, of a file that does without its length
_LOOKED_AT = 2**28  # bytes of a file whose end is in doubt

Samples = tuple[NDArray[np.float32], int]  # (n_frames, n_channels), Hz


class Decoded(NamedTuple):
    """All that is read of one file."""

    samples: NDArray[np.float32]  # (n_frames, n_channels)
    sample_rate: int  # Hz
    header: Header
    comments: list[str]  # INFO of WAV, comments of FLAC and OGG; of people too, at times


class _Limits(NamedTuple):
    """What a recording may be, and what the key of its longest is called."""

    p: IngestParams
    max_seconds: float
    seconds_key: str


def decode(path: Path, p: IngestParams, max_seconds: float, seconds_key: str = "max_seconds") -> Decoded | Refusal:
    """A recording at its own rate, or a refusal by name.

    What a file is, its content says, and not its name. libsndfile tries first; what it knows nothing of goes through
    an ``ffmpeg`` on the PATH. Where there is none the refusal is ``unsupported``, which is no fact about the file.
    The header is judged before anything is decoded, so a file that claims years of sound costs nothing.

    Raises:
        OSError, MachineError: the machine failed, and nothing is known of the file.
    """
    try:
        if not path.is_file():
            return Refusal("missing", _instead(path))
        n_bytes = path.stat().st_size
        if n_bytes == 0:
            return Refusal("empty", "the file has no bytes")
        decoded = _decode(path, n_bytes, _Limits(p, max_seconds, seconds_key))
        if isinstance(decoded, Refusal) and decoded.code in ("truncated", "trailing", "undecodable"):
            _read_through(path)
    except OSError as error:
        if error.errno not in _OF_THE_NAME:
            raise
        return Refusal("undecodable", f"cannot be opened: {error.strerror}")
    return decoded


def _read_through(path: Path) -> None:
    """Raises OSError where it is the disk that ends a file's sound: libsndfile takes that for the end of the file."""
    with path.open("rb") as file:
        for _ in range(0, _LOOKED_AT, _HEADERS):
            file.read(_HEADERS)


def _instead(path: Path) -> str:
    """What there is where a file should be. Nobody opens a pipe, which would wait for ever."""
    if path.is_dir():
        return "a folder, not a file"
    if path.exists():
        return "a pipe, a socket or a device, not a file"
    return "no such file: a link that leads nowhere" if path.is_symlink() else "no such file"


def _decode(path: Path, n_bytes: int, limits: _Limits) -> Decoded | Refusal:
    try:
        return _decode_by_libsndfile(path, n_bytes, limits)
    except soundfile.LibsndfileError as error:
        foreign = foreign_sound(path)
        if foreign is None and (refusal := _refuse_end(path, Header("", "", None, n_bytes))):
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
    samples = through_ffmpeg(path, limits.max_seconds, partial(_judged, limits=limits, promised=foreign.promised))
    return samples if isinstance(samples, Refusal) else Decoded(*samples, Header(foreign.kind, "", None, n_bytes), [])


def _decode_by_libsndfile(path: Path, n_bytes: int, limits: _Limits) -> Decoded | Refusal:
    # by descriptor: given a name, libsndfile and soundfile guess from its suffix
    with path.open("rb") as raw, Recording(raw.fileno(), closefd=False) as file:
        header, comments = header_of(file, n_bytes), list(file.copy_metadata().values())
        samples = _refuse_end(path, header) or _samples(path, file, header, limits)
    return samples if isinstance(samples, Refusal) else Decoded(*samples, header, comments)


def _refuse_end(path: Path, header: Header) -> Refusal | None:
    """What the bytes after the promised sound rule out."""
    if header.container in _UNCHECKED:
        return Refusal("undecodable", f"{header.container} does not say where its sound ends: convert it to FLAC")
    if header.container in _JUDGED_LATER:
        return None
    with path.open("rb") as file:
        if header.container == "OGG":
            return refuse_pages(file, header.n_bytes)
        if words := behind_the_sound(file, header.n_bytes):
            return Refusal("trailing", words)
        words = None if header.container in _SAYS_ITSELF else missing_sound(file, header.n_bytes)
    return Refusal("truncated", words) if words else None


def _samples(path: Path, probed: Recording, header: Header, limits: _Limits) -> Samples | Refusal:
    if probed.format == "FLAC":
        return _flac(path, limits)
    if probed.subtype.startswith("MPEG"):
        return _mpeg(path, header, limits)
    if probed.frames > 0:
        return _judged(probed, limits, promised_frames(probed))
    return _cut_off(path, header, probed, limits)


def _flac(path: Path, limits: _Limits) -> Samples | Refusal:
    """Read to its end, whatever its header says of that: a second file, or more frames, would not be heard."""
    with path.open("rb", buffering=0) as raw:
        flac = LengthlessFlac(raw)
        with Recording(flac) as file:
            return _judged(file, limits, flac.promised, is_padded=flac.is_padded)


def _mpeg(path: Path, header: Header, limits: _Limits) -> Samples | Refusal:
    """MP3, as it is or inside a WAV."""
    with path.open("rb") as file:
        sound = sound_chunk(file, header.n_bytes)
        start, end = (sound.start, sound.start + sound.n_bytes) if sound else (0, header.n_bytes)
        if words := missing_sound(file, header.n_bytes):
            return Refusal("truncated", words)
        with piped(path, start, end) as pipe, Recording(pipe, closefd=False) as blocks:
            samples = _judged(blocks, limits, promised_frames(blocks))
        words = None if isinstance(samples, Refusal) else unheard_blocks(file, start, end)
    return Refusal("trailing", words) if words else samples


def _cut_off(path: Path, header: Header, probed: Recording, limits: _Limits) -> Samples | Refusal:
    """A recorder that was cut off, or wrote to a pipe, left a length of 0 in front of its samples."""
    longest = most_frames(probed.samplerate, limits.p, limits.max_seconds)
    n_channels = min(probed.channels, limits.p.max_channels)
    with path.open("rb") as raw:
        if nothing_but_notes(raw, header.n_bytes):
            return Refusal("empty", "a header and no samples")
        raw.seek(0)
        head = raw.read(_HEADERS + _WIDEST * n_channels * (1 + longest))
    if head.startswith(b"RF64"):  # says it twice
        head = b"RIFF" + head[4:]
    with Recording(io.BytesIO(head.replace(b"data" + bytes(4), b"data" + b"\xff" * 4, 1))) as file:
        return _judged(file, limits, promised_frames(file))


def _judged(
    file: Recording, limits: _Limits, promised: int | None, is_padded: Callable[[], bool] = lambda: True
) -> Samples | Refusal:
    rate, n_channels = file.samplerate, file.channels
    p, longest = limits.p, most_frames(rate, limits.p, limits.max_seconds)
    refusal = refuse_header(promised, rate, n_channels, *limits)
    if refusal is not None:
        return refusal
    samples, broke = _read(file, 1 + (longest if promised is None else promised))
    if promised is None and len(samples) > longest:
        return _too_long(longest, limits)
    if promised is None:
        refusal = refuse_header(len(samples), rate, n_channels, *limits)
    elif len(samples) < promised - (_BLOCK if file.format == "MP3" else 0):  # some count the block that has the count
        refusal = Refusal("truncated", f"the header promises {promised} frames, {len(samples)} can be decoded")
    elif len(samples) > promised:
        refusal = Refusal("trailing", f"the header promises {promised} frames, and more follow: {MEND}")
    if refusal is None and broke and not is_padded():
        follows = f"what follows frame {len(samples)} cannot be decoded"
        refusal = Refusal("truncated", follows) if promised is None else Refusal("trailing", follows)
    refusal = refusal or refuse_samples(samples, p.min_peak) or refuse_clipped(samples, p.max_clipped)
    return refusal or (samples, rate)


def _too_long(longest: int, limits: _Limits) -> Refusal:
    """Of a file that does not say how much more there is."""
    if longest < limits.p.max_frames:
        return Refusal("too_long", f"expected at most {limits.max_seconds} s, got more (ingest.{limits.seconds_key})")
    return Refusal("too_long", f"expected at most {longest} samples a channel, got more (ingest.max_frames)")


def _read(file: Recording, n_frames: int) -> tuple[NDArray[np.float32], bool]:
    """Up to ``n_frames``, front to back: fewer where the file ends, or, which is the second, cannot be decoded on."""
    samples = np.full((min(file.frames, n_frames), file.channels), np.nan, np.float32)
    read = _int16_reader(file) if file.subtype == "PCM_16" and file.format in _NO_CODEC else file.read
    held = 0
    try:
        while n_new := len(read(out=samples[held : held + _READ])):
            held += n_new
    except soundfile.LibsndfileError:  # in a block whose count is lost with it
        return samples[: int(np.argmax(np.isnan(np.append(samples[:, 0], np.nan))))], True
    return samples[:held], False


def _int16_reader(file: Recording) -> Callable[..., NDArray[np.float32]]:
    """``file.read`` into float32, of integers: the same numbers in a third of the time libsndfile takes to divide."""
    block = np.empty((_READ, file.channels), np.int16)

    def read(out: NDArray[np.float32]) -> NDArray[np.float32]:
        integers = file.read(out=block[: len(out)])
        np.multiply(integers, _STEP, out=out[: len(integers)])
        return out[: len(integers)]

    return read
