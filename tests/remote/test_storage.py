"""Data on S3: two servers, every fault with its message, a non-zero exit and nothing lost; the next run completes."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from s3_servers import Server, Wire
from storage_clone import Clone, make

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module", params=["rclone", pytest.param("moto", marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(request.param, tmp_path_factory.mktemp("server") / "store")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Eight files of 40 kB, added and committed once; every test works in a copy."""
    return make(tmp_path_factory.mktemp("origin"), {f"{i}.bin": bytes([i]) * 40_000 for i in range(8)})


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """One object larger than what the kernel takes for a connection that nobody reads, and a small one."""
    return make(tmp_path_factory.mktemp("large"), {"large.bin": os.urandom(16_000_000), "small.bin": b"small"})


@pytest.fixture
def here(origin: Clone, tmp_path: Path, server: Server) -> Clone:
    clone = origin.copy(tmp_path / "here", server.key)
    clone.point(tmp_path.name, server.url)
    return clone


@pytest.fixture
def there(here: Clone, server: Server) -> Clone:
    return another(here, server)


def another(here: Clone, server: Server) -> Clone:
    """Another person's clone: git's files, no data."""
    clone = Clone(here.folder.parent / "there", server.key)
    here.do("git", "clone", "-q", str(here.folder), str(clone.folder))
    clone.point(here.folder.parent.name, server.url)
    return clone


def a_file(server: Server, clone: Clone) -> str:
    return next(key for key in server.keys(clone.folder.parent.name) if not key.endswith(".dir"))


@pytest.mark.ml_test_score("Infrastructure 7", manual=True)
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
    """A secret that signs otherwise, on both servers; nothing is sent, and with the right key the push completes."""
    message = here.refused("push", AWS_SECRET_ACCESS_KEY="wrong")
    assert re.search(r"s3://bucket/.*: the key is missing or refused \(.+\); see docs/how-to/storage\.md", message)
    assert server.keys(here.folder.parent.name) == []
    assert "9 sent" in here.storage("push")


def test_no_key_is_said(origin: Clone, tmp_path: Path) -> None:
    """Found before anything is asked of the server."""
    clone = origin.copy(tmp_path / "here", {"AWS_EC2_METADATA_DISABLED": "true"})
    clone.point("x", "http://127.0.0.1:1")
    assert re.search(r"the key is missing or refused \(.+\); see docs/how-to/storage\.md", clone.refused("push"))


def test_a_server_that_is_down_or_never_answers_is_left_in_bounded_time(here: Clone, server: Server) -> None:
    """No server on the port; then one that accepts and says nothing: two times two read timeouts of 1 s, and pauses."""
    before = here.data()
    here.point("x", "http://127.0.0.1:1")
    assert re.search(r"no server \(.*127\.0\.0\.1:1/.*\); is it up, and endpointurl right\?", here.refused("push"))
    with Wire(server.port, way="up", n_bytes=0, then="silent") as wire:
        here.point("x", wire.url)
        began = time.monotonic()
        assert re.search(r"took the request and did not answer in time", here.refused("push"))
        assert time.monotonic() - began < 30
    assert here.data() == before
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


