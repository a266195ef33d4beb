"""Decode through ffmpeg, by a pipe; and where that fails, find whether the file or the machine is the cause.

No sound is written to a disk: a folder for temporary files may be too small, which says nothing about a recording.
"""

import errno
import os
import re
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread, Timer
from typing import BinaryIO, TypeVar

import soundfile

from spira.base.errors import MachineError
from spira.ingest.acceptance import Refusal
from spira.ingest.containers.streams import SoundFile

Result = TypeVar("Result")

_SECONDS_A_FILE = 120  # an ffmpeg that takes longer waits for something: the time it may compute is limited before
_DEMUXERS = (  # of sound; none that opens other files, as playlists do
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,loas,matroska,mov,mpc,mpc8,mpeg,mpegts,"
    "nistsphere,nut,ogg,rm,sox,tta,w64,wav,wv"
)
_MOST_WORDS = 2**16  # bytes of what it says
_NOT_DECODED = "Error submitting packet to decoder|Error while decoding"  # once at the end, as of MP3, is no loss
_MACHINE_ERRORS = (  # what the kernel denies it; the file was opened by us just before
    *(errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT),
)
_FILE_SIGNALS = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
)  # of a crash, which a file may cause
_N_SOUND = 4000  # samples
_SOUND = (  # a WAV: half a second of one tone at 8 kHz
    b"RIFF" + struct.pack("<I", 36 + 2 * _N_SOUND) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    + b"data" + struct.pack("<I", 2 * _N_SOUND) + struct.pack("<4h", 0, 2**14, 0, -(2**14)) * (_N_SOUND // 4)
)  # fmt: skip
_SOUND_DECODED = struct.pack(">4f", 0, 0.5, 0, -0.5) * (_N_SOUND // 4)


def has_ffmpeg() -> bool:
    """Whether an ffmpeg is on the PATH."""
    return shutil.which("ffmpeg") is not None


def through_ffmpeg(path: Path, max_seconds: float, read: Callable[[SoundFile], Result | Refusal]) -> Result | Refusal:
    """The result of ``read`` on the decoded file, or the refusal that ffmpeg's messages mean.

    Raises:
        MachineError: ffmpeg cannot start, was killed, hangs, or fails for a reason that is not the file's.
    """
    with path.open("rb") as file:
        return _through_ffmpeg(file.fileno(), max_seconds, read)


def _through_ffmpeg(file: int, max_seconds: float, read: Callable[[SoundFile], Result | Refusal]) -> Result | Refusal:
    process, words, stuck = _start(file, max_seconds), bytearray(), Event()

    def give_up() -> None:
        stuck.set()
        process.kill()

    with process:
        assert process.stdout
        assert process.stderr
        listener, clock = Thread(target=_listen, args=(process.stderr, words)), Timer(_SECONDS_A_FILE, give_up)
        listener.start()
        clock.start()
        try:
            result = _read_pipe(process.stdout.fileno(), read)
            if os.read(process.stdout.fileno(), 1):  # refused before its end, of which ffmpeg complains
                return _confirmed(result)
            process.wait()
        finally:
            process.kill()
            clock.cancel()
            listener.join()
    if stuck.is_set():
        raise MachineError(f"ffmpeg did not finish within {_SECONDS_A_FILE} s, most of which it spent waiting")
    said = words.decode(errors="replace").replace(_path(file), "the file")
    return _confirmed(_failure(process.returncode, said) or result)


def _confirmed(result: Result | Refusal) -> Result | Refusal:
    """The result, where this ffmpeg works; raises MachineError where a refusal may be its own fault."""
    if isinstance(result, Refusal) and result.code in ("undecodable", "too_large", "truncated"):
        _require_working_ffmpeg(result.reason)
    return result


def _command(source: str, max_seconds: float) -> list[str]:
    # one second more than allowed, so that too long a file is seen to be so and no more is decoded
    command = [*("ffmpeg", "-nostdin", "-v", "error", "-threads", "1"), "-protocol_whitelist", source.partition(":")[0]]
    command += ["-format_whitelist", _DEMUXERS, "-i", source, "-t", str(max_seconds + 1)]
    return [*command, "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "-"]


def _path(file: int) -> str:
    """An open file by a name that says nothing: by its ending ffmpeg would guess what is in it."""
    return f"/dev/fd/{file}"


def _start(file: int, max_seconds: float) -> subprocess.Popen[bytes]:
    command, pipe = _command(f"file:{_path(file)}", max_seconds), subprocess.PIPE
    try:
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, pass_fds=[file])
    except OSError as error:
        raise MachineError(f"ffmpeg cannot start: {error.strerror}") from error


def _require_working_ffmpeg(reason: str) -> None:
    """Raises MachineError where ffmpeg cannot decode a known good sound either: then no file is at fault."""
    command = _command("pipe:0", 1.0)
    try:
        result = subprocess.run(command, input=_SOUND, capture_output=True, timeout=_SECONDS_A_FILE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"ffmpeg does not work here: {error}") from error
    if result.returncode or not result.stdout.endswith(_SOUND_DECODED):
        raise MachineError(f"this ffmpeg also fails on a sound that is known to be good: {reason}")


def _listen(pipe: BinaryIO, words: bytearray) -> None:
    """Keeps the first bytes of ffmpeg's messages, and reads the rest so that it can go on."""
    while piece := pipe.read(_MOST_WORDS):
        words += piece[: _MOST_WORDS - len(words)]


def _read_pipe(pipe: int, read: Callable[[SoundFile], Result | Refusal]) -> Result | Refusal:
    try:
        with SoundFile(pipe, closefd=False) as file:
            return read(file)
    except soundfile.LibsndfileError as error:
        return Refusal("undecodable", f"ffmpeg wrote no audio: {error.error_string}")


def _failure(status: int, words: str) -> Refusal | None:
    """What ffmpeg's exit status and messages mean for the file; None where it decoded all of it."""
    first = re.sub(r"^(\[[^]]*\] )+", "", words.strip().partition("\n")[0])  # [demuxer @ an address of memory]
    if status in (126, 127):  # by a shell, or the loader of its libraries
        raise MachineError(f"ffmpeg cannot start: {first or f'exit status {status}'}")
    if status in (-signal.SIGKILL, -signal.SIGBUS):
        raise MachineError(
            f"ffmpeg was killed ({signal.Signals(-status).name}), as the kernel does where memory runs out"
        )
    if status == -signal.SIGXCPU:
        return Refusal("undecodable", "ffmpeg did not finish in the time that ingest.max_decode_seconds allows")
    if status < 0 and -status not in _FILE_SIGNALS:
        raise MachineError(f"ffmpeg was killed ({signal.Signals(-status).name})")
    if status < 0:
        return Refusal("undecodable", f"ffmpeg crashed ({signal.Signals(-status).name})")
    if status and any(os.strerror(number) in words for number in _MACHINE_ERRORS):
        raise MachineError(f"ffmpeg: {first}")
    if status and os.strerror(errno.ENOMEM) in words:
        return Refusal("too_large", "ffmpeg needed more memory than ingest.max_decode_megabytes allows")
    if status and "no decoder found for: none" in words:
        return Refusal("undecodable", "neither libsndfile nor ffmpeg knows its codec")
    if status and re.search("no decoder found|Unknown decoder", words):
        return Refusal("unsupported", f"this ffmpeg lacks the codec: {first}")
    if status:
        return Refusal("undecodable", f"ffmpeg: {first or 'failed'}")
    if re.search("partial file|ended prematurely", words):
        return Refusal("truncated", "ffmpeg: the file ends before its sound")
    if len(re.findall(_NOT_DECODED, words)) > 1 or "Error during demuxing" in words:
        return Refusal("truncated", f"ffmpeg left out some of the sound: {first}")
    return None
