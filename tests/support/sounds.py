"""Sound files made for tests: whole ones as libsndfile writes them, and headers with any values that a test wants."""

import io
import struct

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]
_PIECE = 500_000  # frames; libsndfile's Vorbis encoder overflows its stack on millions at once


def tones(rate: int, n_channels: int = 1, seconds: float = 1.5) -> Samples:
    """A different tone on each channel, and an octave above it in the last third: (n_frames, n_channels)."""
    time = np.arange(int(seconds * rate)) / rate
    octave = 1 + (time > seconds * 2 / 3)
    hertz = 440 * np.arange(1, n_channels + 1)[:, None] * octave
    return np.asarray(0.5 * np.sin(2 * np.pi * hertz * time).T, np.float32)


def encoded(samples: Samples, rate: int, container: str, subtype: str) -> bytes:
    """A whole file, as libsndfile writes it."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, samples.shape[1], format=container, subtype=subtype) as sound:
        for start in range(0, len(samples), _PIECE):
            sound.write(samples[start : start + _PIECE])
    return file.getvalue()


def wav(
    data: bytes, *, promised: int | None = None, rate: int = 16000, n_channels: int = 1, bits: int = 16, tag: int = 1
) -> bytes:
    """A WAV file with a header of 44 bytes that says whatever the test wants; tag 1 is PCM, 3 float."""
    n_bytes = len(data) if promised is None else promised
    frame = n_channels * bits // 8
    header = struct.pack("<HHIIHH", tag, n_channels, rate, rate * frame % 2**32, frame % 2**16, bits)
    sizes = struct.pack("<I", min(36 + n_bytes, 2**32 - 1)), struct.pack("<I", n_bytes)
    return b"RIFF" + sizes[0] + b"WAVEfmt \x10\0\0\0" + header + b"data" + sizes[1] + data


def pcm(samples: Samples) -> bytes:
    return np.round(samples * 32767).astype("<i2").tobytes()


def without_length(flac: bytes) -> bytes:
    """STREAMINFO holds, from byte 18: rate (20 bits), channels (3), bits (5), frames (36)."""
    return with_length(flac, 0)


def with_length(flac: bytes, n_frames: int) -> bytes:
    """A FLAC whose header promises this many frames."""
    fields = (int.from_bytes(flac[18:26], "big") >> 36 << 36) + n_frames
    return flac[:18] + fields.to_bytes(8, "big") + flac[26:]


def without_xing(mp3: bytes) -> bytes:
    """An MP3 less its first block, which holds no sound but the number of blocks."""
    sync = mp3[:2]
    return mp3[mp3.index(sync, max(mp3.find(b"Xing"), mp3.find(b"Info"))) :]


def id3(n_bytes: int) -> bytes:
    """An ID3 tag with a picture of this size."""
    return tag(b"APIC" + n_bytes.to_bytes(4, "big") + b"\0\0" + b"\1" * n_bytes)


def tag(frames: bytes) -> bytes:
    """An ID3 tag with these frames."""
    return b"ID3\3\0\0" + bytes(len(frames) >> shift & 127 for shift in (21, 14, 7, 0)) + frames


def caf_with_opus(ogg: bytes, n_frames: int) -> bytes:
    """The packets of an Ogg file of Opus, mono at 48 kHz in blocks of 20 ms, as Apple's container holds them."""
    head, _, *sound = _packets(ogg)
    sizes = b"".join(bytes([n]) if n < 128 else bytes([128 | n >> 7, n & 127]) for n in map(len, sound))
    padding = 960 * len(sound) - n_frames - 312
    chunks = {
        b"desc": struct.pack(">d4sIIIII", 48000.0, b"opus", 0, 0, 960, 1, 0),
        b"kuki": head,
        b"pakt": struct.pack(">qqii", len(sound), n_frames, 312, padding) + sizes,
        b"data": bytes(4) + b"".join(sound),
    }
    return b"caff\0\1\0\0" + b"".join(name + struct.pack(">q", len(c)) + c for name, c in chunks.items())


def _packets(ogg: bytes) -> list[bytes]:
    packets, at = [b""], 0
    while at < len(ogg):
        sizes = ogg[at + 27 : at + 27 + ogg[at + 26]]
        at += 27 + len(sizes)
        for size in sizes:
            packets[-1] += ogg[at : at + size]
            at += size
            if size < 255:
                packets.append(b"")
    return packets[:-1]
