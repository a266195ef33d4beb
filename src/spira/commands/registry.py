"""registry: the tags of promotions -> versions, stages, when, by whom, by which gate and from what."""

import json

import click

from spira.base.errors import DataError, visible
from spira.repository.git import repository_root


@click.command
@click.option("--json", "as_json", is_flag=True, help="For programs: everything, with each gate's record.")
@click.option("--verify", is_flag=True, help="Fail where a tag was moved, forged or lost.")
@click.option("--remote", default="origin", show_default=True, help="The git remote that has the registry's tags.")
def command(*, as_json: bool, verify: bool, remote: str) -> None:
    """List versions, what is in use, and who promoted it.

    With --verify the tags of this clone are held to those of the remote, and each record to its commit: a tag that was
    moved, forged, replaced or lost is named.

    \b
    Example:
      spira registry --verify

    Exit codes: 0 done; 1 with --verify, something is not as it was made.
    """
    root = repository_root()
    from spira.registry import tags

    name = tags.registry_name(root)
    if verify:
        from spira.registry.verification import verify as problems

        if found := problems(root, remote, name):
            raise DataError(f"registry {name}: " + "\n  ".join(found))
        click.echo(f"every tag is as on {remote}, and every record agrees with its commit")
        return
    from spira.registry.listing import listing, text

    history = tags.shared_history(root, remote, name)
    click.echo(json.dumps(listing(history), allow_nan=False) if as_json else visible(text(history), lines=True))
