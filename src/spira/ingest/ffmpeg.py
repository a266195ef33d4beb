"""A recording that only ffmpeg decodes -> a pipe of its samples; and where it fails, who is to blame.

No sound touches a disk on the way: a folder for temporary files may be small, and that says nothing of a recording.
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
from spira.ingest.containers.streams import Recording

Result = TypeVar("Result")

_SECONDS_A_FILE = 120  # an ffmpeg that takes longer waits for something: the time it may compute is limited before
_DEMUXERS = (  # of sound; none that opens other files, as playlists do
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,loas,matroska,mov,mpc,mpc8,mpeg,mpegts,"
    "nistsphere,nut,ogg,rm,sox,tta,w64,wav,wv"
)
_MOST_WORDS = 2**16  # bytes of what it says
_NOT_DECODED = "Error submitting packet to decoder|Error while decoding"  # once at the end, as of MP3, is no loss
_OF_THE_MACHINE = (  # what the kernel denies it; the file was opened by us just before
    *(errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT),
)
_BY_A_FILE = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)  # signals, if it works else
_N_WELL = 4000  # samples
_WELL = (  # a WAV: half a second of one tone at 8 kHz
    b"RIFF" + struct.pack("<I", 36 + 2 * _N_WELL) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    + b"data" + struct.pack("<I", 2 * _N_WELL) + struct.pack("<4h", 0, 2**14, 0, -(2**14)) * (_N_WELL // 4)
)  # fmt: skip
_WELL_DECODED = struct.pack(">4f", 0, 0.5, 0, -0.5) * (_N_WELL // 4)


def has_ffmpeg() -> bool:
    """Whether one is on the PATH."""
    return shutil.which("ffmpeg") is not None


def through_ffmpeg(path: Path, max_seconds: float, judge: Callable[[Recording], Result | Refusal]) -> Result | Refusal:
    """What ``judge`` says of the samples, or what ffmpeg says of the file.

    Raises:
        MachineError: it cannot start, was killed, waits for something, or lacks what has nothing to do with the file.
    """
    process, words, stuck = _started(path, max_seconds), bytearray(), Event()

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
            result = _judged(process.stdout.fileno(), judge)
            if os.read(process.stdout.fileno(), 1):  # refused before its end: what ffmpeg says to that is no matter
                return _believed(result)
            process.wait()
        finally:
            process.kill()
            clock.cancel()
            listener.join()
    if stuck.is_set():
        raise MachineError(f"ffmpeg was not done in {_SECONDS_A_FILE} s, most of which it waited")
    return _believed(
        _failure(process.returncode, words.decode(errors="replace").replace(str(path), "the file")) or result
    )


def _believed(result: Result | Refusal) -> Result | Refusal:
    """What an ffmpeg that works says of a file, as it is."""
    if isinstance(result, Refusal) and result.code in ("undecodable", "too_large", "truncated"):
        _require_one_that_works(result.reason)
    return result


def _command(source: str, max_seconds: float) -> list[str]:
    # one second more than allowed, so that too long a file is seen to be so and no more is decoded
    command = [*("ffmpeg", "-nostdin", "-v", "error", "-threads", "1"), "-protocol_whitelist", source.partition(":")[0]]
    command += ["-format_whitelist", _DEMUXERS, "-i", source, "-t", str(max_seconds + 1)]
    return [*command, "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "-"]


def _started(path: Path, max_seconds: float) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(_command(f"file:{path}", max_seconds), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise MachineError(f"ffmpeg cannot start: {error.strerror}") from error


def _require_one_that_works(reason: str) -> None:
    """Raises MachineError where ffmpeg cannot decode what is known to be well either: then it is no file's fault."""
    command = _command("pipe:0", 1.0)
    try:
        done = subprocess.run(command, input=_WELL, capture_output=True, timeout=_SECONDS_A_FILE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"ffmpeg does not work here: {error}") from error
    if done.returncode or not done.stdout.endswith(_WELL_DECODED):
        raise MachineError(f"this ffmpeg fails at a sound that is known to be well, too: {reason}")


def _listen(pipe: BinaryIO, words: bytearray) -> None:
    """Keeps the first of what it says, and lets it go on."""
    while piece := pipe.read(_MOST_WORDS):
        words += piece[: _MOST_WORDS - len(words)]


def _judged(pipe: int, judge: Callable[[Recording], Result | Refusal]) -> Result | Refusal:
    try:
        with Recording(pipe, closefd=False) as file:
            return judge(file)
    except soundfile.LibsndfileError as error:
        return Refusal("undecodable", f"ffmpeg wrote no audio: {error.error_string}")


def _failure(status: int, words: str) -> Refusal | None:
    """What its exit status and its words mean for the file; None where it decoded all of it."""
    first = re.sub(r"^(\[[^]]*\] )+", "", words.strip().partition("\n")[0])  # [demuxer @ an address of memory]
    if status in (126, 127):  # by a shell, or the loader of its libraries
        raise MachineError(f"ffmpeg cannot start: {first or f'exit status {status}'}")
    if status in (-signal.SIGKILL, -signal.SIGBUS):
        raise MachineError(f"ffmpeg was killed ({signal.Signals(-status).name}), as is done where memory is gone")
    if status == -signal.SIGXCPU:
        return Refusal("undecodable", "ffmpeg was not done in the time that ingest.max_decode_seconds gives it")
    if status < 0 and -status not in _BY_A_FILE:
        raise MachineError(f"ffmpeg was killed ({signal.Signals(-status).name})")
    if status < 0:
        return Refusal("undecodable", f"ffmpeg crashed ({signal.Signals(-status).name})")
    if status and any(os.strerror(number) in words for number in _OF_THE_MACHINE):
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
