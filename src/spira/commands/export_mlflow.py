"""export-mlflow: a package into an MLflow registry, from which SPIRA's inference service loads it."""

import json
import subprocess
import sys
from pathlib import Path

import click

from spira.base.errors import DataError
from spira.repository.git import git, has_repository


@click.command
@click.argument("uri")
@click.option("--package", type=click.Path(path_type=Path), default=Path("data/package"), show_default=True)
@click.option("--name", default="spira", show_default=True, help="Of the registered model.")
@click.option("--python", type=click.Path(path_type=Path), default=Path(sys.executable), help="One that has MLflow.")
def command(uri: str, package: Path, name: str, python: Path) -> None:
    """Bring the package into an MLflow registry.

    URI is that of the tracking server, such as http://127.0.0.1:5000. The version gets the stage Production and the
    alias champion; its tags name the commit and the hashes of the package, data, parameters, code and requirements.
    What the registry hands out is read back and compared first. A package that is there already is not sent again.
    MLflow is none of our requirements: `python3.11 -m venv mlflow; mlflow/bin/pip install mlflow-skinny==3.17.2` makes
    it an environment of its own.

    \b
    Example:
      spira export-mlflow http://127.0.0.1:5000 --python mlflow/bin/python

    Exit codes: 0 registered; 1 the package is not whole, or MLflow failed, with its words.
    """
    from spira.package import mlflow_export
    from spira.scorer.contents import require_whole
    from spira.scorer.manifest import MANIFEST, read_manifest

    tags = {"package": require_whole(package), **read_manifest(package / MANIFEST).hashes.model_dump()}
    if has_repository(Path.cwd()):
        tags["commit"] = (
            git(Path.cwd(), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*").decode().strip()
        )
    arguments = [str(python), "-P", mlflow_export.__file__, str(package), uri, name, json.dumps(tags, allow_nan=False)]
    try:
        ran = subprocess.run(arguments, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DataError(f"{python}: cannot be started: {error.strerror}") from error
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"]
        if "No module named 'mlflow'" in said[-1]:
            said[-1] = f"{python} has no mlflow; --python names one that has, see --help"
        raise DataError(f"{uri}: {said[-1]}")
    click.echo(f"{name}, version {ran.stdout.split()[-1]}: stage {mlflow_export.STAGE}, alias {mlflow_export.ALIAS}")
