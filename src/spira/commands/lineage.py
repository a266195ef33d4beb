"""lineage: a version, or a package that is served -> what it was made from; a recording -> the versions that met it."""

import json

import click

from spira.base.errors import visible
from spira.repository.git import repository_root


@click.command
@click.argument("name")
@click.option("--recordings", is_flag=True, help="List the hash of each recording.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--remote", default="origin", show_default=True, help="The git remote that has the registry's tags.")
def command(*, name: str, recordings: bool, as_json: bool, remote: str) -> None:
    """Trace a version to its recordings, and back.

    NAME is a version, a stage, or the first digits of the hash of a package, which every answer of a server holds; or
    the whole hash of a recording, of its samples or of its file.

    \b
    Example:
      spira lineage champion

    Exit codes: 0 done; 1 nothing has this name, or what it was made from cannot be brought.
    """
    root = repository_root()
    from spira.registry.lineage import lineage
    from spira.registry.listing import lineage_text
    from spira.registry.tags import registry_name, shared_history

    history = shared_history(root, remote, registry_name(root))
    found = lineage(root, history, name, recordings=recordings)
    click.echo(json.dumps(found, allow_nan=False) if as_json else visible(lineage_text(found), lines=True))
