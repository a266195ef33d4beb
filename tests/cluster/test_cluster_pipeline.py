"""The pipeline is the same one on a cluster: the same stages, the same dvc.lock."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from in_process import dvc_here
from pipeline_clone import Clone
from s3_servers import Server
from spira.cluster import shards

STAGES = ("ingest", "featurize", "predict", "alter")


@pytest.fixture(params=["S3", pytest.param("shared disk", marks=pytest.mark.long)])
def by(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """By what files reach workers."""
    if request.param == "shared disk":
        yield {}
        return
    server = Server("rclone", tmp_path / "store")
    yield {"SPIRA_CLUSTER_STORAGE": "s3://bucket/dvc", "AWS_ENDPOINT_URL": server.url, **server.key}
    server.kill()


@pytest.mark.pipeline
def test_dvc_lock_is_the_same_on_a_cluster(
    reproduced: Clone, by: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stage that knows shards makes all of them in other processes; the bytes are those of ``dvc repro``."""
    clone, jobs = reproduced.copy(f"on_a_cluster_{tmp_path.name}"), []
    make = shards.make

    def watched(*arguments: Any) -> Iterator[shards.Finished]:
        jobs.append(type(arguments[1]).__name__)
        return make(*arguments)

    monkeypatch.setattr(shards, "make", watched)
    before = (clone.folder / "dvc.lock").read_bytes()
    environment = clone.environment() | {"SPIRA_CLUSTER": "local:2"} | by
    command = ["repro", "--force", "--single-item", *STAGES]
    result = dvc_here(clone.folder, *command, environment=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert jobs == ["Job", "FrameJob", "ScoreJob", "AlterJob"]
    assert (clone.folder / "dvc.lock").read_bytes() == before
