"""A package in MLflow's registry: the version that is sent, read back and pointed to, and what SPIRA's service loads.

The second half starts a real tracking server on SQLite, by the Python that SPIRA_MLFLOW names: one that has mlflow, and
the packages of requirements.txt, which a package needs.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from in_process import spira
from packaged import MODELS, Packaged
from spira.package.mlflow_export import ALIAS, STAGE
from spira.scorer.contents import BY_MLFLOW, SUMS, require_whole, sums
from spira.scorer.scorer import Scorer

NOWHERE = "http://127.0.0.1:9"
LOAD = """
import json, sys
import mlflow
found = {}
for uri in sys.argv[2:]:
    model = mlflow.pyfunc.load_model(uri)
    content = open(sys.argv[1], "rb").read()
    files = {"aceite": {"content": b"", "filename": "a.wav"}, "frase": {"content": content, "filename": "b.wav"}}
    found[uri] = model.predict([{"respiratory_insufficiency_status": "positive"}, files])
print(json.dumps(found))
"""


def test_a_python_without_mlflow_and_none_at_all_are_said(packaged: Packaged) -> None:
    package = str(packaged.package("statistics"))
    environment = {"PATH": os.environ["PATH"]}
    ran = spira(packaged.root, "export-mlflow", NOWHERE, "--package", package, environment=environment)
    assert ran.returncode == 1
    assert f"{sys.executable} has no mlflow; --python names one that has, see --help" in ran.stderr
    none = ("--python", "/nowhere/python")
    ran = spira(packaged.root, "export-mlflow", NOWHERE, "--package", package, *none, environment=environment)
    assert ran.returncode == 1
    assert "/nowhere/python: cannot be started: No such file or directory" in ran.stderr


def test_a_package_that_is_not_whole_is_not_sent(packaged: Packaged, tmp_path: Path) -> None:
    folder = copytree(packaged.package("statistics"), tmp_path / "package")
    (folder / "evidence/probes.json").write_text("{}")
    ran = spira(packaged.root, "export-mlflow", NOWHERE, "--package", str(folder), environment={})
    assert ran.returncode == 1
    assert "not what was packaged: evidence/probes.json" in ran.stderr


def test_what_mlflow_adds_as_it_downloads_is_no_damage(packaged: Packaged, tmp_path: Path) -> None:
    """At the top alone: a file by that name elsewhere was added by nobody known."""
    folder = copytree(packaged.package("statistics"), tmp_path / "package")
    (folder / BY_MLFLOW).write_text("model_name: spira\nmodel_version: 1\n")
    assert require_whole(folder) == require_whole(packaged.package("statistics"))
    assert sums(folder) == (folder / SUMS).read_text()
    (folder / "code" / BY_MLFLOW).write_text("")
    with pytest.raises(Exception, match=f"not what was packaged: code/{BY_MLFLOW}"):
        require_whole(folder)


@pytest.fixture(scope="module")
def python() -> Path:
    if not (named := os.environ.get("SPIRA_MLFLOW")):
        pytest.skip("SPIRA_MLFLOW names no Python that has mlflow")
    return Path(named)


@pytest.fixture(scope="module")
def registry(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a tracking server, which keeps its tables in SQLite and hands out the files itself."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    store = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files"))
    command = [str(python), "-m", "mlflow", "server", *store, "--port", uri.rpartition(":")[2], "--workers", "1"]
    environment = {**os.environ, "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, process_group=0)
    until = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=5).close()
            break
        except OSError:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.5)
    yield uri
    os.killpg(server.pid, 15)
    server.wait()


@pytest.mark.long
def test_the_service_loads_what_was_exported_last(packaged: Packaged, python: Path, registry: str) -> None:
    """Each package once, however often it is sent; the stage and the alias lead to the last; its scores are ours."""
    recording = packaged.package("statistics") / "golden/phone.wav"

    def export(model: str) -> str:
        options = ("--package", str(packaged.package(model)), "--python", str(python))
        ran = spira(packaged.root, "export-mlflow", registry, *options, environment=os.environ)
        found = re.fullmatch(rf"spira, version (\d+): stage {STAGE}, alias {ALIAS}\n", ran.stdout)
        assert found, ran.stderr
        return found[1]

    assert [export(model) for model in ("pooled_cnn", "statistics", "statistics", "pooled_cnn")] == ["1", "2", "2", "1"]
    uris = ["models:/spira/Production", "models:/spira@champion", "models:/spira/2"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": registry, "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("PYTHONPATH", None)
    command = [str(python), "-W", "ignore", "-P", "-c", LOAD, str(recording), *uris[:2]]
    last = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    other = subprocess.run([*command[:-2], uris[2]], capture_output=True, text=True, env=environment, check=True)
    found = json.loads(last.stdout.splitlines()[-1]) | json.loads(other.stdout.splitlines()[-1])
    for uri, model in zip(uris, ("pooled_cnn", "pooled_cnn", "statistics"), strict=True):
        with Scorer(packaged.package(model)) as scorer:
            answer = scorer({"frase": recording})
        (score,), diagnosis = found[uri]
        assert score == pytest.approx(answer.score, abs=1e-6), uri
        assert diagnosis == answer.diagnosis


@pytest.mark.long
def test_the_versions_tags_name_what_it_was_made_from(packaged: Packaged, python: Path, registry: str) -> None:
    program = f"""
import json, mlflow
mlflow.set_tracking_uri({registry!r})
print(json.dumps({{one.version: one.tags for one in mlflow.MlflowClient().search_model_versions("name='spira'")}}))
"""
    ran = subprocess.run([str(python), "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    tags = json.loads(ran.stdout.splitlines()[-1])
    for version, model in zip(("1", "2"), MODELS, strict=True):
        folder = packaged.package(model)
        hashes = json.loads((folder / "package.json").read_bytes())["hashes"]
        assert tags[version] == {"package": require_whole(folder), **hashes}  # the corpus lies in no repository
