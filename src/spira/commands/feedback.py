"""feedback: what came to be known of people, and what they were answered -> whether the champion keeps its promise."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spira.base import arithmetic
from spira.base.errors import visible
from spira.repository.git import repository_root

if TYPE_CHECKING:
    from spira.monitoring.feedback_result import Feedback

BELOW, TOO_FEW = 3, 4
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
    The numbers are the section `feedback` of params.yaml.

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
        from spira.registry.served import brought, run

        given = {"--log": log, "--recordings": recordings, "--out": out}
        asked = [word for name, path in given.items() if path for word in (name, str(path))]
        asked += [*(["--json"] if as_json else []), "--", str(feedback)]
        status, said = run(brought(repository_root(), model, "origin"), "feedback", asked)
        click.echo(said, nl=False)
        return status
    found = _found(feedback, log, recordings, package, today)
    from spira.monitoring.feedback_files import write_feedback
    from spira.monitoring.feedback_page import as_markdown

    if out:
        write_feedback(found, out)
    if as_json:
        click.echo(found.model_dump_json())
    else:
        click.echo(visible(f"{found.verdict}: {found.reason}" if out else as_markdown(found), lines=True))
    return _CODES[found.verdict]


def _found(feedback: Path, log: Path | None, recordings: Path | None, package: Path, today: date) -> "Feedback":
    arithmetic.settle()  # before NumPy and torch are imported
    from spira.base.params import load
    from spira.monitoring import feedback_answers, feedback_files
    from spira.monitoring.feedback import judge
    from spira.monitoring.feedback_params import FeedbackParams
    from spira.monitoring.feedback_people import join
    from spira.monitoring.feedback_table import read_feedback

    p = load("feedback", FeedbackParams)
    known, champion = read_feedback(feedback, today), feedback_files.read_champion(package)
    if log:
        asked = feedback_answers.asked_in_log(log, champion.package)
    if recordings:
        brought = feedback_answers.read_folder(recordings)
        with feedback_files.scoring(package) as (hear, tasks):
            asked = feedback_answers.asked_in_folder(feedback_answers.hear_all(brought, hear, tasks))
    return judge(champion, asked, join(asked, known), today, p)


def _added(feedback: Path, log: Path | None, recordings: Path, package: Path, corpus: Path, today: date) -> str:
    from spira.monitoring import feedback_answers, feedback_files
    from spira.monitoring.feedback_corpus import add_to_corpus
    from spira.monitoring.feedback_table import read_feedback

    known = read_feedback(feedback, today)
    with feedback_files.reading(package) as (hear, name):
        heard = feedback_answers.hear_all(feedback_answers.read_folder(recordings), hear, ())
    asked = feedback_answers.asked_in_folder(heard)
    if log:  # whose inference ids stand for recordings too
        asked = feedback_answers.asked_together(asked, feedback_answers.asked_in_log(log, name))
    added = add_to_corpus(heard, asked, known, corpus)
    lost = f"; its table lacks the columns {', '.join(added.lost)}" if added.lost else ""
    there = f"; {added.n_there} were there already" if added.n_there else ""
    return f"{corpus}: {added.n_added} recordings added{there}{lost}"
