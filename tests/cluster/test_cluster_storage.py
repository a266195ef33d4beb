"""A cluster without a shared disk: what shards read and write goes by S3, on a server that checks signatures."""

import shutil
from collections.abc import Iterable, Iterator
from hashlib import md5
from pathlib import Path

import psutil
import pytest

from dask_cluster import Cluster, eventually
from s3_servers import Server
from shard_jobs import Joining
from spira.base.errors import DataError, ParamError
from spira.cluster import shards as elsewhere
from spira.cluster.address import Local, Scheduler, asked
from spira.cluster.fleet import Fleet
from spira.cluster.shards import Shard, make
from spira.storage.objects import Sender, Storage
from spira.storage.reads import Read
from tiny import ROOT

FILES = {"part": b"..34....", "small": b"one", "large": bytes(range(256)) * 100_000}
EXPECTED = {"part": b"= 34", "small": b"= one", "large": b"= " + FILES["large"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("rclone", tmp_path_factory.mktemp("server") / "store")
    yield server
    server.kill()


@pytest.fixture
def folder(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's, as far as a cluster reads it; how S3 is reached is in the environment."""
    here = tmp_path / "here"
    for name in ("params.yaml", "requirements.txt"):
        (here / "in").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, here / name)
    for name, content in FILES.items():
        (here / "in" / name).write_bytes(content)
    (here / "before").write_bytes(b"= ")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/support"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    for name, value in server.key.items():
        monkeypatch.setenv(name, value)
    return here


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"s3://bucket/{tmp_path.name}"


def made(where: Local | Scheduler, names: Iterable[str] = FILES) -> set[str]:
    """The folders in which shards were made; all are right, and nothing is left beside them."""
    shards = [Shard(name, [name], Path("out", name)) for name in names]
    found = {one.result for one in make(where, Joining(), shards, "joining")}
    assert not list(Path(".ckpt/shards").iterdir())
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == {name: EXPECTED[name] for name in names}
    shutil.rmtree("out")
    return found


@pytest.mark.usefixtures("folder")
def test_workers_that_share_no_disk_make_the_same_files(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a folder of its own, gone in the end, or with the next stage where this was killed.

    Objects lie as in DVC's remote, and none is sent again.
    """
    there, cluster = tmp_path / "there", Cluster(tmp_path)
    there.mkdir()
    try:
        worker = psutil.Process(cluster.worker(there, DASK_TEMPORARY_DIRECTORY=str(there)).pid)
        where = Scheduler(cluster.address, exposed=False, storage=url)
        with monkeypatch.context() as killed:
            killed.setattr(Fleet, "close", lambda _: None)
            killed.setattr(elsewhere, "_SECONDS_IDLE", 0.5)
            (place,) = made(where)
        assert Path(place, "before").exists()
        assert eventually(lambda: {child.status() for child in worker.children()} == {psutil.STATUS_ZOMBIE})
        prefix = url.rpartition("/")[2]
        keys = {key: server.client.head_object(Bucket="bucket", Key=key)["LastModified"] for key in server.keys(prefix)}
        assert made(where) != {place}
        assert eventually(lambda: not [*there.rglob("code.zip"), *there.rglob("before")])
    finally:
        cluster.stop()
    assert Path(place).is_relative_to(there)
    digests = {md5(content).hexdigest() for content in (*FILES.values(), b"= ", *EXPECTED.values())}
    objects = {key.removeprefix(f"{prefix}/files/md5/").replace("/", "") for key in keys}
    assert len(objects) == len(digests | objects) == len(digests) + 1  # the code
    assert {key: server.client.head_object(Bucket="bucket", Key=key)["LastModified"] for key in keys} == keys
    assert server.keys(prefix) == list(keys)


@pytest.mark.usefixtures("folder")
def test_an_object_that_is_cut_short_is_sent_again(server: Server, url: str) -> None:
    """One with other bytes of the same length ends the stage; it is named."""
    made(Local(1, url), ["small"])
    key = f"{url.rpartition('/')[2]}/files/md5/{md5(b'one').hexdigest()[:2]}/{md5(b'one').hexdigest()[2:]}"
    server.write(key, b"on")
    made(Local(1, url), ["small"])
    server.write(key, b"two")
    with pytest.raises(
        DataError, match=r"^the shard of small: \S+in/small: its object in s3://\S+, \w{32}, has other "
    ):
        made(Local(1, url), ["small"])


@pytest.mark.parametrize(
    ("environment", "url", "sentence"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "s3://bucket/x", r"the key is missing or refused \(.+\); see docs/how-to"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://bucket/x", r"no server \(.+\); is it up"),
        ({}, "s3://nowhere/x", r"not found \(.+\); is the bucket's name right"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("folder")
def test_storage_that_cannot_be_reached_is_said(
    environment: dict[str, str], url: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any worker begins."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match=f"^{url}: .*: {sentence}"):
        made(Local(1, url))


@pytest.mark.usefixtures("folder")
def test_what_lies_elsewhere_is_not_sent(url: str) -> None:
    """A worker would not look for it there."""
    with pytest.raises(DataError, match=rf"^/tmp: must lie in the folder that the stage runs in, to be sent to {url}$"):
        Sender(Storage(url)).sent([Read(Path("/tmp"))])


def test_storage_is_asked_for_by_its_address() -> None:
    """With a scheme; without SPIRA_CLUSTER it does nothing."""
    assert asked({"SPIRA_CLUSTER": "local:2", "SPIRA_CLUSTER_STORAGE": "s3://b/f"}) == Local(2, "s3://b/f")
    assert asked({"SPIRA_CLUSTER_STORAGE": "s3://b/f"}) is None
    for text in ("bucket", "s3:/b", "s3://", "://b"):
        with pytest.raises(
            ParamError, match=r"^SPIRA_CLUSTER_STORAGE: must be an address such as s3://bucket/folder, "
        ):
            asked({"SPIRA_CLUSTER": "local:2", "SPIRA_CLUSTER_STORAGE": text})
    with pytest.raises(DataError, match=r"^nosuch://b/f: "):
        Storage("nosuch://b/f")
