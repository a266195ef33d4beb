"""Two hosts that share a folder, or S3, and nothing else: other network, other /tmp, by Linux's namespaces."""

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
from s3_servers import Server
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
def test_two_hosts_that_share_a_folder_or_s3_alone_make_the_same_bytes(reproduced: Clone, tmp_path: Path) -> None:
    """By TLS; all shards are made on the second host. Where it has another folder it is refused by name, without S3."""
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

    def stage(name: str, **by: str) -> subprocess.CompletedProcess[str]:
        command, own = [sys.executable, "-m", f"spira.stages.{name}"], env | by
        return subprocess.run(command, cwd=folder, env=own, check=False, timeout=120, capture_output=True, text=True)

    def made_anew(**by: str) -> dict[str, str]:
        for out in ("clips", "features"):
            shutil.rmtree(folder / "data" / out)
        for name in STAGES:
            done = stage(name, **by)
            assert done.returncode == 0, done.stderr
        return digests(folder)

    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--host", HOST]
    worker = [sys.executable, "-m", "spira", "worker", scheduler, "--no-dashboard", "--nworkers", "2"]
    with (
        second_host(f"spira{os.getpid() % 10000}") as there,
        running(*dask, "--port", "18786", "--no-dashboard", "--no-jupyter", cwd=folder, env=env),
    ):
        server = Server("rclone", tmp_path / "store", HOST)
        by = {"AWS_ENDPOINT_URL": server.url, **server.key}
        with running(*there, str(other), *worker, cwd=folder, env=env | by):
            refused = stage("featurize")
            by_s3 = made_anew(SPIRA_CLUSTER_STORAGE="s3://bucket/dvc", **by)
        server.kill()
        with running(*there, str(folder), *worker, cwd=folder, env=env):
            by_folder = made_anew()
    assert re.search(rf"^DataError: worker tls://{OTHER}:\d+: it does not see {folder}, nor was it", refused.stderr)
    assert by_s3 == by_folder == before
