"""A package of a model that nobody trained, which promises what a test wants."""

import json
from collections.abc import Sequence
from pathlib import Path

from spira.scorer.contents import SUMS, sums
from untrained_package import write_package


def write_promised(folder: Path, patients: Sequence[float], controls: Sequence[float]) -> Path:
    """``folder/package``, whose threshold is 0.6 and whose band is 0.2 wide."""
    package = write_package(folder)
    path = package / "reference.json"
    reference = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(reference | {"promise": {"patients": list(patients), "controls": list(controls)}}))
    (package / SUMS).write_text(sums(package))
    return package
