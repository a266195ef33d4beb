"""Files that somebody, or something, may bring as a recording: each with what may become of it.

``crafted()`` yields them by class; ``mutated()`` changes bytes of whole ones at random. They suit ``LIMITS``.
"""

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sounds import encoded, id3, pcm, tones, wav, with_length, without_length
from spira.ingest.acceptance import IngestParams

LIMITS = {
    "min_sample_rate": 8000,
    "max_sample_rate": 384000,
    "max_channels": 2,
    "min_seconds": 1.0,
    "max_seconds": 4.0,
    "max_noise_seconds": 10.0,
    "max_frames": 1_000_000,
    "min_peak": 0.003,
    "max_clipped": 0.25,
    "max_decode_seconds": 5,
    "max_decode_megabytes": 512,
    "personal_data": "refuse",
    "max_rejected": 1.0,
}
P = IngestParams.model_validate(LIMITS)
ACCEPTED = "accepted"

Made = bytes | Callable[[Path], object]


class Crafted(NamedTuple):
    kind: str  # of trouble
    name: str  # of the file, in a folder of its own
    made: Made  # its content, or what makes it
    may: frozenset[str]  # become of it: codes of refusals, or ACCEPTED

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(self.made, bytes):
            path.write_bytes(self.made)
        else:
            self.made(path)
        return path


SOUND = tones(16000)
SPEECH = pcm(SOUND)
NO_SOUND = ("undecodable", "empty")
WHOLE = [  # container, subtype, rates
    ("WAV", "PCM_U8", (8000, 16000)),
    ("WAV", "PCM_16", (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000)),
    ("WAV", "PCM_24", (16000, 48000)),
    ("WAV", "PCM_32", (16000, 48000)),
    ("WAV", "FLOAT", (16000, 48000)),
    ("WAV", "DOUBLE", (16000, 48000)),
    ("WAV", "ULAW", (8000,)),
    ("WAV", "ALAW", (8000,)),
    ("WAV", "IMA_ADPCM", (16000,)),
    ("WAV", "MS_ADPCM", (16000,)),
    ("WAVEX", "PCM_24", (48000,)),
    ("RF64", "PCM_16", (16000,)),
    ("W64", "PCM_16", (16000,)),
    ("AIFF", "PCM_16", (16000, 44100)),
    ("AU", "PCM_16", (16000,)),
    ("CAF", "PCM_16", (44100,)),
    ("FLAC", "PCM_16", (8000, 16000, 44100, 48000)),
    ("FLAC", "PCM_24", (48000,)),
    ("OGG", "VORBIS", (8000, 16000, 44100)),
    ("OGG", "OPUS", (8000, 16000, 48000)),
    ("MP3", "MPEG_LAYER_III", (8000, 16000, 44100, 48000)),
]


def crafted() -> Iterator[Crafted]:
    """Every file, class by class; the same ones each time."""
    for kind, files in CLASSES.items():
        for name, made, *may in files():
            yield Crafted(kind, name, made, frozenset(may))


Files = Iterator[tuple[str, Made, *tuple[str, ...]]]


def whole() -> Files:
    for container, subtype, rates in WHOLE:
        for rate in rates:
            for n_channels in (1, 2):
                name = f"{container}_{subtype}_{rate}_{n_channels}.{container.lower()}"
                yield name, encoded(tones(rate, n_channels), rate, container, subtype), ACCEPTED


