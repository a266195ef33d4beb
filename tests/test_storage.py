"""Data on S3: two servers, every fault with its message, a non-zero exit and nothing lost; the next run completes."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tiny import ROOT

pytestmark = pytest.mark.pipeline
KEY = {"AWS_ACCESS_KEY_ID": "spira-test", "AWS_SECRET_ACCESS_KEY": "not-a-secret-at-all"}
BIN = Path(sys.executable).parent


class Server:
    """A real S3 server in a process of its own, which can die and come back on its port."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )
        self.client.create_bucket(Bucket="bucket")

    def start(self) -> None:
        commands: dict[str, list[str | Path]] = {
            "rclone": [
                *(BIN / "rclone", "--config", "", "serve", "s3", "--auth-key", ",".join(KEY.values())),
                *("--addr", f"127.0.0.1:{self.port}", self.folder),
            ],
            "moto": [BIN / "moto_server", "--host", "127.0.0.1", "--port", str(self.port)],
        }
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(commands[self.kind], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self.kind} did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def keys(self, prefix: str) -> list[str]:
        listed = self.client.list_objects_v2(Bucket="bucket", Prefix=f"{prefix}/")
        return sorted(item["Key"] for item in listed.get("Contents", []))

    def read(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket="bucket", Key=key)["Body"].read()
        return body

    def write(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=key, Body=body)


class Clone:
    """A git and DVC repository with this one's .dvc/config and one folder of data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        set_ = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "DVC_NO_ANALYTICS": "1",
        }
        home = {"HOME": str(self.folder.parent), "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site")}
        identity = {
            f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        env = {**clean, **set_, **home, **identity, **KEY, **environment}
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=60
        )

    def do(self, *command: str) -> str:
        result = self.run(*command)
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def storage(self, command: str) -> str:
        return self.do(sys.executable, "-m", "spira.storage", command)

    def refused(self, command: str, **environment: str) -> str:
        """The message of a command that must fail, with no traceback."""
        result = self.run(sys.executable, "-m", "spira.storage", command, **environment)
        assert result.returncode == 1, result.stdout
        assert "Traceback" not in result.stderr, result.stderr
        return result.stderr

    def point(self, prefix: str, url: str) -> None:
        local = (
            f"['remote \"storage\"']\n    url = s3://bucket/{prefix}\n    endpointurl = {url}\n    read_timeout = 1\n"
        )
        (self.folder / ".dvc/config.local").write_text(local)

    def data(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "data").glob("*"))}

    def cached(self, key: str) -> Path:
        return self.folder / ".dvc/cache" / key[key.index("files/md5") :]


@pytest.fixture(scope="module", params=["rclone", "moto"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(request.param, tmp_path_factory.mktemp("server") / "store")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight files of 40 kB, added and committed once; every test works in a copy."""
    clone = Clone(tmp_path_factory.mktemp("origin"))
    clone.do("git", "init", "-q", "-b", "main")
    clone.do("dvc", "init", "-q")
    shutil.copy2(ROOT / ".dvc/config", clone.folder / ".dvc/config")
    (clone.folder / "data").mkdir()
    for i in range(8):
        (clone.folder / f"data/{i}.bin").write_bytes(bytes([i]) * 40_000)
    clone.do("dvc", "add", "-q", "data")
    clone.do("git", "add", "-A")
    clone.do("git", "commit", "-q", "-m", "data")
    return clone.folder


@pytest.fixture
def here(origin: Path, tmp_path: Path, server: Server) -> Clone:
    shutil.copytree(origin, tmp_path / "here")
    clone = Clone(tmp_path / "here")
    clone.point(tmp_path.name, server.url)
    return clone


@pytest.fixture
def there(here: Clone, server: Server) -> Clone:
    """Another person's clone: git's files, no data."""
    clone = Clone(here.folder.parent / "there")
    here.do("git", "clone", "-q", str(here.folder), str(clone.folder))
    clone.point(here.folder.parent.name, server.url)
    return clone


def a_file(server: Server, clone: Clone) -> str:
    return next(key for key in server.keys(clone.folder.parent.name) if not key.endswith(".dir"))


def test_another_clone_pulls_the_same_bytes(here: Clone, there: Clone) -> None:
    """What one pushes, another gets; and a second push and pull have nothing to do."""
    assert re.search(r"9 sent \(0 in place of damaged ones\), 0 were there", here.storage("push"))
    assert re.search(r"9 brought, 0 were here", there.storage("pull"))
    assert there.data() == here.data()
    assert len(there.data()) == 8
    assert re.search(r"0 sent .*, 9 were there", there.storage("push"))
    assert re.search(r"0 brought, 9 were here", there.storage("pull"))
    assert re.search(r"9 objects on the remote have the bytes", there.storage("verify"))


