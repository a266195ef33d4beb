"""The files of a package, held to their hashes."""

from hashlib import sha256
from pathlib import Path

from spira.base.errors import DataError
from spira.base.files import hash_file

SUMS = "SHA256SUMS"
BY_MLFLOW = "registered_model_meta"  # MLflow adds it to what it takes from a registry: name and version


def files_in(folder: Path) -> list[Path]:
    """Every file of a package but ``SHA256SUMS``, sorted.

    What Python compiles as it imports is none of it, nor what MLflow adds, of which nothing is read.
    """
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path for path in files if path not in (folder / SUMS, folder / BY_MLFLOW))


def sums(folder: Path) -> str:
    """The content of ``SHA256SUMS``: a line a file, as ``sha256sum`` writes and checks it."""
    return "".join(f"{hash_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files_in(folder))


def require_whole(folder: Path) -> str:
    """The hash of the package: that of its ``SHA256SUMS``.

    Raises:
        DataError: a file is missing, was changed or was added.
    """
    path = folder / SUMS
    try:
        written = path.read_text(encoding="utf-8")
    except OSError as error:
        nothing = folder / "README.md"  # where there is nothing to deploy, it says so
        way_out = f"see {nothing}" if nothing.is_file() else "a package is the folder that `dvc repro package` writes"
        raise DataError(f"{path}: {error.strerror}; {way_out}") from error
    lines, found = set(written.splitlines()), set(sums(folder).splitlines())
    if wrong := sorted({line.partition("  ")[2] for line in lines ^ found}):
        listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise DataError(f"{folder}: not what was packaged: {listed}; take the package anew")
    return sha256(written.encode()).hexdigest()