@pytest.mark.parametrize("mebibytes", [51, pytest.param(101, marks=pytest.mark.long)])
def test_an_array_of_many_parts_arrives_and_its_damage_is_found(tmp_path: Path, server: Server, mebibytes: int) -> None:
    """From 50 MiB it is read in ranges, from 100 sent in parts too; its MD5 decides, no checksum of the server's.

    rclone repeats that of the whole object with each range of it. Where somebody asks for it, the object is named.
    """
    (tmp_path / "here").mkdir()
    here = make(tmp_path / "here", {"array.npy": bytes(mebibytes * 2**20), "small.bin": b"small"})
    here.key = server.key
    here.point(tmp_path.name, server.url, read_timeout=15)
    there = another(here, server)
    there.point(tmp_path.name, server.url, read_timeout=15)
    assert "3 sent" in here.storage("push")
    if server.kind == "rclone" and mebibytes == 51:
        message = there.refused("pull", AWS_RESPONSE_CHECKSUM_VALIDATION="when_supported")
        assert "1 of 3 objects not pulled:\n  data/array.npy (" in message
        assert "the server sent other bytes than its own checksum says (Expected checksum" in message
    there.storage("pull")
    assert there.data() == here.data()
    (large,) = [key for key in server.keys(tmp_path.name) if server.size(key) > 50 * 2**20]
    server.write(large, bytes(server.size(large) - 1) + b"x")
    damaged = r"1 of 3 objects not as their names say:\n  data/array\.npy \(\w+\): was damaged on the remote; healed"
    assert re.search(damaged, here.refused("verify"))
    assert "3 objects on the remote have the bytes" in here.storage("verify")


@pytest.mark.parametrize("then", ["silent", "cut"])
def test_a_line_that_fails_in_a_body(
    large: Clone, tmp_path: Path, server: Server, then: Literal["silent", "cut"]
) -> None:
    """Half of it goes up, or down: a message in bounded time, and no part of it anywhere; the next run completes."""
    said = {"silent": "did not answer in time", "cut": "no server|the transfer broke off"}[then]
    here = large.copy(tmp_path / "here", server.key)
    began = time.monotonic()
    with Wire(server.port, way="up", n_bytes=8_000_000, then=then) as wire:
        here.point(tmp_path.name, wire.url)
        assert re.search(said, here.refused("push"))
    assert time.monotonic() - began < 40
    assert len(server.keys(tmp_path.name)) <= 1
    here.point(tmp_path.name, server.url)
    here.storage("push")
    there = another(here, server)
    began = time.monotonic()
    with Wire(server.port, way="down", n_bytes=8_000_000, then=then) as wire:
        there.point(tmp_path.name, wire.url)
        assert re.search(rf"data/large\.bin \(\w+\): .*({said})", there.refused("pull"))
    assert time.monotonic() - began < 40
    assert there.data() == {}
    assert not [path for path in there.folder.rglob("*") if path.is_file() and path.stat().st_size >= 1_000_000]
    there.point(tmp_path.name, server.url)
    there.storage("pull")
    assert there.data() == here.data()


@pytest.mark.parametrize("kind", ["rclone", pytest.param("moto", marks=pytest.mark.long)])
def test_a_server_that_dies_half_way_loses_nothing(large: Clone, tmp_path: Path, kind: str) -> None:
    """Killed in the large body; back on its port, moto with nothing, rclone with what it had, it gets the rest."""
    server = Server(kind, tmp_path / "store")
    here = large.copy(tmp_path / "here", server.key)
    wire = Wire(server.port, way="up", n_bytes=1_000_000_000, then="cut")
    here.point(tmp_path.name, wire.url)
    try:
        command = [sys.executable, "-m", "spira", "push"]
        with subprocess.Popen(
            command, cwd=here.folder, env=here.environment(), stderr=subprocess.PIPE, text=True
        ) as pushing:
            while pushing.poll() is None and wire.n_bytes > 1_000_000_000 - 4_000_000:
                time.sleep(0.001)
            server.kill()
            _, message = pushing.communicate(timeout=40)
        assert (pushing.returncode, "Traceback" in message) == (1, False)
        assert re.search(r"no server|the transfer broke off", message)
        server.start()
        here.key = server.key
        here.storage("push")
        there = another(here, server)
        there.point(tmp_path.name, server.url)
        there.storage("pull")
        assert there.data() == here.data()
    finally:
        wire.close()
        server.kill()


def test_an_unset_bucket_is_said_and_no_work_needs_it(origin: Clone) -> None:
    """A fresh clone has no bucket: push says the command that sets it; ``dvc status`` does not ask."""
    assert "dvc remote modify --local storage url s3://<bucket>/<path>" in origin.refused("push")
    assert "up to date" in origin.do("dvc", "status")
