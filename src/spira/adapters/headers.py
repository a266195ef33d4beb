"""What a recording's file says before any sound is heard: how it was stored, and how large it is."""

from dataclasses import dataclass
from pathlib import Path

import soundfile

from spira.adapters.audio import kind_of


@dataclass(frozen=True)
class Header:
    """Of a file that was accepted; None or "" is what it does not say."""

    container: str  # such as WAV, FLAC, or "m4a, mp4 or 3gp"
    encoding: str  # such as PCM_16, which is bit depth and codec; "" where ffmpeg alone can tell
    n_channels: int | None
    n_bytes: int  # of the whole file


def read_header(path: Path) -> Header:
    """By the file's content, never its name; what libsndfile cannot open is known by its container alone."""
    n_bytes = path.stat().st_size
    try:
        with path.open("rb") as raw, soundfile.SoundFile(raw.fileno(), closefd=False) as file:
            return Header(file.format, file.subtype, file.channels, n_bytes)
    except soundfile.LibsndfileError:
        return Header(kind_of(path) or "", "", None, n_bytes)
