"""A package holds the encoder whose frames its models are given."""

import json
from pathlib import Path

import pytest

from random_encoders import write_resemblyzer
from spira.base.errors import DataError
from spira.scorer.scorer import Scorer
from untrained_package import write_package


def test_a_package_scores_by_its_own_encoder(tmp_path: Path) -> None:
    """Wherever it is, without data/pretrained; and not by another one in its place."""
    write_resemblyzer(tmp_path / "e.safetensors")
    package = write_package(tmp_path, encoder=tmp_path / "e.safetensors")
    (tmp_path / "e.safetensors").unlink()
    with Scorer(package.rename(tmp_path / "elsewhere")) as scorer:
        answers = scorer.golden_answers(tmp_path / "elsewhere/golden")
    expected = json.loads((tmp_path / "elsewhere/golden/answers.json").read_bytes())
    assert answers == expected
    assert any(isinstance(one, float) for one in answers.values())
    write_resemblyzer(tmp_path / "elsewhere/encoder/e.safetensors", seed=1)
    with pytest.raises(DataError, match=r"not what was packaged: encoder/e\.safetensors"):
        Scorer(tmp_path / "elsewhere")
