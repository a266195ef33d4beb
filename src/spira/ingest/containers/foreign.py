"""Formats that libsndfile does not decode, by container and codec: ffmpeg's work, and the names in its refusals."""

import re
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from spira.ingest.acceptance import Refusal
from spira.ingest.containers.chunks import chunks, sound_chunk
from spira.ingest.containers.endings import behind_the_sound, missing_sound, skip_tags
from spira.ingest.containers.ogg import refuse_pages

_KINDS = (  # what a file begins with, and what that is
    (rb"[\x00-\x03]...(ftyp|moov|mdat|wide|skip|free)", "m4a, mp4 or 3gp"),
    (rb"\x1aE\xdf\xa3", "webm or Matroska"),
    (rb"#!AMR", "AMR"),
    (rb"\xff[\xf0\xf1\xf8\xf9]|V[\xe0-\xff]", "AAC"),
    (rb"0&\xb2u", "WMA"),
    (rb"OggS(?!.{0,60}(vorbis|OpusHead))", "Ogg, neither Vorbis nor Opus"),
    (rb"fLaC.{16}[\x01\x03\x05\x07\x09\x0b\x0d\x0f][\x80-\xff]", "FLAC of more than 24 bits"),
    (rb"RIFF....AVI ", "AVI"),
    (rb"BW64....WAVE", "BW64"),
    (rb"NIST_1A\n", "NIST SPHERE"),
    (rb"\x47.{187}\x47.{187}\x47", "MPEG transport stream"),
    (rb"\x00\x00\x01\xba", "MPEG program stream"),
    (rb"FLV\x01", "FLV"),
    (rb"wvpk", "WavPack"),
    (rb"TTA1[\x01-\x03]\x00", "TTA"),
    (rb"MAC .[\x0e-\x10]", "Monkey's Audio"),
    (rb"MPCK|MP\+[\x07\x17\x27]", "Musepack"),
    (rb"\x0bw", "AC-3"),
    (rb"\x7f\xfe\x80\x01", "DTS"),
    (rb"\.RMF\x00", "RealMedia"),
    (rb"nut/multimedia", "NUT"),
    (rb"\.SoX|XoS\.", "SoX"),
    (rb"DSD \x1c\x00", "DSF"),
)
_STARTS = {  # how a file begins; of two in one, ffmpeg plays only the first
    "AMR": rb"#!AMR(-WB)?\n",
    "WMA": rb"0&\xb2u\x8ef\xcf\x11\xa6\xd9\x00\xaa\x00b\xcel",
    "TTA": rb"TTA1[\x01\x02]\x00[\x01-\x08]\x00",
    "FLV": rb"FLV\x01[\x01\x04\x05]\x00\x00\x00\t",
}
_ASF_PROPERTIES = rb"\xa1\xdc\xab\x8cG\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65.{24}(.{8})"  # with the file's size
_PLAIN = (1, 3, 6, 7)  # numbers of WAV's codecs: integers, floats and two logarithms, of which libsndfile reads all
_PLAIN_AIFC = (b"none", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32", b"fl64", b"ulaw", b"alaw")
_WAV_CODECS = {
    0x000A: "WMA Voice", 0x0002: "MS ADPCM", 0x0011: "IMA ADPCM", 0x0014: "G.726", 0x0017: "OKI ADPCM",
    0x0020: "Yamaha ADPCM", 0x0022: "TrueSpeech", 0x0031: "GSM", 0x0038: "AMR", 0x0040: "G.721", 0x0042: "G.723.1",
    0x0045: "G.726", 0x0050: "MPEG layer 1 or 2", 0x0055: "MP3", 0x0057: "AMR", 0x0058: "AMR-WB", 0x0064: "G.726",
    0x0065: "G.722", 0x0083: "G.729", 0x00FF: "AAC", 0x0160: "WMA", 0x0161: "WMA", 0x0162: "WMA", 0x0163: "WMA",
    0x028F: "G.722", 0x1600: "AAC", 0x1602: "AAC", 0x1610: "AAC", 0x2000: "AC-3", 0x2001: "DTS",
    0x5346: "Flash ADPCM", 0x566F: "Vorbis", 0x674F: "Vorbis", 0xA109: "Speex", 0xF1AC: "FLAC",
}  # fmt: skip
_MOST = 2**25  # bytes that are searched for a second file


class Foreign(NamedTuple):
    """A recording in a container or a codec of which libsndfile knows nothing."""

    kind: str  # container, and codec where there is a choice
    promised: int | None  # samples a channel, as its header says
    refusal: Refusal | None  # for its bytes, which ffmpeg would pass over


def foreign_sound(path: Path) -> Foreign | None:
    """The format of a file that libsndfile refused and ffmpeg may decode; None where it is no sound, or broken."""
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        skip_tags(file)
        head = file.read(512)
        kind = next((kind for start, kind in _KINDS if re.match(start, head, re.DOTALL)), None)
        kind = kind or _container_and_codec(file, head, n_bytes)
        return Foreign(kind, _promised(head, kind), _refuse_foreign_end(file, n_bytes, kind)) if kind else None


def _container_and_codec(file: BinaryIO, head: bytes, n_bytes: int) -> str | None:
    """Container and codec where libsndfile knows only the container; None where it knows both: the file is broken."""
    order: Literal["big", "little"] = "big" if head.startswith(b"RIFX") else "little"
    for chunk in chunks(file, n_bytes):
        file.seek(chunk.start)
        content = file.read(32)
        if chunk.name == b"fmt ":
            codec = int.from_bytes(content[:2], order)
            if codec == 0xFFFE:  # is said further behind
                codec = int.from_bytes(content[24:26], order)
            return None if codec in _PLAIN else f"WAV with {_WAV_CODECS.get(codec, f'codec 0x{codec:04x}')}"
        if chunk.name == b"desc":
            return f"CAF with {_letters(content[8:12])}" if content[8:12] != b"lpcm" else _unfinished(file, n_bytes)
        if chunk.name == b"COMM" and head[8:12] == b"AIFC":
            if content[18:22].lower() in _PLAIN_AIFC:
                return None
            return f"AIFF with {_letters(content[18:22])}"
    return None


def _unfinished(file: BinaryIO, n_bytes: int) -> str | None:
    """The kind of a CAF whose recorder left -1 for its length, which libsndfile does not read; None for others."""
    sound = sound_chunk(file, n_bytes)
    return "CAF that does not say its length" if sound and sound.n_bytes < 0 else None


def _promised(head: bytes, kind: str) -> int | None:
    """Samples a channel, where a format has them at a fixed place; for others ffmpeg notices an early end."""
    if kind.startswith("FLAC"):
        return int.from_bytes(head[21:26], "big") % 2**36 or None
    if kind == "TTA":
        return int.from_bytes(head[14:18], "little")
    if kind == "WavPack":
        return _known(int.from_bytes(head[12:16], "little"))
    return None


def _known(n: int) -> int | None:
    return n if n not in (0, 2**32 - 1) else None


def _letters(codec: bytes) -> str:
    return re.sub(r"[^!-~]", "", codec.decode("latin-1")) or "no codec"


def _refuse_foreign_end(file: BinaryIO, n_bytes: int, kind: str) -> Refusal | None:
    if kind.startswith("Ogg"):
        return refuse_pages(file, n_bytes)
    if words := missing_sound(file, n_bytes):
        return Refusal("truncated", words)
    if words := behind_the_sound(file, n_bytes):
        return Refusal("trailing", words)
    file.seek(0)
    if kind == "WMA" and (found := re.search(_ASF_PROPERTIES, file.read(2**16), re.DOTALL)):
        promised = int.from_bytes(found[1], "little")
        if promised > n_bytes:
            return Refusal("truncated", f"the header promises a file of {promised} bytes, {n_bytes} are there")
    file.seek(0)
    if kind in _STARTS and len(re.findall(_STARTS[kind], file.read(_MOST), re.DOTALL)) > 1:
        return Refusal("trailing", f"a second {kind} file follows the first: make two files of it")
    return None
