"""What a recording's file says before any sound is heard: how it was stored, and how large it is."""

from dataclasses import dataclass

import soundfile


@dataclass(frozen=True)
class Header:
    """Of a file that was accepted, by its content and never its name; None or "" is what it does not say."""

    container: str  # such as WAV, FLAC, or "m4a, mp4 or 3gp"
    encoding: str  # such as PCM_16, which is bit depth and codec; "" where ffmpeg alone can tell
    n_channels: int | None
    n_bytes: int  # of the whole file


def header_of(file: soundfile.SoundFile, n_bytes: int) -> Header:
    """As libsndfile tells it of an open file."""
    return Header(file.format, file.subtype, file.channels, n_bytes)
