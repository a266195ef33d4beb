"""What `spira feedback` reads of a package, and the files that it writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.base.tables import read_json, write_json
from spira.monitoring.feedback import Champion
from spira.monitoring.feedback_answers import Hear
from spira.monitoring.feedback_page import LEVELS, NOTICE, TITLE, as_markdown, sections
from spira.monitoring.feedback_performance import Labelled, labelled_people
from spira.monitoring.feedback_result import Feedback
from spira.report.files import render, write_texts
from spira.scorer.answer import Band, Refused
from spira.scorer.contents import require_whole
from spira.scorer.decoders import Decoders
from spira.scorer.manifest import MANIFEST, Probability, read_manifest

if TYPE_CHECKING:
    from spira.scorer.scorer import Scorer

REFERENCE = "reference.json"
TEMPLATE = Path(__file__).with_name("feedback.html")


class _Promise(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)
    patients: tuple[Probability, ...]
    controls: tuple[Probability, ...]


def read_champion(package: Path) -> Champion:
    """The package's threshold, band and promise; raises DataError where it is not whole or promises nothing."""
    name, manifest = require_whole(package), read_manifest(package / MANIFEST)
    band = Band(manifest.threshold, manifest.inconclusive_width)
    return Champion(name, band, read_promise(package / REFERENCE))


def read_promise(path: Path) -> Labelled:
    """The people of the test set, by their scores; raises DataError where the package holds none."""
    try:
        promise = _Promise.model_validate(read_json(path).get("promise"))
        return labelled_people(promise.patients, promise.controls)
    except (AttributeError, ValidationError) as error:
        raise DataError(f"{path}: promise: must hold the scores of patients and of controls; dvc repro") from error


@contextmanager
def scoring(package: Path) -> Iterator[tuple[Hear, tuple[str, ...]]]:
    """A function that reads a recording and scores it by the package, and the tasks of its training."""
    from spira.scorer.scorer import Scorer  # torch: seconds, which a log need not wait for

    with Scorer(package) as scorer:
        yield partial(_scored, scorer), scorer.manifest.tasks


def _scored(scorer: "Scorer", path: Path) -> tuple[Waveform, float | None] | Refused:
    waveform = scorer._decoders(path)
    return waveform if isinstance(waveform, Refused) else (waveform, scorer._score(waveform))


@contextmanager
def reading(package: Path) -> Iterator[tuple[Hear, str]]:
    """A function that reads a recording as the package does, without a score; and the package's hash."""
    name = require_whole(package)
    manifest = read_manifest(package / MANIFEST)
    decoders = Decoders(manifest.sample_rate, manifest.ingest, 1)
    try:
        yield partial(_read, decoders), name
    finally:
        decoders.close()


def _read(decoders: Decoders, path: Path) -> tuple[Waveform, float | None] | Refused:
    waveform = decoders(path)
    return waveform if isinstance(waveform, Refused) else (waveform, None)


def write_feedback(found: Feedback, out: Path) -> None:
    """feedback.json, feedback.md and feedback.html, which opens from disk."""
    write_json(found.model_dump(mode="json"), out / "feedback.json")
    page = {
        "title": TITLE,
        "origin": f"{NOTICE} Looked at on {found.day}; package {found.package[:12]}.",
        "level": LEVELS[found.verdict],
        "verdict": found.verdict,
        "reason": found.reason,
        "sections": sections(found),
    }
    write_texts({out / "feedback.md": as_markdown(found), out / "feedback.html": render(page, TEMPLATE)})
