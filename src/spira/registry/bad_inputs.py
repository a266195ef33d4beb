"""Recordings that no package may score: the same bytes each time, of nobody."""

import io
import struct
import wave

import numpy as np

from spira.base.array_types import Floats

_RATE = 16_000


def bad_inputs() -> dict[str, bytes]:
    """By name, files that must be refused, each for another reason."""
    speechlike = 0.3 * np.sin(2 * np.pi * 180 * np.arange(2 * _RATE) / _RATE)
    sound = _wav(speechlike)
    return {
        "empty.wav": b"",
        "text.wav": b"this is no recording\n" * 40,
        "header_alone.wav": sound[:44],
        "cut_off.wav": sound[: len(sound) // 3],
        "silent.wav": _wav(np.zeros(2 * _RATE)),
        "too_short.wav": _wav(speechlike[: _RATE // 10]),
        "clipped.wav": _wav(np.sign(speechlike)),
        "not_finite.wav": _float_wav(np.where(np.arange(2 * _RATE) % 97 == 0, np.nan, speechlike)),
        "endless.wav": sound[:40] + struct.pack("<I", 0xFFFFFFF0) + sound[44:8044],
    }


def _wav(samples: Floats) -> bytes:
    """16 bits a sample, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE)
        out.writeframes(np.round(32767 * samples).astype("<i2").tobytes())
    return file.getvalue()


def _float_wav(samples: Floats) -> bytes:
    """32-bit floats, which may hold what is no number."""
    data = samples.astype("<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, _RATE, 4 * _RATE, 4, 32)
    return head + struct.pack("<4sI", b"data", len(data)) + data
