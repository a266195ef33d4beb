"""Recordings of nobody, by which a package is tried: to be answered, or refused; the same bytes at every making."""

import io
import struct
import wave

import numpy as np

from spira.base.array_types import Floats

_RATE = 16_000  # Hz, of those that are to be refused
_F0 = 140.0  # Hz; of a voice between a woman's and a man's


def golden_recordings() -> dict[str, bytes]:
    """By name, WAV files: one as from a study, one as from a browser, and one that is to be refused."""
    return {
        "phone.wav": _wav(_voice(16_000, 6.0, pauses=2), 16_000, n_channels=1),
        "browser.wav": _wav(_voice(44_100, 3.2, pauses=1), 44_100, n_channels=2),  # shorter than a window of 4 s
        "muted.wav": _wav(np.zeros(2 * 16_000), 16_000, n_channels=1),
    }


def bad_inputs() -> dict[str, bytes]:
    """By name, files that no package may score, each for another reason."""
    speechlike = 0.3 * np.sin(2 * np.pi * 180 * np.arange(2 * _RATE) / _RATE)
    sound = _wav(speechlike, _RATE, 1)
    return {
        "empty.wav": b"",
        "text.wav": b"this is no recording\n" * 40,
        "header_alone.wav": sound[:44],
        "cut_off.wav": sound[: len(sound) // 3],
        "silent.wav": _wav(np.zeros(2 * _RATE), _RATE, 1),
        "too_short.wav": _wav(speechlike[: _RATE // 10], _RATE, 1),
        "clipped.wav": _wav(np.sign(speechlike), _RATE, 1),
        "not_finite.wav": _float_wav(np.where(np.arange(2 * _RATE) % 97 == 0, np.nan, speechlike)),
        "endless.wav": sound[:40] + struct.pack("<I", 0xFFFFFFF0) + sound[44:8044],
    }


def _voice(sample_rate: int, seconds: float, pauses: int) -> Floats:
    """Harmonics that fall by 12 dB an octave, syllables of them, pauses, and a little noise behind all; shape (time,).

    It is no speech and means nothing: a score of it says that two machines compute alike.
    """
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    pitch = _F0 * (1 + 0.1 * np.sin(2 * np.pi * 0.4 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    tone = sum(np.sin(k * phase) / k**2 for k in range(1, 16))
    syllables = np.sin(np.pi * 3.0 * t) ** 2
    speaking = np.sin(np.pi * (pauses + 1) * t / seconds) ** 2 > 0.1
    noise = np.random.default_rng(0).normal(size=t.size)
    return np.asarray(0.3 * tone * syllables * speaking + 0.001 * noise)


def _wav(samples: Floats, sample_rate: int, n_channels: int) -> bytes:
    """16 bits a sample, the same in each channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(n_channels)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(np.repeat(np.round(32767 * samples).astype("<i2"), n_channels).tobytes())
    return file.getvalue()


def _float_wav(samples: Floats) -> bytes:
    """32-bit floats, which may hold what is no number."""
    data = samples.astype("<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, _RATE, 4 * _RATE, 4, 32)
    return head + struct.pack("<4sI", b"data", len(data)) + data
