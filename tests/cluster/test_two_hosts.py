"""Two hosts that share a folder and nothing else: other network, other /tmp, another path; by Linux's namespaces."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline_clone import Clone
from spira.repository.git import environment_without_git
from two_hosts import HOST, OTHER, lacking, run, second_host

STAGES = ("ingest", "featurize", "predict")
TLS = """
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout tls/ca.key -out tls/ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=spira -keyout tls/key.pem -out tls/request.pem
openssl x509 -req -days 2 -in tls/request.pem -CA tls/ca.pem -CAkey tls/ca.key -CAcreateserial -out tls/cert.pem
"""

SETTINGS = {
    f"DASK_DISTRIBUTED__COMM__TLS__{who}__{what.upper()}": f"tls/{what}.pem"
    for who in ("SCHEDULER", "WORKER", "CLIENT")
    for what in ("cert", "key")
} | {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": "tls/ca.pem", "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}


def digests(folder: Path) -> dict[str, str]:
    files = [folder / "data/predictions.csv", *folder.glob("data/clips/*"), *folder.glob("data/features/*/*")]
    return {str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest() for file in files}


@contextmanager
def running(*command: str, cwd: Path, env: dict[str, str]) -> Iterator[None]:
    with (cwd / "cluster.log").open("a") as log:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.long
@pytest.mark.pipeline
@pytest.mark.skipif(bool(lacking()), reason=lacking())
def test_two_hosts_that_share_a_folder_alone_make_the_same_bytes(reproduced: Clone) -> None:
    """By TLS; all shards are made on the second host. Where it has another folder it is refused by name."""
    clone = reproduced.copy("two_hosts")
    folder, before = clone.folder, digests(clone.folder)
    (folder / "tls").mkdir()
    for line in filter(None, TLS.splitlines()):
        run(*line.split(), cwd=folder)
    other = folder.with_name("other_folder")
    for name in ("tls", "src"):
        shutil.copytree(folder / name, other / name)
    scheduler = f"tls://{HOST}:18786"
    env = environment_without_git() | SETTINGS | {"PYTHONPATH": "src", "SPIRA_CLUSTER": scheduler}

    def stage(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"spira.stages.{name}"]
        return subprocess.run(command, cwd=folder, env=env, check=False, timeout=120, capture_output=True, text=True)

    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--host", HOST]
    worker = [sys.executable, "-m", "spira", "worker", scheduler, "--no-dashboard", "--nworkers", "2"]
    with (
        second_host(f"spira{os.getpid() % 10000}") as there,
        running(*dask, "--port", "18786", "--no-dashboard", "--no-jupyter", cwd=folder, env=env),
    ):
        with running(*there, str(other), *worker, cwd=folder, env=env):
            refused = stage("featurize")
        assert re.search(rf"^DataError: worker tls://{OTHER}:\d+: does not see {folder}, nor was it", refused.stderr)
        shutil.rmtree(folder / "data/features")
        with running(*there, str(folder), *worker, cwd=folder, env=env):
            for name in STAGES:
                done = stage(name)
                assert done.returncode == 0, done.stderr
    assert digests(folder) == before
