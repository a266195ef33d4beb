"""A hundred wrong params.yaml: each is refused before any work, with its key, its line and what may stand there."""

import re
from pathlib import Path

import pytest

from bad_params import COMMITTED, WRONG, changed
from spira.base.errors import ParamError
from spira.stages.check import run


def test_there_are_a_hundred() -> None:
    """Of different content, none of which is the committed one."""
    assert len({text for _, text in WRONG} - {COMMITTED}) == len(WRONG) >= 100


@pytest.mark.parametrize(("name", "text"), WRONG, ids=[name.strip()[:40] for name, _ in WRONG])
def test_a_wrong_file_is_refused(name: str, text: str | bytes, tmp_path: Path) -> None:
    """With the file, and, where it can be read, the line and the key; nothing is written; nothing in it is run."""
    params, out = tmp_path / "params.yaml", tmp_path / "checked"
    params.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ParamError) as error:
        run(params=params, out=out)
    assert not out.exists()
    for line in str(error.value).replace(f"{params}", "params.yaml").splitlines():
        whole_file = r"params\.yaml: (must|not readable)|params\.yaml: \w+: missing|  in .*, (line|position)"
        assert re.match(rf"params\.yaml:\d+: (not readable|[\w.]+: )|{whole_file}", line), (name, line)
    assert len(str(error.value)) < 5000


@pytest.mark.parametrize(
    "written", ["1e-5", "1E-5", "1.e-5", "1.0e-05", ".00001", "1e-05", "+1e-5", "0.00001", "1_0e-6"]
)
def test_a_small_number_is_read_in_all_its_spellings(written: str, tmp_path: Path) -> None:
    """None of them is text, as it would be for another reader of YAML."""
    (tmp_path / "params.yaml").write_text(changed("  lr:", f"  lr: {written}"), encoding="utf-8")
    run(params=tmp_path / "params.yaml", out=tmp_path / "checked")
    assert (tmp_path / "checked").exists()


def test_mistakes_in_four_sections_are_one_message(tmp_path: Path) -> None:
    """With what was probably meant."""
    text = COMMITTED
    for before, after in (("  lr:", "  lrr:"), ("kind: mfcc", "kind: MFCC"), ("\nseeds:", "\nseed:")):
        text = text.replace(before, after, 1)
    (tmp_path / "params.yaml").write_text(text.replace("n_mels: 40", "n_mels: '40'"), encoding="utf-8")
    with pytest.raises(ParamError) as error:
        run(params=tmp_path / "params.yaml", out=tmp_path / "checked")
    said = re.sub(r"^.*?params.yaml(:\d+)?: ", "", str(error.value), flags=re.MULTILINE).splitlines()
    assert said == [
        "seeds: missing; code has no defaults, so write it",
        "seed: unknown section; did you mean 'seeds'?",
        "features.kind: must be 'mfcc', 'mel', 'spectrogram' or 'embedding', got 'MFCC'; did you mean mfcc?",
        "features.n_mels: must be a valid integer, got '40'; did you mean 40?",
        "train.lr: missing; code has no defaults, so write it",
        "train.lrr: unknown parameter; did you mean 'lr'?",
    ]
