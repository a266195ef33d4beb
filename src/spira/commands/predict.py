"""predict: recordings and a package -> a score and an answer each, and one for the person whose they are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spira.base import arithmetic
from spira.base.errors import visible
from spira.repository.git import repository_root

if TYPE_CHECKING:
    from spira.scorer.answer import Answer
    from spira.scorer.manifest import Manifest

SOME_REFUSED, ALL_REFUSED = 3, 4
TOGETHER = "together, as one person"


@click.command
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--package", type=click.Path(path_type=Path), default=Path("data/package"), show_default=True)
@click.option("--model", metavar="NAME", help="Instead of --package, of the registry: champion, or a version.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the whole answer, on one line.")
def command(files: tuple[Path, ...], package: Path, model: str | None, as_json: bool) -> int:
    """Score recordings of one person by the packaged model.

    Research, not a diagnosis. The package is the folder that `dvc repro` makes of the deployed model. A recording goes
    the way that it went in training: the same limits, decoder, resampler, features and scoring. A file that ingest
    would refuse has no score, and its reason stands there instead. The person's score is the mean of the others. With
    --model the package is brought from DVC's cache or remote, held to its hash, and scores by its own code.

    \b
    Example:
      spira predict data/raw/demo/s0000_sentence.wav data/raw/demo/s0000_rhyme.wav

    Exit codes: 0 every recording has a score; 1 the package cannot be used; 3 some recordings were refused; 4 all were.
    """
    if model:
        from spira.registry.served import brought, run, words

        asked = [*words({"--json": as_json}), "--", *map(str, files)]
        status, said = run(brought(repository_root(), model, "origin"), "predict", asked)
        click.echo(said, nl=False)
        return status
    arithmetic.settle()  # before NumPy and torch are imported
    from spira.scorer.scorer import Scorer

    with Scorer(package) as scorer:
        answer = scorer({str(path): path for path in files})
        click.echo(answer.model_dump_json() if as_json else visible(text(answer, scorer.manifest), lines=True))
    n_refused = sum(recording.refused is not None for recording in answer.recordings)
    return 0 if n_refused == 0 else ALL_REFUSED if n_refused == len(files) else SOME_REFUSED


def text(answer: "Answer", manifest: "Manifest") -> str:
    """The answer as a table for people."""
    low, high = (answer.threshold + sign * answer.inconclusive_width / 2 for sign in (-1, 1))
    rows = [("recording", "score", "answer")]
    for one in answer.recordings:
        said = f"refused, {one.refused.code}: {one.refused.reason}" if one.refused else one.diagnosis
        rows.append((one.name, _score(one.score), said))
    if len(answer.recordings) > 1:
        rows.append((TOGETHER, _score(answer.score), answer.diagnosis))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(
        [
            f"{answer.notice} Model: {manifest.model}, trained on {manifest.corpus}.",
            f"Positive from a score of {answer.threshold:.3f}; between {low:.3f} and {high:.3f} inconclusive.",
            "",
            *(f"{name:<{widths[0]}}  {score:>{widths[1]}}  {said}" for name, score, said in rows),
        ]
    )


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"
