"""Bring a package into an MLflow registry, from a Python that has MLflow: a program of its own, which needs no spira.

    python mlflow_export.py PACKAGE URI NAME TAGS

TAGS is a JSON object of text, of which ``package`` is the hash of PACKAGE/SHA256SUMS. The last line that it prints is
the number of the version. What the registry hands out is read back before anything points to it.
"""

import json
import os
import sys
import tempfile
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

STAGE, ALIAS = "Production", "champion"
SUMS = "SHA256SUMS"


def main(package: Path, uri: str, name: str, tags: dict[str, str]) -> str:
    """The number of the registered version.

    A package that is there already is not sent again; the stage and the alias are moved to it.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = [
        one for one in client.search_model_versions(f"name='{name}'") if one.tags.get("package") == tags["package"]
    ]
    version = str(known[0].version) if known else _send(mlflow, client, package, name, tags)
    _require_whole(mlflow, name, version, tags["package"])
    client.transition_model_version_stage(name, version, STAGE, archive_existing_versions=True)
    client.set_registered_model_alias(name, ALIAS, version)
    return version


def _send(mlflow: Any, client: Any, package: Path, name: str, tags: dict[str, str]) -> str:
    found = client.get_experiment_by_name(name)
    experiment = found.experiment_id if found else client.create_experiment(name)
    run = client.create_run(experiment, tags=tags).info.run_id
    client.log_artifacts(run, str(package), "model")
    client.set_terminated(run)
    return str(mlflow.register_model(f"runs:/{run}/model", name, tags=tags).version)


def _require_whole(mlflow: Any, name: str, version: str, package: str) -> None:
    """Exits where the registry hands out other bytes than those that were sent."""
    with tempfile.TemporaryDirectory() as folder:
        got = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=folder))
        written = (got / SUMS).read_bytes()
        lines = [line.partition("  ") for line in written.decode().splitlines()]
        wrong = [file for digest, _, file in lines if sha256((got / file).read_bytes()).hexdigest() != digest]
        if wrong or sha256(written).hexdigest() != package:
            sys.exit(f"version {version} of {name}: not what was sent: {', '.join(wrong) or SUMS}")


if __name__ == "__main__":
    os.environ |= {  # before MLflow is imported
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    warnings.filterwarnings("ignore", category=FutureWarning)  # of stages, which SPIRA's service asks for
    folder, uri, name, tags = sys.argv[1:]
    print(main(Path(folder), uri, name, json.loads(tags)))
