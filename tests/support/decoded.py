"""What becomes of one recording, and what the limits promise of an accepted one."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bad_audio import ACCEPTED, P
from spira.ingest.acceptance import Refusal, most_frames
from spira.ingest.decoding import decode
from spira.ingest.sandbox_worker import Limits

LIMITS = Limits(cpu_seconds=P.max_decode_seconds, megabytes=P.max_decode_megabytes)


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