def test_a_wrong_key_is_said(here: Clone, server: Server) -> None:
    """Nothing is sent; with the right key the push completes."""
    if server.kind == "moto":
        message = here.refused("push", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true")
    else:  # moto accepts any key
        message = here.refused("push", AWS_SECRET_ACCESS_KEY="wrong")
    assert re.search(r"s3://bucket/.*: the key is missing or refused \(.+\); see docs/storage\.md", message)
    assert server.keys(here.folder.parent.name) == []
    assert "9 sent" in here.storage("push")


def test_a_server_that_is_down_is_said(here: Clone, server: Server) -> None:
    """No server on the port: a message, and the data stay."""
    before = here.data()
    here.point("x", "http://127.0.0.1:1")
    assert re.search(r"no server \(.*127\.0\.0\.1:1/.*\); is it up, and endpointurl right\?", here.refused("push"))
    assert here.data() == before
    here.point(here.folder.parent.name, server.url)
    assert "9 sent" in here.storage("push")


def test_a_server_that_never_answers_is_left_in_bounded_time(here: Clone, server: Server) -> None:
    """It accepts and says nothing: two times two read timeouts of 1 s, and the pauses between."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        here.point("x", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        assert re.search(r"took the request and did not answer in time", here.refused("push"))
        assert time.monotonic() - began < 20
    here.point(here.folder.parent.name, server.url)
    assert "9 sent" in here.storage("push")


def test_a_truncated_object_is_named_and_sent_anew(here: Clone, there: Clone, server: Server) -> None:
    """A pull refuses it and checks nothing out; the next push replaces it, where DVC calls it up to date."""
    here.storage("push")
    key = a_file(server, here)
    server.write(key, server.read(key)[:100])
    assert re.search(
        r"1 of 9 objects not pulled:\n  data/\d\.bin \(\w+\): damaged on the remote", there.refused("pull")
    )
    assert there.data() == {}
    assert not there.cached(key).exists()
    assert re.search(r"1 sent \(1 in place of damaged ones\), 8 were there", here.storage("push"))
    assert re.search(r"\d brought, \d were here", there.storage("pull"))
    assert there.data() == here.data()


def test_a_flipped_bit_is_named_and_healed(here: Clone, there: Clone, server: Server) -> None:
    """``verify`` heals from a whole cache and still exits 1 once; without one it says that it could not."""
    here.storage("push")
    key = a_file(server, here)
    body = server.read(key)
    server.write(key, bytes([body[0] ^ 1]) + body[1:])
    assert re.search(r"damaged on the remote, and neither in this cache nor", there.refused("verify"))
    assert re.search(
        r"1 of 9 objects not pulled:\n  data/\d\.bin \(\w+\): damaged on the remote", there.refused("pull")
    )
    assert re.search(r"data/\d\.bin \(\w+\): was damaged on the remote; healed from this cache", here.refused("verify"))
    assert server.read(key) == body
    assert "9 objects" in here.storage("verify")
    there.storage("pull")
    assert there.data() == here.data()


def test_an_object_missing_from_the_cache_is_named(here: Clone, server: Server) -> None:
    """The rest is sent, the folder's own object is not, as it promises its files; once it is back, push completes."""
    lost = next(path for path in sorted((here.folder / ".dvc/cache/files/md5").rglob("*")) if path.suffix == "")
    lost = lost if lost.is_file() else next(p for p in sorted(lost.iterdir()) if p.suffix == "")
    away = lost.rename(here.folder / "away")
    message = here.refused("push")
    assert re.search(r"1 of 9 objects not pushed:\n  data/\d\.bin \(\w+\): neither in this cache nor on", message)
    sent = server.keys(here.folder.parent.name)
    assert len(sent) == 7
    assert not any(key.endswith(".dir") for key in sent)
    away.rename(lost)
    assert "2 sent" in here.storage("push")


def test_a_damaged_cache_never_reaches_the_remote(here: Clone, server: Server) -> None:
    """DVC trusts a read-only file in its cache; a push reads it first."""
    here.storage("push")
    key = a_file(server, here)
    whole = server.read(key)
    here.cached(key).chmod(0o644)
    here.cached(key).write_bytes(b"x")
    here.cached(key).chmod(0o444)
    assert re.search(r"damaged in this cache; remove that file, then pull", here.refused("push"))
    assert server.read(key) == whole
    here.cached(key).unlink()
    assert "1 brought" in here.storage("pull")


def test_a_server_that_dies_half_way_loses_nothing(here: Clone, there: Clone, tmp_path: Path) -> None:
    """Killed once the first object has arrived; when it is back, push sends the rest and a clone gets all."""
    for i in range(200):
        (here.folder / f"data/more{i}.bin").write_bytes(i.to_bytes(2, "big") * 60_000)
    here.do("dvc", "add", "-q", "data")
    (there.folder / "data.dvc").write_text((here.folder / "data.dvc").read_text())
    server = Server("rclone", tmp_path / "store")
    try:
        for clone in (here, there):
            clone.point("x", server.url)
        environment = {**os.environ, **KEY, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", "spira.storage", "push"]
        with subprocess.Popen(command, cwd=here.folder, env=environment, stderr=subprocess.PIPE, text=True) as pushing:
            while pushing.poll() is None and not any(
                path.is_file() for path in server.folder.rglob("files/md5/*/[0-9a-f]*")
            ):
                time.sleep(0.005)
            server.kill()
            _, message = pushing.communicate(timeout=40)
        assert pushing.returncode == 1
        assert re.search(r"no server|the transfer broke off", message)
        assert "Traceback" not in message
        server.start()
        assert 0 < len(server.keys("x")) < 209
        here.storage("push")
        there.storage("pull")
        assert there.data() == here.data()
        assert len(there.data()) == 208
    finally:
        server.kill()


def test_an_unset_bucket_is_said_and_no_work_needs_it(origin: Path) -> None:
    """A fresh clone has no bucket: push says the command that sets it; ``dvc status`` does not ask."""
    clone = Clone(origin)
    assert "dvc remote modify --local storage url s3://<bucket>/<path>" in clone.refused("push")
    assert "up to date" in clone.do("dvc", "status")
