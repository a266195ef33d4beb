"""What strangers bring as recordings: nothing crashes, hangs or fills the memory, and no good file is lost."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from bad_audio import ACCEPTED, CLASSES, P, crafted, mutated
from spira.adapters.audio import decode
from spira.adapters.guarded import Failed, Guard, Limits, Lost
from spira.adapters.workers import ordered_map
from spira.core.audio import Refusal, most_frames

LIMITS = Limits(cpu_seconds=P.max_decode_seconds, megabytes=P.max_decode_megabytes)
N_MUTATIONS = 300  # of every format; `make reliability` tries 10,000


class Outcome(NamedTuple):
    code: str
    reason: str = ""


def outcome(path: Path) -> Outcome:
    """What becomes of a file, with what the limits promise of an accepted one asserted; run in a worker."""
    decoded = decode(path, P, P.max_seconds)
    if isinstance(decoded, Refusal):
        return Outcome(*vars(decoded).values())
    samples, rate, _, _ = decoded
    assert samples.dtype == np.float32
    assert samples.ndim == 2
    assert P.min_sample_rate <= rate <= P.max_sample_rate
    assert 1 <= samples.shape[1] <= P.max_channels
    assert P.min_seconds * rate <= len(samples) <= most_frames(rate, P, P.max_seconds)
    assert np.isfinite(samples).all()
    return Outcome(ACCEPTED)


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