def lying_size() -> Files:
    for promised in (0, 2**32 - 1, 0x7FFFF000, 0x80000000, 2**32 - 2**16):  # a writer that never knew
        yield f"unknown_{promised}.wav", wav(SPEECH, promised=promised), ACCEPTED
    for promised in (len(SPEECH) + 2, 2 * len(SPEECH), 10**6, 10**9):
        yield f"more_{promised}.wav", wav(SPEECH, promised=promised), "truncated", "too_long"
    for promised in (1, 2, 1000, len(SPEECH) // 2):  # the rest would be left out
        yield f"less_{promised}.wav", wav(SPEECH, promised=promised), "trailing"
    for n_frames in (1, 23999, 24001, 48000, 2**36 - 1):
        flac = with_length(encoded(SOUND, 16000, "FLAC", "PCM_16"), n_frames)
        may = ("too_short", "truncated", "too_long", "trailing")
        yield f"flac_{n_frames}.flac", flac, *may


def lying_riff() -> Files:
    good = wav(SPEECH)
    for size in (0, 4, 2**31, 2**32 - 1):
        yield f"riff_{size}.wav", good[:4] + struct.pack("<I", size) + good[8:], ACCEPTED, *NO_SOUND


def lying_rate() -> Files:
    for rate in (0, 1, 7999, 384001, 2**31 - 1, 2**31, 2**32 - 1):
        yield f"rate_{rate}.wav", wav(SPEECH, rate=rate), "sample_rate", *NO_SOUND


def lying_channels() -> Files:
    for n in (0, 3, 6, 255, 1024, 65535):
        yield f"channels_{n}.wav", wav(SPEECH * 3, n_channels=n), "channels", *NO_SOUND


def lying_depth() -> Files:
    for bits in (0, 1, 7, 48, 64, 128, 65535):
        yield f"depth_{bits}.wav", wav(SPEECH * 4, bits=bits), *NO_SOUND, "channels", "too_long", ACCEPTED
    for tag in (0, 2, 17, 85, 0xFFFE, 0xFFFF):
        yield f"tag_{tag}.wav", wav(SPEECH * 2, tag=tag), *NO_SOUND, "truncated", "too_short", "too_long", "unsupported"
    for bits in (8, 24, 32):  # 16 bits, read as another number of them: noise, but sound
        yield f"read_as_{bits}.wav", wav(SPEECH * 2, bits=bits), ACCEPTED, "too_long", "clipped"


def lying_align() -> Files:
    good = bytearray(wav(SPEECH))
    for align in (0, 1, 3, 4, 65535):
        good[32:34] = struct.pack("<H", align)
        yield f"align_{align}.wav", bytes(good), ACCEPTED, "too_short", *NO_SOUND


def cut(container: str, subtype: str, *, head: int) -> Callable[[], Files]:
    """Cut off after a tenth, two tenths ...; and in the header, in ``head`` places."""

    def files() -> Files:
        good = encoded(tones(16000, seconds=3), 16000, container, subtype)
        for tenth in range(1, 10):
            # not where an Ogg page ends: that is how a recorder's stream ends, and the sound before it is whole
            yield f"{tenth}_tenths", good[: len(good) * tenth // 10 + 7], "truncated", "too_short", *NO_SOUND
        for place in np.linspace(1, 60, head).astype(int).tolist():
            yield f"{place}_bytes", good[:place], "truncated", "unsupported", *NO_SOUND

    return files


def empty() -> Files:
    yield "no_bytes.wav", b"", "empty"
    yield "one_byte.wav", b"\0", "undecodable"
    yield "header.wav", wav(b""), "empty"
    yield "header_and_promise.wav", wav(b"", promised=10**6), "empty", "truncated"
    for container, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16")):
        nothing = np.zeros((0, 1), np.float32)
        yield f"{container}_{subtype}", encoded(nothing, 16000, container, subtype), "unsupported", *NO_SOUND


def floats(samples: NDArray[np.floating], dtype: str = "<f4") -> bytes:
    return wav(samples.astype(dtype).tobytes(), bits=8 * np.dtype(dtype).itemsize, tag=3)


def planted(value: float, *where: int) -> NDArray[np.float64]:
    samples = SOUND[:, 0].astype(np.float64)
    samples[list(where) or slice(None)] = value
    return samples


def not_a_number() -> Files:
    for where in ((0,), (23999,), (7, 8, 9), ()):
        yield f"nan_{len(where)}_{where[:1]}.wav", floats(planted(np.nan, *where)), "not_finite"
    yield "nan_64.wav", floats(planted(np.nan, 5), "<f8"), "not_finite"


def infinite() -> Files:
    for value in (np.inf, -np.inf):
        for where in ((0,), (23999,), ()):
            yield f"{value}_{where}.wav", floats(planted(value, *where)), "not_finite"


def huge() -> Files:
    for value in (17.0, 32768.0, 1e9, 3e38, -3e38):
        yield f"{value}.wav", floats(planted(value, 100)), "out_of_range"
    for value in (1e39, 1e300, -1e300):
        yield f"{value}_64.wav", floats(planted(value, 100), "<f8"), "not_finite"
    yield "integers.wav", floats(SOUND * 32768), "out_of_range"


def silence() -> Files:
    for container, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("WAV", "PCM_U8")):
        yield f"{container}_{subtype}", encoded(0 * SOUND, 16000, container, subtype), "silent"
    for container, subtype in (("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")):
        yield f"{container}_{subtype}", encoded(0 * SOUND, 16000, container, subtype), "silent", "near_silent"
    yield "denormal.wav", floats(SOUND * 1e-40), "near_silent", "silent"
    yield "near.wav", wav(pcm(SOUND * 0.004)), "near_silent"
    yield "least_bit.wav", wav(np.tile(np.array([0, 1], "<i2"), 12000).tobytes()), "near_silent"


def constant() -> Files:
    for level in (-1.0, -0.5, 1e-6, 0.25, 0.999):
        yield f"dc_{level}.wav", floats(np.full(24000, level)), "silent"
    yield "dc_and_little.wav", wav(pcm(SOUND * 0.004 + 0.25)), "near_silent"


def clipped() -> Files:
    for gain in (100, 1000):
        loud = np.clip(SOUND * gain, -1, 1)
        yield f"gain_{gain}.wav", wav(pcm(loud)), "clipped"
        yield f"gain_{gain}.flac", encoded(loud, 16000, "FLAC", "PCM_16"), "clipped"
        yield f"softer_after_{gain}.wav", wav(pcm(loud * 0.5)), "clipped"
    yield "one_side.wav", wav(pcm(np.minimum(SOUND, 0.05))), "clipped"
    yield "square.wav", wav(pcm(np.sign(SOUND))), "clipped"
    yield "a_little.wav", wav(pcm(np.clip(SOUND * 2.02, -1, 1))), ACCEPTED
    yield "over.wav", floats(SOUND * 4), ACCEPTED


def few() -> Files:
    for n in (1, 2, 10, 1000, 15999):
        for container, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")):
            short = encoded(SOUND[:n], 16000, container, subtype)
            yield f"{n}_{container}", short, "too_short", "silent", *NO_SOUND


def long() -> Files:
    sound = tones(8000, seconds=9)
    for container, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")):
        yield f"{container}_{subtype}", encoded(sound, 8000, container, subtype), "too_long"
    yield "mp3.mp3", encoded(sound, 8000, "MP3", "MPEG_LAYER_III"), "too_long"
    yield "frames.wav", wav(bytes(8_000_000), rate=384000), "too_long"


def channels() -> Files:
    for n in (3, 6, 8):
        for container, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")):
            yield f"{n}_{container}_{subtype}", encoded(tones(16000, n), 16000, container, subtype), "channels"


def bombs() -> Files:
    """Little to read, much to decode; all of them longer than allowed."""
    hour = np.zeros((8000 * 3600, 1), np.float32)
    flac = encoded(hour, 8000, "FLAC", "PCM_16")
    yield "hour.flac", flac, "too_long"
    yield "hour_unknown.flac", without_length(flac), "too_long", "silent"
    yield "hour_lying.flac", with_length(flac, 24000), "trailing"
    yield "wide.flac", encoded(np.zeros((480000, 8), np.float32), 96000, "FLAC", "PCM_16"), "channels"
    for container, subtype in (("OGG", "VORBIS"), ("OGG", "OPUS")):
        yield f"minutes.{subtype}", encoded(hour[: 8000 * 300], 8000, container, subtype), "too_long"
    yield "minutes.mp3", encoded(hour[: 8000 * 300], 8000, "MP3", "MPEG_LAYER_III"), "too_long"
    yield "sparse.wav", sparse(wav(b"", promised=2**32 - 2**20), 2**32 - 2**20), "too_long"
    yield "sparse_unknown.wav", sparse(wav(b"", promised=0), 2**33), "too_long", "silent"
    yield "sparse_tag.mp3", sparse(id3(100), 2**33), *NO_SOUND
    yield "sparse_zeros.bin", sparse(b"", 2**33), *NO_SOUND
    yield "tags.mp3", (b"ID3\3\0\0\0\0\0\0") * 500_000, *NO_SOUND
    yield "chunks.wav", wav(SPEECH)[:12] + b"junk\0\0\0\0" * 500_000 + wav(SPEECH)[12:], ACCEPTED, *NO_SOUND


def sparse(head: bytes, n_bytes: int) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.write_bytes(head)
        os.truncate(path, n_bytes)

    return make


def extensions() -> Files:
    for suffix in ("mp3", "raw", "txt", "ogg", "WAV.exe", "", "aac", "flac"):
        yield f"sound.{suffix}", wav(SPEECH), ACCEPTED
        yield f"flac.{suffix}", encoded(SOUND, 16000, "FLAC", "PCM_16"), ACCEPTED


def no_sound() -> Files:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("sound.wav", wav(SPEECH))
    for name, content in {
        "text": "Não sou um áudio.\n".encode() * 5000,
        "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 500,
        "zip": archive.getvalue(),
        "gzip": gzip.compress(wav(SPEECH), mtime=0),
        "pdf": b"%PDF-1.7\n" + bytes(range(256)) * 100,
        "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100,
        "json": b'{"error": "expired"}',
        "elf": b"\x7fELF\2\1\1" + bytes(20000),
        "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "zeros": bytes(100_000),
        "ones": b"\xff" * 100_000,
        "playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
    }.items():
        yield f"{name}.wav", content, *NO_SOUND
    rng = np.random.default_rng(0)
    for n in (12, 1000, 100_000):
        yield f"random_{n}.wav", rng.bytes(n), *NO_SOUND


def no_file() -> Files:
    yield "loop.wav", lambda path: path.symlink_to(path.name), "missing"
    yield "nowhere.wav", lambda path: path.symlink_to("nobody.wav"), "missing"
    yield "folder.wav", lambda path: path.mkdir(), "missing"
    yield "fifo.wav", lambda path: os.mkfifo(path), "missing"
    yield "zero.wav", lambda path: path.symlink_to("/dev/zero"), "missing"
    yield "full.wav", lambda path: path.symlink_to("/dev/full"), "missing"
    yield "nobody.wav", lambda _: None, "missing"
    yield "linked.wav", linked, ACCEPTED


def linked(path: Path) -> None:
    (path.parent / "there.bin").write_bytes(wav(SPEECH))
    path.symlink_to("there.bin")


def names() -> Files:
    strange = [
        *("a b.wav", "it's.wav", 'say "a".wav', "two\nlines.wav", "tab\t.wav", "ação ñ 語.wav", "🫁.wav", "-rf.wav"),
        *("--help", "%s%n.wav", "$(touch x).wav", "`id`.wav", "a;b.wav", "a|b.wav", "*.wav", "\x1b[31mred.wav"),
        *("e\u0301.wav", "\u202egnp.wav", "a,b.wav", "x" * 250, "..wav", "deep/er/a.wav"),
    ]
    for name in strange:
        yield name, wav(SPEECH), ACCEPTED


def chunks() -> Files:
    good, junk = wav(SPEECH), b"LIST" + struct.pack("<I", 4000) + bytes(4000)
    yield "before.wav", good[:12] + junk + good[12:], ACCEPTED
    yield "between.wav", good[:36] + junk * 3 + good[36:], ACCEPTED
    yield "after.wav", good + junk, ACCEPTED
    yield "odd.wav", good[:36] + b"odd \3\0\0\0abc\0" + good[36:], ACCEPTED
    yield "lying_junk.wav", good[:36] + b"junk" + struct.pack("<I", 2**31) + good[36:], *NO_SOUND, "truncated"
    yield "data_first.wav", good[:12] + good[36:] + good[12:36], *NO_SOUND
    yield "no_format.wav", good[:12] + good[36:], *NO_SOUND
    yield "two_formats.wav", good[:36] + good[12:36] + good[36:], ACCEPTED, *NO_SOUND
    yield "big_format.wav", good[:16] + struct.pack("<I", 2**31) + good[20:], *NO_SOUND
    yield "rf64.wav", b"RF64\xff\xff\xff\xff" + good[8:], ACCEPTED, "truncated", *NO_SOUND
    yield "rifx.wav", b"RIFX" + good[4:], "too_short", "truncated", "unsupported", *NO_SOUND


def joined() -> Files:
    for container, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")):
        one = encoded(SOUND, 16000, container, subtype)
        yield f"twice_{container}", one + one, "trailing"
        yield f"tail_{container}", one + b"<html>" * 100, ACCEPTED if container == "MP3" else "trailing"
        yield f"tagged_{container}", id3(500) + one, ACCEPTED, "undecodable"


def containers() -> Files:
    for name, head in {
        "m4a": bytes(4) + b"ftypM4A " + bytes(4000),
        "webm": b"\x1aE\xdf\xa3" + bytes(4000),
        "amr": b"#!AMR\n" + b"\xff" * 4000,
        "aac": b"\xff\xf1" + bytes(4000),
        "wma": b"0&\xb2u" + bytes(4000),
        "ogg": b"OggS" + bytes(4000),
    }.items():
        yield f"head.{name}", head, "unsupported", "truncated", "too_short", *NO_SOUND


CLASSES: dict[str, Callable[[], Files]] = {
    "whole": whole,
    "a size that lies": lying_size,
    "a RIFF size that lies": lying_riff,
    "a rate that lies": lying_rate,
    "channels that lie": lying_channels,
    "a depth that lies": lying_depth,
    "an alignment that lies": lying_align,
    "cut WAV": cut("WAV", "PCM_16", head=6),
    "cut float WAV": cut("WAV", "FLOAT", head=2),
    "cut FLAC": cut("FLAC", "PCM_16", head=6),
    "cut Vorbis": cut("OGG", "VORBIS", head=6),
    "cut Opus": cut("OGG", "OPUS", head=6),
    "cut MP3": cut("MP3", "MPEG_LAYER_III", head=6),
    "cut AIFF": cut("AIFF", "PCM_16", head=3),
    "empty": empty,
    "NaN": not_a_number,
    "infinity": infinite,
    "huge": huge,
    "silence": silence,
    "an offset": constant,
    "clipping": clipped,
    "few samples": few,
    "too long": long,
    "too many channels": channels,
    "bombs": bombs,
    "another extension": extensions,
    "no sound": no_sound,
    "no file": no_file,
    "strange names": names,
    "chunks": chunks,
    "joined": joined,
    "other containers": containers,
}

_SEEDS = (
    *(("WAV", subtype) for subtype in ("PCM_16", "FLOAT", "IMA_ADPCM", "MS_ADPCM", "GSM610")),
    *(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")),
    *(("AIFF", "PCM_16"), ("CAF", "ALAC_16"), ("W64", "PCM_16"), ("AU", "ULAW")),
)


def mutated(n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Whole files with bytes changed, cut out, doubled or cut off: half of the time among the first 200."""
    rng = np.random.default_rng(seed)
    whole = {of: encoded(tones(8000, 1 + i % 2, 1.2), 8000, *of) for i, of in enumerate(_SEEDS) if of[1] != "GSM610"}
    whole["WAV", "GSM610"] = encoded(tones(8000, 1, 1.2), 8000, "WAV", "GSM610")
    for i in range(n):
        of = _SEEDS[i % len(_SEEDS)]
        yield f"{i}_{'_'.join(of)}", mutation(whole[of], rng)


def mutation(good: bytes, rng: np.random.Generator) -> bytes:
    content = bytearray(good)
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.integers(min(len(content), 200 if rng.random() < 0.5 else len(content))))
        length = int(rng.integers(1, 9))
        match rng.integers(6):
            case 0:
                content[place] ^= 1 << int(rng.integers(8))
            case 1:
                content[place : place + length] = rng.bytes(length)
            case 2:
                content[place : place + length] = rng.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * length
            case 3:
                del content[place : place + length * int(rng.integers(1, 100))]
            case 4:
                content[place:place] = content[place : place + 100 * length]
            case _:
                del content[max(place, 1) + 40 :]
        if not content:
            break
    return bytes(content)
