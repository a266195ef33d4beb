"""A waveform -> what a page shows of it: its envelope, and a spectrogram as a PNG file's bytes."""

import struct
import zlib
from html import escape

import numpy as np

from spira.base.array_types import Floats

N_PEAKS = 240  # of an envelope
_WINDOW_SECONDS = 0.032
_RANGE_DB = 70.0  # from black to white; what is quieter is black
_ROWS, _COLUMNS = 64, 320  # pixels of a spectrogram
_WIDTH, _HEIGHT = 480, 64  # of an envelope


def loudest_samples(samples: Floats) -> Floats:
    """The largest |sample| in each of up to 240 equal parts, in [0, 1] of full scale."""
    parts = np.array_split(np.abs(samples), min(N_PEAKS, samples.size))
    return np.array([part.max() for part in parts])


def envelope(title: str, peaks: Floats, seconds: float) -> str:
    """SVG of the peaks above and below 0, full scale at the edges: one path, which no chart library draws in less."""
    step, middle = _WIDTH / peaks.size, _HEIGHT / 2
    tops, lows = (
        [f"{round(i * step, 1)} {round(middle * (1 + sign * peak), 1)}" for i, peak in enumerate(peaks.tolist())]
        for sign in (-1, 1)
    )
    text = f'<text fill="var(--soft)" font-size="12px" y="{_HEIGHT + 12}"'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 16}" role="img" aria-label="{escape(title)}">'
        f'<path fill="var(--s0)" d="M{"L".join([*tops, *reversed(lows)])}Z"/>{text} x="2">0</text>'
        f'{text} x="{_WIDTH - 2}" text-anchor="end">{seconds:.1f} s</text></svg>'
    )


def spectrogram(samples: Floats, sample_rate: int) -> bytes:
    """A grey PNG: time from left to right, 0 Hz at the bottom, half the sample rate at the top, 70 dB of range."""
    n = int(_WINDOW_SECONDS * sample_rate)
    step, taper = n - n // 2, np.hanning(n + 1)[:-1]
    mirrored = np.pad(samples, n // 2, mode="reflect")
    padded = np.pad(mirrored, (0, (n - len(mirrored)) % step))
    spectrum = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, n)[::step] * (taper / taper.sum()))
    power = _pooled(_pooled(np.abs(spectrum.T) ** 2, _ROWS).T, _COLUMNS).T
    decibels = 10 * np.log10(np.maximum(power, 1e-20))
    grey = np.clip((decibels - decibels.max() + _RANGE_DB) / _RANGE_DB, 0, 1)
    return png(np.round(255 * grey[::-1]).astype(np.uint8))


def _pooled(values: Floats, n: int) -> Floats:
    """The mean of each of up to n equal parts along the first axis."""
    return np.stack([part.mean(axis=0) for part in np.array_split(values, min(n, len(values)))])


def png(grey: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """An 8-bit grey picture, (height, width), in the format of RFC 2083."""
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)  # each begins with its filter: none

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
