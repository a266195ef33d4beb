"""What is installed is what was looked at: every package by version and by hash."""

import re
from pathlib import Path

import pytest

from locked import hashes, head, pins, spelt, with_hash
from tiny import ROOT

FILES = [ROOT / "requirements.txt", ROOT / "requirements-tools.txt"]
TEXTS = [file.read_text(encoding="utf-8") for file in FILES]


@pytest.mark.ml_test_score("Monitoring 1")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_package_has_one_version_and_its_hashes(file: Path) -> None:
    """No line is anything but a comment, a pin or a hash; so no host, no range and no extra is in it."""
    text = file.read_text(encoding="utf-8")
    kinds = (r"#.*", r"-r requirements\.txt", r"[\w.-]+==[\w.+!]+ \\", r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in text.splitlines() if not any(re.fullmatch(kind, line) for kind in kinds)] == []
    assert [pin for pin in pins(text) if not hashes(text, pin)] == []
    assert len(set(map(spelt, pins(text)))) == len(pins(text)) > 30
    assert sum(len(hashes(text, pin)) for pin in pins(text)) == text.count("--hash")


def test_no_package_is_pinned_twice() -> None:
    """What computes is in one file, what checks in the other, which builds on it."""
    assert not {*map(spelt, pins(TEXTS[0]))} & {*map(spelt, pins(TEXTS[1]))}
    assert "-r requirements.txt\n" in head(TEXTS[1])


def test_the_environment_is_made_with_hashes_alone() -> None:
    """Of the lines that install, all but two: the CUDA libraries that a CUDA torch pins, and this package itself."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("$(READY):")[2].partition("\n\n")[0]
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert sum("--require-hashes" in line for line in installs) == 3
    assert [line.split()[-1] for line in installs if "--require-hashes" not in line] == ['requirements.txt)"', "."]


def test_torch_is_accepted_from_the_index_and_as_its_cpu_build() -> None:
    """At least the files for Linux, macOS and Windows, and one more."""
    (torch,) = [pin for pin in pins(TEXTS[0]) if pin.startswith("torch==")]
    assert len(hashes(TEXTS[0], torch)) > 4


def test_a_hash_is_added_to_its_package_once() -> None:
    """First, beside those that were there; another package keeps its own."""
    text = "# why\na==1 \\\n    --hash=sha256:aa\nab==1 \\\n    --hash=sha256:bb\n"
    more = with_hash(text, "a", "cc")
    assert more == text.replace("a==1 \\\n", "a==1 \\\n    --hash=sha256:cc \\\n", 1)
    assert with_hash(more, "a", "cc") == more
    assert (hashes(more, "a==1"), hashes(more, "ab==1"), hashes(more, "c==1")) == (["cc", "aa"], ["bb"], [])
    assert (pins(more), head(more)) == (["a==1", "ab==1"], "# why\n")
