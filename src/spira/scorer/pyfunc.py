"""MLflow's way in: what ``mlflow.pyfunc.load_model`` calls, and SPIRA's inference service after it.

The service calls ``predict([metadata, files])`` and unpacks ``(scores, diagnosis)``. An exception there would mean no
answer for ever, so whatever goes wrong is ``([], "inconclusive")``.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spira.scorer.decoders import Source
from spira.scorer.scorer import Scorer

LOG = logging.getLogger(__name__)
NOTHING: tuple[list[float], str] = ([], "inconclusive")


def _load_pyfunc(path: str) -> "SpiraModel":
    """The package at ``path``; the name is MLflow's."""
    return SpiraModel(Scorer(Path(path)))


class SpiraModel:
    """What MLflow wraps: ``predict`` is its name."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, model_input: Any, params: Any = None) -> tuple[list[float], str]:  # noqa: ARG002 - MLflow's
        """(the score of each recording that was not refused, ``positive`` | ``negative`` | ``inconclusive``).

        Args:
            model_input: ``[metadata, files]``. The metadata are not read, for they may hold the answer; ``files`` has,
                by the name of what was said, ``{"content": bytes, "filename": ...}``, of which the name is not read
                either. A recording that was not made has no bytes.
        """
        try:
            found = self.scorer(_recordings(model_input))
        except Exception:
            LOG.exception("no answer")
            return NOTHING
        return [one.score for one in found.recordings if one.score is not None], found.diagnosis


def _recordings(model_input: Sequence[Any]) -> dict[str, Source]:
    files: Mapping[str, Mapping[str, Any]] = model_input[1]
    return {str(name): bytes(file["content"]) for name, file in files.items()}
