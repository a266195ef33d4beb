"""A package and a person's recordings -> the answer: the one way, for the command, for every server and for MLflow.

A recording goes through ingest's own limits, decoders and resampler, featurize's own rendering and predict's own
scoring, so that it gets the score that the pipeline gave it. Nothing is written, and nothing is asked of a network.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch

from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.encoders.store import load_encoder
from spira.features.params import frame_shape
from spira.features.rendering import make_renderer
from spira.models.device import prepare
from spira.predictions.loading import load_model
from spira.predictions.scoring import score
from spira.scorer.answer import UNTRAINED, Answer, Band, Refused, agree, answer
from spira.scorer.contents import require_whole
from spira.scorer.decoders import Decoded, Decoders, Source
from spira.scorer.manifest import MANIFEST, read_manifest

ENCODER = "encoder"  # folder of a frozen encoder's weights, where the models are given its frames
GOLDEN = "golden"  # folder of recordings, and of what they must give
GOLDEN_ANSWERS = "answers.json"


class Heard(NamedTuple):
    """A recording that has a score, and what was scored."""

    decoded: Decoded
    score: float  # probability of patient, [0, 1]


class Scorer:
    """A loaded package. ``scorer(recordings)`` may be called from several threads.

    Args:
        folder: the package.
        n_decoders: recordings that are decoded at once.
        check: whether its files are held to their hashes, and its golden recordings to their scores; False is for who
            is just making it.

    Raises:
        DataError: the package is not whole, or gives other scores here than where it was made.
    """

    def __init__(self, folder: Path, n_decoders: int = 1, *, check: bool = True) -> None:
        self.package = require_whole(folder) if check else ""
        self.manifest = read_manifest(folder / MANIFEST)
        self._decoders = Decoders(self.manifest.sample_rate, self.manifest.ingest, n_decoders)
        try:
            self._load(folder)
            if check:
                self._require_golden(folder / GOLDEN)
        except BaseException:
            self.close()
            raise

    def _load(self, folder: Path) -> None:
        p, device = self.manifest, prepare("cpu", seed=0)  # nothing is drawn
        torch.set_num_threads(1)  # a recording is too short to share; several come at once
        encoder = load_encoder(p.embedding, folder / ENCODER) if p.features.kind == "embedding" else None
        self._renderer = make_renderer(p.features, p.windows, p.sample_rate, encoder)
        self._models = [load_model(folder / "models" / member, device, "torch") for member in p.members]
        _, self._step = p.windows.frames(p.sample_rate, frame_shape(p.features, p.embedding, p.sample_rate))
        self.band = Band(p.threshold, p.inconclusive_width)
        self._scoring = Lock()  # torch's own threads are one; a second call waits a few hundredths of a second

    def __call__(self, recordings: Mapping[str, Source]) -> Answer:
        """The answer to one person's recordings.

        Args:
            recordings: by name, the file's path or its bytes; its format is taken from the content. Where a name is
                that of a task of the training, recordings by other names have no score.
        """
        return self.answer(self.hear_all(recordings))

    def hear_all(self, recordings: Mapping[str, Source]) -> dict[str, Heard | Refused]:
        """By name, each of one person's recordings with its score, or why it has none."""
        untrained = self.untrained(recordings)
        return {name: untrained.get(name) or self.hear(source) for name, source in recordings.items()}

    def answer(self, heard: Mapping[str, Heard | Refused]) -> Answer:
        """The answer to recordings that were heard."""
        scored = {name: one if isinstance(one, Refused) else one.score for name, one in heard.items()}
        return answer(scored, self.band, self.package)

    def untrained(self, names: Iterable[str]) -> dict[str, Refused]:
        """By name, the refusal of recordings of another task, where some are named after tasks of the training."""
        tasks = self.manifest.tasks
        if not set(tasks) & set(names):
            return {}
        reason = f"the model was trained on {' and '.join(tasks)} alone"
        return {name: Refused(code=UNTRAINED, reason=reason) for name in names if name not in tasks}

    def score(self, source: Source) -> float | Refused:
        """The probability of patient, in [0, 1]: the mean over the package's models; or why there is none."""
        heard = self.hear(source)
        return heard if isinstance(heard, Refused) else heard.score

    def hear(self, source: Source) -> Heard | Refused:
        """A recording with its score, or why it has none."""
        decoded = self._decoders(source)
        return decoded if isinstance(decoded, Refused) else Heard(decoded, self._score(decoded.waveform))

    def _score(self, waveform: Waveform) -> float:
        with self._scoring:
            frames, batch_size = [self._renderer(waveform)], self.manifest.predict.batch_size
            scores = [score(model, frames, step=self._step, batch_size=batch_size) for model in self._models]
        return float(np.mean(scores))

    def golden_answers(self, folder: Path) -> dict[str, float | str]:
        """By the name of a golden recording, its score, or the code of its refusal."""
        found = {path.name: self.score(path) for path in sorted(folder.glob("*.wav"))}
        return {name: one.code if isinstance(one, Refused) else one for name, one in found.items()}

    def _require_golden(self, folder: Path) -> None:
        expected, got = json.loads((folder / GOLDEN_ANSWERS).read_bytes()), self.golden_answers(folder)
        for name, answered in expected.items():
            if not agree(answered, got.get(name)):
                raise DataError(
                    f"{folder / name}: must give {answered}, as where the package was made, and gives "
                    f"{got.get(name)} here; install its requirements.txt"
                )

    def close(self) -> None:
        """Ends the decoders."""
        self._decoders.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
