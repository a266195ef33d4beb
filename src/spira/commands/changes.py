"""changes: two revisions -> which clips were added, removed, relabelled, and whose they are."""

import click

from spira.base.errors import visible
from spira.repository.git import repository_root


@click.command
@click.argument("since", default="HEAD")
@click.argument("head", required=False)
def command(since: str, head: str | None) -> None:
    """List the clips added, removed and relabelled, by speaker.

    SINCE is the last commit unless given. Without HEAD, it is compared with what the last `dvc repro` made. Nothing is
    printed where the clips are the same.

    \b
    Example, since the last commit:
      spira changes

    Exit codes: 0 done; 1 a revision cannot be read.
    """
    from spira.compare.corpus_versions import changes_between, locked, locked_now
    from spira.compare.revision import resolve

    root = repository_root()
    after = locked(resolve(root, head)) if head else locked_now(root)
    if text := changes_between(root, locked(resolve(root, since)), after):
        click.echo(visible(text, lines=True))
