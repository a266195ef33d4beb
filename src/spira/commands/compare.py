"""compare: two commits or experiments -> which is better, by their predictions of the same clips."""

import click

from spira.base.errors import visible
from spira.repository.git import repository_root


@click.command
@click.argument("a")
@click.argument("b")
@click.option("--fetch", is_flag=True, help="Bring missing predictions from DVC's remote.")
def command(a: str, b: str, *, fetch: bool) -> None:
    """Say which of two commits or experiments is better.

    A and B are commits, branches or experiments' names. A difference is B less A, on the same clips, with its interval:
    of the models that the two deploy, then of each by its name. Markdown. The working tree is not read. `spira review`
    says what else changed between the two.

    \b
    Example:
      spira compare main HEAD

    Exit codes: 0 done, whichever is better; 1 one of the two cannot be read.
    """
    from spira.compare.read_side import compared, read_side
    from spira.compare.review import comparison
    from spira.compare.revision import resolve

    root = repository_root()
    sides = (read_side(resolve(root, name), from_remote=fetch) for name in (a, b))
    click.echo(visible(comparison(compared(*sides)), lines=True), nl=False)
