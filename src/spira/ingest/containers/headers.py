"""Header of a recording's file: container, encoding, channels and size."""

from dataclasses import dataclass

import soundfile


@dataclass(frozen=True)
class Header:
    """How a file is stored, by its content and never its name; None or "" where it does not say."""

    container: str  # such as WAV, FLAC, or "m4a, mp4 or 3gp"
    encoding: str  # such as PCM_16, which is bit depth and codec; "" where only ffmpeg knows
    n_channels: int | None
    n_bytes: int  # of the file


def read_header(file: soundfile.SoundFile, n_bytes: int) -> Header:
    """The header as libsndfile reads it from an open file."""
    return Header(file.format, file.subtype, file.channels, n_bytes)
