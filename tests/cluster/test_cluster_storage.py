"""A cluster without a shared disk: what shards read and write goes by S3, on a server that checks signatures."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import ZipFile

import fsspec
import psutil
import pytest

from dask_cluster import Cluster, eventually
from s3_servers import Server, Wire
from shard_jobs import Joining
from spira.base.errors import DataError, MachineError, ParamError
from spira.base.files import write_bytes
from spira.base.params import load
from spira.cluster import on_worker
from spira.cluster import shards as elsewhere
from spira.cluster.address import Local, Scheduler, asked
from spira.cluster.fleet import Fleet, fleet
from spira.cluster.messages import SentFolder
from spira.cluster.shards import Shard, make
from spira.cluster.stage_folder import open_folder
from spira.ingest.acceptance import IngestParams, Refusal
from spira.ingest.decoding import decode
from spira.storage.objects import Sender, Sent, Storage
from spira.storage.reads import Read
from tiny import ROOT

FILES = {"part": b"..345678..", "small": b"one", "large": bytes(range(256)) * 100_000}
EXPECTED = {
    "part2": b"= 34", "part4": b"= 56", "part6": b"= 78", "small": b"= one", "large": b"= " + FILES["large"],
}  # fmt: skip


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


def made(where: Local | Scheduler, names: Iterable[str] = EXPECTED) -> set[str]:
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
    """Each in a folder of its own, gone in the end, also where the stage could not say so; a shard at a time.

    Objects lie as in DVC's remote, and none is sent again.
    """
    there, cluster = tmp_path / "there", Cluster(tmp_path)
    there.mkdir()
    try:
        started = cluster.worker(there, options=["--nthreads", "2"], DASK_TEMPORARY_DIRECTORY=str(there))
        worker = psutil.Process(started.pid)
        where = Scheduler(cluster.address, exposed=False, storage=url)
        with monkeypatch.context() as killed:
            killed.setattr(Fleet, "close", lambda _: None)
            (place,) = made(where)
        assert eventually(lambda: not worker.children())
        assert eventually(lambda: not Path(place).exists())
        prefix = url.rpartition("/")[2]
        keys = {key: server.client.head_object(Bucket="bucket", Key=key)["LastModified"] for key in server.keys(prefix)}
        monkeypatch.setattr(elsewhere, "MOST_TRIES", 1)
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
    damaged = r"in/\w+: its object in s3://\S+, \w{32}, has other bytes; remove it there"
    server.write(key, b"two")
    with pytest.raises(DataError, match=rf"^the shard of small: on worker \S+: {damaged}"):
        made(Local(1, url), ["small"])
    storage, path = Storage(url), Path("in/part")
    (sent,) = sent_by(storage, Read(path, [(2, 4)]))
    storage.bring(sent, Path("there/part"))
    assert Path("there/part").read_bytes() == bytes(2) + b"34" + bytes(6)
    server.write(f"{url.rpartition('/')[2]}/files/md5/{sent.md5[:2]}/{sent.md5[2:]}", b"..XX5678..")
    with pytest.raises(DataError, match=f"^{damaged}"):
        storage.bring(sent, Path("there/part"))


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
def test_what_is_no_file_is_there_what_it_is_here(url: str) -> None:
    """So a recording that is refused is refused with the same words."""
    os.mkfifo("in/pipe")
    Path("in/folder").mkdir()
    Path("in/broken").symlink_to("nowhere")
    Path("in/loop").symlink_to("loop")
    Path("in/link").symlink_to("small")
    storage = Storage(url)
    names = ["pipe", "folder", "broken", "loop", "link", "missing", "small", "small/inside", "n" * 300]
    for sent in sent_by(storage, *(Read(Path("in", name)) for name in names)):
        storage.bring(sent, Path("there", sent.path))
    for name in names:
        assert _described(Path("there/in", name)) == _described(Path("in", name))
    assert Path("there/in/link").read_bytes() == b"one"


def _described(path: Path) -> str:
    refused = decode(path, load("ingest", IngestParams), max_seconds=1.0)
    assert isinstance(refused, Refusal)
    return refused.reason


def sent_by(storage: Storage, *reads: Read) -> tuple[Sent, ...]:
    with closing(Sender(storage)) as sender:
        return sender.sent(reads)


@pytest.mark.usefixtures("folder")
def test_a_file_that_changes_while_it_is_sent_leaves_no_object(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes would not be those of its name, in what may be DVC's remote."""
    storage = Storage(url)
    put, path = storage._files.put_file, Path("in/small")

    def changed_meanwhile(*arguments: Any, **options: Any) -> None:
        path.write_bytes(b"other")
        put(*arguments, **options)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(storage._files, "put_file", changed_meanwhile)
        with pytest.raises(DataError, match=r"^in/small: changed while it was sent; run again once nobody writes to"):
            storage.send(path)
    assert server.keys(url.rpartition("/")[2]) == []
    assert storage.send(path) == md5(b"other").hexdigest()


