"""The gate asks a package about recordings in tar shards too, and gets the same scores."""

from pathlib import Path

import pytest

from spira.ingest.packing import pack
from spira.package.golden import golden_recordings
from spira.registry import in_package
from spira.registry.evidence import recordings
from spira.registry.scoring import answers
from untrained_package import write_package


def test_a_packed_recording_has_the_score_of_its_file(tmp_path: Path) -> None:
    """A package need not know of tar shards; a changed byte is no score."""
    mine = tmp_path / "data/raw/mine"
    mine.mkdir(parents=True)
    (mine / "metadata.csv").touch()
    for name, content in golden_recordings().items():
        (mine / name).write_bytes(content)
    pack(mine, tmp_path / "data/raw/packed")
    names = (*golden_recordings(), "gone.wav")
    files, members = recordings(tmp_path, "mine", names), recordings(tmp_path, "packed", names)
    write_package(tmp_path)
    asked = {f"{name} {i}": source for i, found in enumerate((files, members)) for name, source in found.items()}
    scores = answers(tmp_path / "package", asked).scores
    assert len(scores) == 2 * len(golden_recordings())
    assert {name: scores[f"{name} 0"] for name in files} == {name: scores[f"{name} 1"] for name in members}
    name, tar, offset, n_bytes, _ = members["phone.wav"]  # type: ignore[misc]
    with pytest.raises(SystemExit, match="are not those that were packed"):
        in_package.member(name, str(tar), offset + 2, n_bytes, members["phone.wav"].sha256)  # type: ignore[union-attr]
