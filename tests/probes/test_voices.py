"""One voice under two speaker ids is seen, and two people who merely sound alike are not called one."""

from pathlib import Path

import numpy as np
import pytest

from random_encoders import sound, write_resemblyzer
from spira.base.array_types import Floats
from spira.base.params import load
from spira.encoders.params import EmbeddingParams
from spira.features.params import FeatureParams
from spira.probes.study import Finding, Fold, ProbeParams, Study
from spira.probes.voices import NO_ENCODER, alike_pairs, speaker_similarity
from spira.stages.probe import encode_voices
from tiny import ROOT

P = load("probe", ProbeParams, path=ROOT / "params.yaml")
N = 12  # speakers, two clips each


def study(seed: int = 0, **changes: object) -> Study:
    """Twelve speakers of two sexes, ten years apart, each in a direction of their own; the last four are tested."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(N), 2)
    voices = rng.standard_normal((N, 32))[who] + 0.2 * rng.standard_normal((2 * N, 32))
    facts = {
        "speakers": tuple(f"s{i:02}" for i in who),
        "labels": who % 2,
        "folds": (Fold(who < 8, who >= 8),),
        "sample_rate": 16_000,
        "columns": {"sex": ["FM"[i // 2 % 2] for i in who], "age": [str(20 + 10 * (i // 4)) for i in who]},
        "voices": unit(voices),
    }
    return Study(**{**facts, **changes})  # type: ignore[arg-type]


def unit(voices: Floats) -> Floats:
    return np.asarray(voices / np.linalg.norm(voices, axis=1, keepdims=True))


def found(s: Study) -> Finding:
    return speaker_similarity(s, P)({})


def one_voice(first: int, second: int) -> Study:
    """The second speaker has the first's voice, sex and age."""
    s = study()
    voices, columns = np.array(s.voices), {name: list(cells) for name, cells in s.columns.items()}
    voices[2 * second : 2 * second + 2] = voices[2 * first : 2 * first + 2]
    for cells in columns.values():
        cells[2 * second : 2 * second + 2] = cells[2 * first : 2 * first + 2]
    return study(voices=voices, columns=columns)


def test_a_voice_on_both_sides_of_the_split_is_listed() -> None:
    """With the names of both, and nobody else."""
    s = one_voice(1, 9)
    assert found(s).verdict == "warn"
    assert found(s).why.startswith("1 pairs of a training and a test speaker have a similarity above 0.")
    (pair,) = alike_pairs(s, P)
    assert pair[:2] == ("s01", "s09")
    assert pair.similarity == pytest.approx(1)


def test_a_voice_twice_on_one_side_is_no_leak() -> None:
    """Nothing that was fitted on is tested by it."""
    for first, second in ((0, 1), (8, 9)):
        assert found(one_voice(first, second)).verdict == "pass"
        assert alike_pairs(one_voice(first, second), P) == []


def test_people_who_are_known_to_be_two_set_the_limit() -> None:
    """The same voice in two sexes or at two ages shows how alike two people may be, so it is no finding."""
    s = one_voice(1, 9)
    for column, cells in (("sex", {"F": "M", "M": "F"}), ("age", {"20": "60"})):
        changed = {name: list(cells) for name, cells in s.columns.items()}
        changed[column][18:20] = [cells.get(cell, cell) for cell in changed[column][18:20]]
        other = study(voices=s.voices, columns=changed)
        assert found(other).verdict == "pass"
        assert found(other).numbers["most_alike_strangers"] == pytest.approx(1)


def test_an_unknown_age_makes_nobody_a_stranger() -> None:
    """Without ages only the sexes differ, and they would set the limit too low: the probe does not run."""
    s = one_voice(1, 9)
    without = study(voices=s.voices, columns={**s.columns, "age": ["" for _ in s.speakers]})
    assert found(without).verdict == "not run"
    assert "no two speakers of one sex" in found(without).why
    assert alike_pairs(without, P) == []


def test_without_an_encoder_it_says_what_it_takes() -> None:
    """And lists nobody."""
    s = study(voices=None)
    assert found(s) == NO_ENCODER
    assert alike_pairs(s, P) == []


def test_the_stage_encodes_one_voice_a_clip_whatever_its_level_and_the_features(tmp_path: Path) -> None:
    """In the order of the clips, by one thread as by two; without weights, of another sort or at another rate, none."""
    write_resemblyzer(tmp_path / "e.safetensors")
    features = load("features", FeatureParams, path=ROOT / "params.yaml")
    embedding = load("embedding", EmbeddingParams, path=ROOT / "params.yaml")
    resemblyzer = embedding.model_copy(update={"architecture": "resemblyzer", "file": "e.safetensors"})
    clips = [sound(1.0), sound(2.0, seed=1), np.float32(4) * sound(1.0)]
    one, two = (encode_voices(clips, 16_000, features, resemblyzer, tmp_path, n) for n in (1, 2))
    assert one is not None
    assert two is not None
    assert one.shape == (3, 256)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[0], one[2])
    assert (one[0] != one[1]).any()
    np.testing.assert_allclose(np.square(one).sum(axis=1), 1)
    other = resemblyzer.model_copy(update={"architecture": "hubert_base"})
    for p, rate in ((embedding, 16_000), (other, 16_000), (resemblyzer, 22_050)):
        assert encode_voices(clips, rate, features, p, tmp_path, 1) is None
