"""What Prometheus asks for: how long, how many, which scores and which refusals; nothing of a person or a file."""

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.exposition import generate_latest

from spira.scorer.answer import Answer
from spira.server.settings import About

_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # upper ends of a histogram's bars
_SCORES = tuple(tenth / 10 for tenth in range(1, 11))


class Metrics:
    """Counters of one server."""

    def __init__(self, about: About) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        package = Info("spira_package", "What answers", registry=registry)
        package.info({"package": about.package, "version": about.version, "model": about.model})
        self.requests = Histogram(
            "spira_request_seconds",
            "Time from a request for a score to its answer",
            ["status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._scores = Histogram("spira_score", "Scores of recordings", buckets=_SCORES, registry=registry)
        self._answers = Counter("spira_answers", "Answers to people", ["diagnosis"], registry=registry)
        self._refusals = Counter("spira_refusals", "Recordings without a score", ["code"], registry=registry)

    def count(self, answer: Answer) -> None:
        self._answers.labels(answer.diagnosis).inc()
        for recording in answer.recordings:
            if recording.score is not None:
                self._scores.observe(recording.score)
            if recording.refused is not None:
                self._refusals.labels(recording.refused.code).inc()

    def text(self) -> bytes:
        """In Prometheus's own form."""
        return generate_latest(self._registry)
