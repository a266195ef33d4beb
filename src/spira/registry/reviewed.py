"""Two commits -> their review, with what was registered before: the gate's section is foreseen, or given."""

from pathlib import Path

from spira.base.errors import DataError
from spira.compare.corpus_versions import corpus_changes_section
from spira.compare.read_side import compared, read_side, stale_stages
from spira.compare.review import review
from spira.compare.revision import resolve
from spira.compare.sides import Comparison
from spira.evaluation.markdown import inert
from spira.registry.preview import champion, preview


def reviewed(
    root: Path, base: str, head: str, *, from_remote: bool, gate: str | None = None
) -> tuple[str, Comparison, dict[str, list[str]]]:
    """What a reviewer reads: (Markdown, the two sides, why results of head are stale, by stage).

    Args:
        base, head: commits, branches or experiments' names.
        from_remote: whether predictions and tables that are not here are brought from DVC's remote.
        gate: the section about the gate; None for what it would say by the committed files.

    Raises:
        DataError: which results one of the two has cannot be read.
    """
    revisions = [resolve(root, name) for name in (base, head)]
    pair = compared(*(read_side(revision, from_remote=from_remote) for revision in revisions))
    stale = stale_stages(revisions[1], pair.head)
    try:
        clips = corpus_changes_section(*revisions, from_remote=from_remote)
    except DataError as error:
        clips = f"What changed in the corpus is not known: {inert(error)}."
    if gate is None:
        gate = preview(revisions[1], pair.head.params, stale, champion(root, pair.head.params))
    return review(pair, stale, clips, gate), pair, stale
