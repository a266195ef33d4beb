"""Whether the record of a registry is as it was made: nothing moved, forged, replaced or lost."""

from pathlib import Path

from spira.registry import tags
from spira.registry.history import History, contradictions, differences
from spira.registry.packages import PACKAGE, outs_at


def problems_of(root: Path, history: History) -> list[str]:
    """What is not right in a record, beside the commits that it names."""
    commits = sorted({event.tag.commit for event in history.events})
    folders = {commit: outs_at(root, commit).get(PACKAGE) for commit in commits}
    return [*history.problems, *contradictions(history, folders)]


def verify(root: Path, remote: str, registry: str) -> list[str]:
    """Where this clone's tags are not the remote's, and what is not right in them; [] where all is.

    Raises:
        DataError: the remote cannot be read.
    """
    here, there = tags.local_objects(root, registry), tags.remote_objects(root, remote, registry)
    return [*differences(here, there, remote), *problems_of(root, tags.local_history(root, registry))]
