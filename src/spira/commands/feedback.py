"""feedback: what came to be known of people, and what they were answered -> whether the champion keeps its promise."""

import sys
from contextlib import redirect_stdout
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spira.base import arithmetic
from spira.repository.git import repository_root

if TYPE_CHECKING:
    from spira.monitoring.feedback_people import Asked
    from spira.monitoring.feedback_result import Feedback

BELOW, TOO_FEW = 3, 4
_CORPUS = Path("data/clips/clips.csv")  # of the working folder
_CODES = {"as promised": 0, "below its promise": BELOW, "too few": TOO_FEW}


@click.command
@click.argument("feedback", type=click.Path(path_type=Path))
@click.option("--log", type=click.Path(path_type=Path), help="What `spira serve --log` kept: a line a person.")
@click.option("--recordings", type=click.Path(path_type=Path), help="A folder of recordings, which are scored now.")
@click.option("--package", type=click.Path(path_type=Path), default=Path("data/package"), show_default=True)
@click.option("--model", metavar="NAME", help="Instead of --package, of the registry: champion, or a version.")
@click.option("--out", type=click.Path(path_type=Path), help="A folder for feedback.json, feedback.md, feedback.html.")
@click.option(
    "--to-corpus",
    type=click.Path(path_type=Path),
    help="Judge nothing; add the labelled of --recordings to this corpus, without a hospital's names.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: all that was found, on one line.")
def command(
    *,
    feedback: Path,
    log: Path | None,
    recordings: Path | None,
    package: Path,
    model: str | None,
    out: Path | None,
    to_corpus: Path | None,
    as_json: bool,
) -> int:
    """Say whether the champion keeps what its test set promised.

    FEEDBACK is a CSV file with the columns id, label, known_on and source: the digest of a waveform or the inference
    id of an answer, patient or control, a date, and who knew it. It is joined with whom the package answered. Bounds on
    the fall of sensitivity and specificity hold at every look at once, so it may be looked at as often as one likes.
    Whose recordings are in data/clips is left out. The numbers are the section `feedback` of params.yaml.

    \b
    Example:
      spira feedback feedback.csv --log answers.jsonl --out monitoring/2026-11-28

    Exit codes: 0 as promised, or recordings were added; 1 something cannot be read; 3 below its promise; 4 too few
    people, or too one-sidedly labelled, to say.
    """
    today = datetime.now(UTC).date()
    if to_corpus:
        if recordings is None or model:
            raise click.UsageError("--to-corpus needs --recordings, the folder of what is to be added, and no --model")
        click.echo(_added(feedback, log, recordings, package, to_corpus, today))
        return 0
    if (log is None) == (recordings is None):
        raise click.UsageError("one of --log and --recordings is needed: what was answered")
    if model:
        from spira.registry.served import brought, run, words

        options = {"--log": log, "--recordings": recordings, "--out": out, "--json": as_json}
        status, said = run(
            brought(repository_root(), model, "origin"), "feedback", [*words(options), "--", str(feedback)]
        )
        click.echo(said, nl=False)
        return status
    arithmetic.settle()  # before NumPy and torch are imported
    from spira.monitoring.feedback_page import feedback_page
    from spira.monitoring.files import delivered

    found = _found(feedback, log, recordings, package, today)
    click.echo(delivered(feedback_page(found), found, out, "feedback", as_json=as_json), nl=False)
    return _CODES[found.verdict]


def _found(feedback: Path, log: Path | None, recordings: Path | None, package: Path, today: date) -> "Feedback":
    from spira.base.params import load
    from spira.monitoring.feedback import Champion, judge
    from spira.monitoring.feedback_answers import asked_in_log
    from spira.monitoring.feedback_params import FeedbackParams
    from spira.monitoring.feedback_people import join
    from spira.monitoring.feedback_performance import labelled_people
    from spira.monitoring.feedback_table import read_feedback
    from spira.population.reference import REFERENCE
    from spira.population.reference_file import read_reference
    from spira.scorer.answer import Band
    from spira.scorer.contents import require_whole
    from spira.scorer.manifest import MANIFEST, read_manifest

    p, known, hash_ = load("feedback", FeedbackParams), read_feedback(feedback, today), require_whole(package)
    manifest, promise = read_manifest(package / MANIFEST), read_reference(package / REFERENCE).promise
    band = Band(manifest.threshold, manifest.inconclusive_width)
    champion = Champion(hash_, band, labelled_people(promise.patients, promise.controls))
    asked = asked_in_log(log, hash_) if log else _scored(recordings, package)
    return judge(champion, asked, join(asked, known, _corpus()), today, p)


def _corpus() -> frozenset[str]:
    """The digests of the corpus that lies here, on which the package may have been trained; none where none does."""
    import polars as pl

    from spira.base.tables import read_table

    return frozenset(read_table(_CORPUS, {"digest": pl.String})["digest"]) if _CORPUS.is_file() else frozenset()


def _scored(recordings: Path | None, package: Path) -> "Asked":
    """The people of a folder, by the package's own scores."""
    from spira.clips.parallel import n_cores
    from spira.monitoring.feedback_answers import asked_of
    from spira.population.in_use import in_folder
    from spira.scorer.scorer import Scorer

    assert recordings is not None
    with redirect_stdout(sys.stderr), Scorer(package, n_decoders=n_cores()) as scorer:
        use = in_folder(recordings, scorer)
        for said in use.said:
            print(said)
    return asked_of(use.people.values())


def _added(feedback: Path, log: Path | None, recordings: Path, package: Path, corpus: Path, today: date) -> str:
    from spira.monitoring.feedback_answers import asked_in_log, asked_together, brought_by
    from spira.monitoring.feedback_corpus import add_to_corpus, read_folder
    from spira.monitoring.feedback_table import read_feedback
    from spira.scorer.contents import require_whole
    from spira.scorer.manifest import MANIFEST, read_manifest

    known, hash_ = read_feedback(feedback, today), require_whole(package)
    brought = read_folder(recordings, read_manifest(package / MANIFEST))
    asked = brought_by([one.heard for one in brought], recordings)
    if log:  # whose inference ids stand for recordings too
        asked = asked_together(asked, asked_in_log(log, hash_))
    added = add_to_corpus(brought, asked, known, corpus)
    lost = f"; its table lacks the columns {', '.join(added.lost)}" if added.lost else ""
    there = f"; {added.n_there} were there already" if added.n_there else ""
    return f"{corpus}: {added.n_added} recordings added{there}{lost}"
