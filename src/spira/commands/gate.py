"""gate: the working folder's package -> whether it may be promoted, and why not."""

import click

from spira.base import arithmetic
from spira.base.errors import visible
from spira.repository.git import repository_root


@click.command
@click.option("--champion", metavar="VERSION", help="Compare with this version instead of the champion.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the whole record.")
@click.option("--plan", is_flag=True, help="Say how many speakers it takes to show which difference, and no more.")
@click.option("--remote", default="origin", show_default=True, help="The git remote that has the registry's tags.")
def command(*, champion: str | None, as_json: bool, plan: bool, remote: str) -> int:
    """Say whether this commit's package may be promoted.

    Each check passes, fails, or has no verdict where the evidence is lacking; only a package of which every check
    passes may be promoted. The package is compared with the champion on recordings that neither was trained on. The
    numbers are the section `gate` of params.yaml; docs/reference/gate.md has their reasons.

    \b
    Example:
      spira gate

    Exit codes: 0 every check passes; 1 some do not, which are named, or nothing can be said.
    """
    root = repository_root()
    arithmetic.settle()  # before NumPy is imported
    from spira.registry.gate import gate, power
    from spira.registry.listing import gate_text
    from spira.registry.tags import registry_name, shared_history

    history = shared_history(root, remote, registry_name(root))
    if plan:
        click.echo(power(root, history, champion))
        return 0
    found = gate(root, history, champion)
    click.echo(found.model_dump_json() if as_json else visible(gate_text(found), lines=True))
    return 0 if found.passed else 1
