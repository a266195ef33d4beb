"""Where a recording ends: what follows the sound that a header promises is a tag, or padding, or refused by name."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bad_audio
from sounds import Samples, encoded, id3, pcm, tones, wav, with_length, without_length, without_xing
from spira.ingest.acceptance import IngestParams, Refusal
from spira.ingest.decoding import decode

P = IngestParams.model_validate(bad_audio.LIMITS | {"max_seconds": 30.0, "max_noise_seconds": 30.0})
CONTAINERS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "FLOAT"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
SHORT, LONG = tones(16000, seconds=2.0), tones(16000, seconds=3.0)
APE = b"APETAGEX\xd0\x07\0\0\x40\0\0\0\1\0\0\0\0\0\0\xa0" + bytes(8)  # the header of a tag of 32 + 32 bytes
APE += b"\x18\0\0\0\0\0\0\0Title\0" + b"x" * 18 + APE[:20] + b"\0\0\0\x80" + bytes(8)
ID3V1 = b"TAG" + b"a title".ljust(125, b"\0")
LYRICS = b"LYRICSBEGININD0000200" + b"000021LYRICS200"


def outcome(path: Path, content: bytes) -> Samples | Refusal:
    path.write_bytes(content)
    decoded = decode(path, P, P.max_seconds)
    return decoded if isinstance(decoded, Refusal) else decoded.samples


def refusal(path: Path, content: bytes) -> Refusal:
    refused = outcome(path, content)
    assert isinstance(refused, Refusal), f"{len(refused)} frames were accepted"
    return refused


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
@pytest.mark.parametrize("second", [SHORT, LONG, tones(48000, 2, 1.5)], ids=["same", "longer", "another rate"])
def test_b1_two_files_in_one_are_refused(tmp_path: Path, container: str, subtype: str, second: Samples) -> None:
    """`cat one two`: the second would be left out, and the first alone would be its duplicate."""
    rate = 48000 if second.shape[1] == 2 else 16000
    both = encoded(SHORT, 16000, container, subtype) + encoded(second, rate, container, subtype)
    refused = refusal(tmp_path / "both", both)
    assert refused.code == "trailing", refused
    assert refused.reason.endswith(("make two files of it", "split them, or join them into one")), refused


def test_b1_two_voice_messages_name_the_way_out(tmp_path: Path) -> None:
    """Two streams of Ogg, of different serials."""
    one, two = (encoded(sound, 48000, "OGG", "OPUS") for sound in (SHORT, LONG))
    assert one[14:18] != two[14:18]
    refused = refusal(tmp_path / "both.opus", one + two)
    assert refused == Refusal("trailing", "a second Ogg stream follows the first: split them, or join them into one")


@pytest.mark.parametrize("first", ["with a count", "without"])
def test_b1_mp3s_in_one_file_are_read_or_refused(tmp_path: Path, first: str) -> None:
    """Where no header says how many blocks there are, all of them are read; a count of the first alone is a lie."""
    one, two = encoded(SHORT, 16000, "MP3", "MPEG_LAYER_III"), encoded(LONG, 16000, "MP3", "MPEG_LAYER_III")
    for between in (b"", id3(3000), ID3V1 + id3(10)):
        if first == "with a count":
            refused = refusal(tmp_path / "both.mp3", one + between + without_xing(two))
            assert refused.reason.startswith("the header promises 58 blocks, 144 are there"), refused
        else:
            samples = outcome(tmp_path / "both.mp3", without_xing(one) + between + without_xing(two))
            assert not isinstance(samples, Refusal), samples
            assert len(samples) == pytest.approx(5 * 16000, abs=0.3 * 16000)


def test_b1_an_mp3_that_changes_its_rate_is_refused(tmp_path: Path) -> None:
    """libsndfile stops there without a word, count or no count."""
    other = without_xing(encoded(tones(44100, 1, 2.0), 44100, "MP3", "MPEG_LAYER_III"))
    refused = refusal(tmp_path / "a.mp3", without_xing(encoded(SHORT, 16000, "MP3", "MPEG_LAYER_III")) + other)
    assert refused.code == "trailing"
    assert "blocks are of another sample rate" in refused.reason


def stale(field: bytes, width: str, less: int) -> Callable[[bytes], bytes]:
    """A header that was last written when there was ``less`` of the sound."""

    def change(content: bytes) -> bytes:
        at = content.index(field) + len(field)
        (size,) = struct.unpack_from(width, content, at)
        return content[:at] + struct.pack(width, size - less) + content[at + struct.calcsize(width) :]

    return change


STALE = {
    "WAV": stale(b"data", "<I", 48000),
    "WAVEX": stale(b"data", "<I", 48000),
    "W64": stale(bytes.fromhex("64617461f3acd3118cd100c04f8edb8a"), "<Q", 48000),
    "AIFF": stale(b"SSND", ">I", 48000),
    "AU": stale(b".snd\0\0\0\x18", ">I", 48000),
    "CAF": stale(b"data", ">q", 48000),
    "SVX": stale(b"BODY", ">I", 48000),
}


@pytest.mark.parametrize("container", STALE)
def test_b2_sound_after_a_stale_size_is_refused(tmp_path: Path, container: str) -> None:
    """A recorder that was cut off after it last wrote its header; of 3 s, 1.5 would be read."""
    content = STALE[container](encoded(LONG, 16000, container, "PCM_16" if container != "WAVEX" else "FLOAT"))
    refused = refusal(tmp_path / "stale", content)
    assert refused.code == "trailing", refused
    assert refused.reason.endswith(
        "bytes follow the sound that the header promises, and are no tags: mend the header, or make two files of it"
    )


def test_b2_rf64_with_a_stale_size_is_refused(tmp_path: Path) -> None:
    """Its size is in a chunk of its own, of 64 bits."""
    content = bytearray(encoded(LONG, 16000, "RF64", "PCM_16"))
    content[28:36] = struct.pack("<Q", 48000)
    assert refusal(tmp_path / "stale", bytes(content)).code == "trailing"


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "ULAW"])
def test_b2_nist_sphere_is_as_long_as_it_says(tmp_path: Path, subtype: str) -> None:
    """libsndfile reads it to the end of the file, wherever that is."""
    content = encoded(LONG, 16000, "NIST", subtype)
    samples = outcome(tmp_path / "a.sph", content)
    assert not isinstance(samples, Refusal), samples
    assert len(samples) == len(LONG)
    assert refusal(tmp_path / "a.sph", content[: len(content) * 6 // 10]).code == "truncated"
    stale_count = content.replace(b"sample_count -i 48000", b"sample_count -i 24000")
    assert refusal(tmp_path / "a.sph", stale_count).code == "trailing"


def test_b2_rf64_that_never_learnt_its_length_is_read_to_its_end(tmp_path: Path) -> None:
    """A field recorder that lost its power: zero bytes in the chunk that holds the sizes."""
    content = encoded(LONG, 16000, "RF64", "PCM_16")
    at = content.index(b"ds64") + 8
    samples = outcome(tmp_path / "a.wav", content[:at] + bytes(24) + content[at + 24 :])
    assert not isinstance(samples, Refusal), samples
    assert len(samples) == len(LONG)


def test_b2_a_flac_that_counts_too_few_is_refused(tmp_path: Path) -> None:
    """To the frame: its header is not believed, but compared with what is decoded."""
    flac = encoded(SHORT, 16000, "FLAC", "PCM_16")
    for n_frames in (16000, len(SHORT) - 1):
        refused = refusal(tmp_path / "a.flac", with_length(flac, n_frames))
        assert refused.code == "trailing", refused
        assert f"the header promises {n_frames} frames, and more follow" in refused.reason


def test_b2_an_ogg_stream_that_goes_on_after_its_end_is_refused(tmp_path: Path) -> None:
    """A page that says it is the last, in the middle: players stop there."""
    ogg = bytearray(encoded(tones(16000, seconds=20.0), 16000, "OGG", "VORBIS"))
    pages = [at for at in range(len(ogg)) if ogg[at : at + 4] == b"OggS"]
    assert len(pages) > 4
    ogg[pages[-3] + 5] |= 4
    assert refusal(tmp_path / "a.ogg", bytes(ogg)).code in ("trailing", "undecodable")


@pytest.mark.parametrize("container", ["FLAC", "WAV"])
def test_a_stream_of_unknown_length_is_not_cut_short_in_silence(tmp_path: Path, container: str) -> None:
    """A FLAC that says no length and cannot be decoded to its end is truncated; a WAV is read to its end."""
    if container == "WAV":
        samples = outcome(tmp_path / "a", wav(pcm(LONG), promised=0))
        assert not isinstance(samples, Refusal)
        assert len(samples) == len(LONG)
    else:
        flac = without_length(encoded(LONG, 16000, "FLAC", "PCM_16"))
        refused = refusal(tmp_path / "a", flac[: len(flac) // 2] + bytes(1000) + flac[len(flac) // 2 + 1000 :])
        assert refused.code == "truncated", refused


@pytest.mark.parametrize("chunk", [b"LIST", b"id3 ", b"bext"])
def test_an_empty_wav_with_notes_is_empty(tmp_path: Path, chunk: bytes) -> None:
    """A length of 0 may be one that its writer never knew; a picture of the cover is no sound all the same."""
    notes = chunk + struct.pack("<I", 60_000) + np.random.default_rng(0).bytes(60_000)
    refused = refusal(tmp_path / "a.wav", wav(b"") + notes)
    assert refused == Refusal("empty", "a header and no samples")


AFTER = {
    "zero bytes": bytes(3000),
    "a line end": b"\r\n",
    "ID3v1": ID3V1,
    "APE": APE,
    "APE and ID3v1": APE + ID3V1,
    "lyrics": LYRICS + ID3V1,
}


@pytest.mark.parametrize(
    ("container", "subtype", "after"),
    [  # where a FLAC's last block ends is not known: two bytes may be the beginning of another
        (*of, after) for of in CONTAINERS for after in AFTER if (of[0], after) != ("FLAC", "a line end")
    ],
)
def test_tags_and_padding_after_the_sound_cost_nothing(
    tmp_path: Path, container: str, subtype: str, after: str
) -> None:
    """The samples are those of the same file without them, in every container."""
    good = encoded(SHORT, 16000, container, subtype)
    plain, tagged = outcome(tmp_path / "plain", good), outcome(tmp_path / "tagged", good + AFTER[after])
    assert not isinstance(plain, Refusal), plain
    assert not isinstance(tagged, Refusal), tagged
    if container != "W64":  # libsndfile reads it to the end of the file
        np.testing.assert_array_equal(tagged, plain)
    np.testing.assert_array_equal(tagged[: len(plain)], plain)


def riff(name: bytes, content: bytes, *, padded: bool = True) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2 if padded else 0)


NOTES = {
    "LIST": riff(b"LIST", b"INFOIART" + struct.pack("<I", 8) + b"somebody"),
    "id3, of an odd size": riff(b"id3 ", id3(1001)),
    "bext, cue, smpl": riff(b"bext", bytes(602)) + riff(b"cue ", bytes(28)) + riff(b"smpl", bytes(60)),
    "iXML, not padded": riff(b"iXML", b"<x/>1", padded=False) + riff(b"LIST", b"INFO"),
    "a maker's own": riff(b"olym", b"\1\2\3\4" * 100),
    "LIST, cut off": riff(b"LIST", b"INFO" + bytes(100))[:-50],
    "an ID3 tag of MP3": id3(500),
}


@pytest.mark.parametrize("notes", NOTES)
@pytest.mark.parametrize("size", ["counted", "not counted"])
@pytest.mark.parametrize("odd", [False, True])
def test_chunks_after_the_sound_cost_nothing(tmp_path: Path, notes: str, size: str, *, odd: bool) -> None:
    """Whether or not the file's own size counts them, or the sound is padded to an even number of bytes."""
    sound = pcm(SHORT) if not odd else np.round(127 * SHORT[1:] + 128).astype("u1").tobytes()
    content = wav(sound, bits=8 if odd else 16) + bytes(odd) + NOTES[notes]
    if size == "counted":
        content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    samples = outcome(tmp_path / "a.wav", content)
    assert not isinstance(samples, Refusal), samples
    assert len(samples) == len(SHORT) - odd


@pytest.mark.parametrize("gap", [b"", NOTES["LIST"]])
@pytest.mark.parametrize("more", [riff(b"data", pcm(SHORT)), riff(b"LIST", b"wavl" + riff(b"data", pcm(SHORT)))])
def test_a_second_chunk_of_sound_is_refused(tmp_path: Path, gap: bytes, more: bytes) -> None:
    """Right behind the first, or behind notes."""
    assert refusal(tmp_path / "a.wav", wav(pcm(SHORT)) + gap + more).code == "trailing"


def test_sound_after_a_pause_of_zero_bytes_is_found(tmp_path: Path) -> None:
    """A muted second is no padding where somebody speaks after it."""
    assert refusal(tmp_path / "a.wav", wav(pcm(SHORT)) + bytes(32000) + pcm(SHORT)).code == "trailing"
