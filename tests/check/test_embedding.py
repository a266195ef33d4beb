"""An embedding that no encoder could make is refused before any work, with the key to change."""

from copy import deepcopy
from typing import Any

import pytest

from spira.base.params import read
from spira.stages.check import problems
from tiny import ROOT


def committed() -> dict[str, Any]:
    return deepcopy(read(ROOT / "params.yaml")[0])


def found(**changes: dict[str, Any]) -> list[tuple[str, str]]:
    """The problems of the committed parameters with an embedding, and with these changes of its sections."""
    tree = committed()
    tree["features"]["kind"] = "embedding"
    tree["embedding"]["file"] = "resemblyzer.safetensors"
    for name, values in changes.items():
        tree[name] = {**tree[name], **values} if isinstance(values, dict) else values
    return problems(tree)


@pytest.mark.parametrize("architecture", ["resemblyzer", "wav2vec2_base", "hubert_base", "wavlm_base"])
def test_an_embedding_goes_with_the_committed_parameters(architecture: str) -> None:
    """Kind and file alone are to be changed; every network for frames of any kind takes it."""
    networks = ["pooled_cnn", "spiraconv"]
    spiraconv = {"kernels": [2, 1, 1, 1], "dilations": [1, 1, 1, 1]}  # 7 frames of 4 s leave no room for more
    network = committed()["network"]
    network["spiraconv"] |= {name: sizes[:2] for name, sizes in spiraconv.items()} | {"channels": [4, 4]}
    assert found(embedding={"architecture": architecture}, models={"networks": networks}, network=network) == []


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"embedding": {"file": "none"}}, "embedding.file", "must name a file in data/pretrained"),
        ({"embedding": {"file": "e.pt"}}, "embedding.file", "must be none or end in .safetensors, got 'e.pt'"),
        ({"embedding": {"layer": 13}}, "embedding.layer", "less than or equal to 12"),
        ({"embedding": {"layer": 0}}, "embedding.layer", "greater than or equal to 1"),
        ({"embedding": {"architecture": "wavlm_large"}}, "embedding.architecture", "wavlm_base"),
        ({"sample_rate": 22_050}, "sample_rate", "must be 16000 where features.kind is embedding"),
        (
            {"train": {"spec_augment": {"n_frequency_masks": 2, "frequency_width": 3}}},
            "train.spec_augment.n_frequency_masks",
            "must be 0 where features.kind is embedding",
        ),
        ({"windows": {"seconds": 1.5, "step_seconds": 1.0}}, "windows.seconds", "must be at least 1.6 s, from which"),
        ({"windows": {"step_seconds": 0.3}}, "windows.step_seconds", "must be at least 0.4 s, got 0.3"),
        ({"models": {"networks": ["cnn6"]}}, "features.kind", "must be mel for the model cnn6, got 'embedding'"),
    ],
)
def test_what_no_encoder_could_make_is_refused(changes: dict[str, Any], key: str, message: str) -> None:
    """Each with its key, by the rule that it breaks."""
    if "train" in changes:
        train = committed()["train"]
        changes = {"train": train | {"spec_augment": train["spec_augment"] | changes["train"]["spec_augment"]}}
    said = found(**changes)
    assert [problem_key for problem_key, _ in said] == [key], said
    assert message in said[0][1]


def test_without_an_embedding_its_section_is_read_by_nobody() -> None:
    """A file may be named, and the sample rate be another."""
    tree = committed()
    tree["embedding"]["file"], tree["sample_rate"] = "gone.safetensors", 22_050
    assert problems(tree) == []