@pytest.mark.usefixtures("folder")
def test_a_stage_that_fails_waits_for_no_upload(server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does Ctrl-C, where the server takes no more: requests end by themselves after a minute only."""
    with Wire(server.port, way="up", n_bytes=10_000_000, then="silent") as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
        sender = Sender(Storage(url))
        sender.begin([Read(Path("in/large"))])
        assert eventually(lambda: wire.over)
        began = time.monotonic()
        sender.close()
    assert time.monotonic() - began < 10


class _CutShort(BaseHTTPRequestHandler):
    """Promises an object of 100 bytes, sends ten, and closes the connection."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"ten bytes.")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.usefixtures("folder")
def test_an_answer_that_breaks_off_is_a_fault_of_the_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks may try again; neither botocore nor s3fs names it as one of its own errors."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _CutShort)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    sent = Sent("in/small", "0" * 32, 100, (), "in/small")
    with server, pytest.raises(MachineError, match=rf"^{url}: in/small: the transfer broke off \(Response payload"):
        Storage(url).bring(sent, Path("there"))
    server.shutdown()


@pytest.mark.usefixtures("folder")
def test_a_worker_that_lacks_a_file_or_the_room_for_it_leaves_it_to_another(url: str, tmp_path: Path) -> None:
    """A folder that cannot be filled is gone, and so is one that is removed while a file is on its way.

    A recording is named as in the stage's own messages.
    """
    with pytest.raises(MachineError, match=r"^s3://nowhere/x: pseudonym: not found"):
        Storage("s3://nowhere/x").send(Path("in/small"), "pseudonym")
    write_bytes(archive(), Path("code.zip"))
    own, read = tmp_path / "own", Read(Path("in/small"), shown="pseudonym")
    code, before, small = sent_by(Storage(url), Read(Path("code.zip")), Read(Path("before")), read)
    absent = small._replace(md5="0" * 32)
    with pytest.raises(MachineError, match=rf"^{url}: pseudonym: not found \(.+\); is the bucket's name right"):
        open_folder(SentFolder(url, code, (before, absent)), own)
    assert not own.exists()
    folder = open_folder(SentFolder(url, code, (before,)), own)
    (own / "in").write_bytes(b"")
    with pytest.raises(MachineError, match=r"^pseudonym: cannot be written: (File exists|Not a directory)"):
        folder.bring([small])

    def removed() -> Iterator[Sent]:
        (own / "in").unlink()
        yield small
        folder.remove()
        own.mkdir()  # as a file on its way does
        yield before

    with pytest.raises(MachineError, match=r"^the stage has ended$"):
        folder.bring(removed())
    assert not own.exists()


@pytest.mark.usefixtures("folder")
def test_spans_that_are_asked_for_again_are_brought_again(url: str, tmp_path: Path) -> None:
    """Those of another shard have taken their place. What a shard wrote takes no room once it is sent."""
    write_bytes(archive(), Path("code.zip"))
    reads = [Read(Path("in/part"), [(start, start + 2)]) for start in (2, 4)]
    code, *parts = *sent_by(Storage(url), Read(Path("code.zip"))), *sent_by(Storage(url), *reads)
    folder = open_folder(SentFolder(url, code, ()), tmp_path / "own")
    for number in (0, 1, 0):
        folder.bring([parts[number]])
        content = (tmp_path / "own/in/part").read_bytes()
        assert content.strip(b"\0") == (b"34", b"56")[number]
    (tmp_path / "own/shard").write_bytes(b"made")
    assert folder.send(Path("shard")) == md5(b"made").hexdigest()
    assert not (tmp_path / "own/shard").exists()


@pytest.mark.long
@pytest.mark.usefixtures("folder")
def test_a_silent_server_is_not_waited_for_without_end(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an upload, which plain s3fs waits for without end; here a second for 15."""
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 1, "connect_timeout": 5}})
    reads = [Read(Path("in/large"))]
    with Wire(server.port, way="up", n_bytes=10_000_000, then="silent") as wire, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL", wire.url)
        sender = Sender(Storage(url))
        sending = pool.submit(sender.sent, reads)
        try:
            with pytest.raises(MachineError, match=rf"^{url}: in/large: took the request and did not answer in time"):
                sending.result(timeout=30)
        finally:
            sender.close()


def archive() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as code:
        code.writestr("src/spira/__init__.py", "")
    return file.getvalue()


@pytest.mark.usefixtures("folder")
def test_nothing_begins_for_a_stage_that_has_ended(url: str) -> None:
    """A check may reach a worker behind the end of its stage, which failed while it was sending."""
    sender = Sender(Storage(url))
    with fleet(Local(1), Joining(), 600, sender) as workers:
        workers.client.run(on_worker.end, workers.errand.token)
        with pytest.raises(DataError, match=r"did not begin in 3 tries; the last time the stage has ended$"):
            eventually(lambda: bool(workers.workers()))
    sender.close()


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
    with pytest.raises(ParamError, match=r"^SPIRA_CLUSTER_STORAGE: must hold no user and no password") as refused:
        asked({"SPIRA_CLUSTER": "local:2", "SPIRA_CLUSTER_STORAGE": "s3://me:secret@bucket/folder"})
    assert "secret" not in str(refused.value)
    for text in ("nosuch://b/f", "github://b/f", "ftp://127.0.0.1:9/f"):
        with pytest.raises(DataError, match=f"^{text}: "):
            Storage(text)
