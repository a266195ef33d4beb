"""reference.json of a package."""

from pathlib import Path

from pydantic import ValidationError

from spira.base.errors import DataError
from spira.population.reference import Reference


def read_reference(path: Path) -> Reference:
    """Raises DataError where the package is older than its reference, or another version wrote it."""
    try:
        return Reference.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file: the package was made before packages had one, or `data/package` is none; dvc repro"
        ) from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(f"{path}: {key}: {problem['msg']}; another version wrote it") from error
