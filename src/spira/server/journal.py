"""Numbers of each answer, kept in a file where the server was asked to; what cannot be kept costs no answer."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from spira.population.in_use import observed
from spira.population.log import append, require_writable
from spira.population.people import Answered
from spira.scorer.answer import Answer
from spira.scorer.scorer import Scorer

LOG = logging.getLogger("spira.server")


class Journal:
    """``journal(recordings, inference)`` -> the answer, of which a line is kept.

    Raises:
        DataError: the file cannot be written; once the server runs, that is logged.
    """

    def __init__(self, scorer: Scorer, path: Path) -> None:
        require_writable(path)
        self._scorer, self._path = scorer, path

    def __call__(self, recordings: Mapping[str, bytes], inference: str) -> Answer:
        p, heard = self._scorer.manifest, self._scorer.hear_all(recordings)
        found = self._scorer.answer(heard)
        kept = Answered(
            package=self._scorer.package,
            inference=inference,
            day=datetime.now(UTC).date(),
            score=found.score,
            diagnosis=found.diagnosis,
            recordings=tuple(observed(task, one, p) for task, one in heard.items()),
        )
        try:
            append(kept, self._path)
        except OSError as error:
            LOG.error("an answer was not kept: %s", error.strerror)  # noqa: TRY400 - the place says nothing
        return found
