"""What a file says of itself is kept beside each clip: a detector could learn it, so it must be there to be probed."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from spira.base.params import load
from spira.ingest.acceptance import IngestParams, Refusal
from spira.ingest.containers.headers import Header
from spira.ingest.decoding import decode
from spira.stages import ingest
from tiny import ROOT

pytestmark = pytest.mark.usefixtures("any_size")
P = load("ingest", IngestParams, path=ROOT / "params.yaml")
SOUND = 0.5 * np.sin(np.arange(24_000) / 20)


@pytest.mark.parametrize(
    ("name", "how", "container", "encoding"),
    [
        ("a.wav", {"subtype": "PCM_24"}, "WAV", "PCM_24"),
        ("named.mp3", {"format": "WAV", "subtype": "FLOAT"}, "WAV", "FLOAT"),
        ("b.flac", {"subtype": "PCM_16"}, "FLAC", "PCM_16"),
        ("c.ogg", {}, "OGG", "VORBIS"),
    ],
)
def test_a_header_says_how_a_file_was_stored(
    name: str, how: dict[str, str], container: str, encoding: str, tmp_path: Path
) -> None:
    """By its content: a WAV file that is called mp3 is a WAV file."""
    path = tmp_path / name
    soundfile.write(path, SOUND, 16_000, **how)
    decoded = decode(path, P, P.max_seconds)
    assert not isinstance(decoded, Refusal)
    assert decoded.header == Header(container, encoding, 1, path.stat().st_size)


def test_the_table_of_clips_has_each_header(tmp_path: Path) -> None:
    """Also where a copy was dropped and the others moved up."""
    soundfile.write(tmp_path / "a.flac", SOUND, 16_000)
    soundfile.write(tmp_path / "b.flac", SOUND, 16_000)
    soundfile.write(tmp_path / "c.wav", np.stack([SOUND, -0.2 * SOUND], axis=1), 8_000, subtype="FLOAT")
    (tmp_path / "metadata.csv").write_text("file_path,label\na.flac,1\nb.flac,1\nc.wav,0\n")
    limits = P.model_copy(update={"max_rejected": 0.5})
    ingest.run(16_000, limits, corpus=tmp_path, out=tmp_path / "clips", n_workers=1)
    rows = pl.read_csv(tmp_path / "clips/clips.csv").select("clip_id", "container", "encoding", "n_channels", "n_bytes")
    sizes = [(tmp_path / name).stat().st_size for name in ("a.flac", "c.wav")]
    assert rows.rows() == [("a.flac", "FLAC", "PCM_16", 1, sizes[0]), ("c.wav", "WAV", "FLOAT", 2, sizes[1])]
