"""retrain: new recordings, drift, age or feedback -> a branch with a model trained anew, and the evidence about it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from spira.base import arithmetic
from spira.base.errors import visible
from spira.repository.git import repository_root

TRAIN, NOT_KNOWN = 3, 4  # the exit codes of --check where a rule holds, and where nothing is known of any
_Folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command
@click.option("--check", is_flag=True, help="Say which rules hold, and do nothing.")
@click.option(
    "--from", "given", type=_Folder, metavar="FOLDER", help="The corpus's new version: metadata.csv and audio."
)
@click.option("--monitoring", type=_Folder, metavar="FOLDER", help="Where the reports of drift and feedback lie.")
@click.option("--json", "as_json", is_flag=True, help="With --check, for programs.")
@click.option("--force", is_flag=True, help="Train though no rule holds.")
@click.option("--pull-request", is_flag=True, help="Open a pull request, by gh.")
@click.option("--remote", default="origin", show_default=True, help="The git remote that the branch is pushed to.")
def command(
    *,
    check: bool,
    given: Path | None,
    monitoring: Path | None,
    as_json: bool,
    force: bool,
    pull_request: bool,
    remote: str,
) -> int:
    """Train again where a rule says so, on a branch of its own.

    The rules are the section `retrain` of params.yaml: new speakers, drift twice in a row, the champion's age, feedback
    below its promise. The corpus's new version comes from FOLDER, from where it is imported, or is what lies in
    data/raw. After `dvc repro`, one commit on the branch retrain/<date> has the results; a page says what the gate
    makes of them and what changed. Bytes and branch are pushed. Nothing is promoted. If it is killed, the same command
    finishes it; where nothing is new, it leaves no commit and no branch.

    \b
    Example:
      spira retrain --check --monitoring monitoring

    Exit codes: 0 done, or no rule holds; 1 something is not ready, or a step failed; with --check, 3 a rule holds, so
    train, and 4 nothing is known, for there is no champion.
    """
    if as_json and not check:
        raise click.UsageError("--json is for --check alone")
    root = repository_root()
    arithmetic.settle()  # before NumPy is imported
    from spira.retraining.run import Asked, look, retrain

    asked = Asked(
        root=root,
        remote=remote,
        given=given and given.resolve(),
        monitoring=monitoring,
        today=datetime.now(UTC).date(),
        force=force,
        pull_request=pull_request,
    )
    if not check:
        click.echo(visible(retrain(asked), lines=True))
        return 0
    found = look(asked)
    click.echo(json.dumps(found.tree(), allow_nan=False) if as_json else visible(found.text(), lines=True))
    if not found.known:
        return NOT_KNOWN
    return TRAIN if found.train else 0
