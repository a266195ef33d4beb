"""table: the experiments of a table -> one row each, aligned as text that is Markdown too."""

from pathlib import Path

import click

from spira.base.errors import visible


@click.command
@click.argument("plan", type=Path)
@click.option("--rev", default="HEAD", show_default=True, help="The commit that the experiments started from.")
def command(plan: Path, rev: str) -> None:
    """Print what came out of a table or a study.

    PLAN is a file of experiments/. Each row has a line a model, with its metrics and, from the predictions in DVC's
    cache, its spread over seeds and its difference from the first row. Of a study, each trial has its validation loss.
    Markdown.

    \b
    Example, after `spira sweep experiments/ablation.yaml`:
      spira table experiments/ablation.yaml

    Exit codes: 0 done; 1 the plan is wrong, or a study has not run.
    """
    from spira.compare.experiments import table

    click.echo(visible(table(plan, rev), lines=True), nl=False)
