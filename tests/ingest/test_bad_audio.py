"""What strangers bring as recordings: nothing crashes, hangs or fills the memory, and no good file is lost."""

from pathlib import Path

import pytest

from bad_audio import ACCEPTED, CLASSES, crafted, mutated
from decoded import LIMITS, Outcome, outcome
from spira.clips.parallel import ordered_map
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Lost

N_MUTATIONS = 300  # of every format; `make reliability` tries 10,000


@pytest.mark.ml_test_score("Data 1")
def test_every_crafted_file_becomes_what_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 400 files of over 30 classes, none of which may end a worker; on a machine without ffmpeg."""
    monkeypatch.setenv("PATH", str(tmp_path))
    files = list(crafted())
    assert len(files) >= 200
    assert len({file.kind for file in files}) == len(CLASSES) >= 25
    paths = (file.write(tmp_path / str(i)) for i, file in enumerate(files))
    wrong = []
    with Guard(outcome, LIMITS, 2) as guard:
        for file, became in zip(files, ordered_map(guard, paths, 2), strict=True):
            code, reason = became if isinstance(became, Outcome) else ("lost", became.reason)
            if code not in file.may or (code != ACCEPTED and not reason):
                wrong.append(f"{file.kind}: {file.name!r}: {code}: {reason}; may be {', '.join(sorted(file.may))}")
    assert not wrong, "\n".join(wrong)


def test_no_mutation_ends_a_worker(tmp_path: Path) -> None:
    """Each is refused with a sentence, or accepted within the limits."""

    def path(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    codes = set()
    with Guard(outcome, LIMITS, 2) as guard:
        for became in ordered_map(guard, (path(*file) for file in mutated(N_MUTATIONS, seed=1)), 2):
            assert not isinstance(became, Lost | Failed), became
            assert became.code == ACCEPTED or became.reason
            codes.add(became.code)
    assert {ACCEPTED, "undecodable", "truncated"} < codes  # the mutations reach behind the header
