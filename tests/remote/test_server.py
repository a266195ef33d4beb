"""The S3 server for development: what it prints works as it is, and its key stays its owner's."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_clone import Clone, make

Serving = tuple[subprocess.Popen[str], list[str]]  # the server in the clone, and what it printed
pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return make(tmp_path_factory.mktemp("clone"), {"one.bin": b"one", "two.bin": b"two"})


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def serving(clone: Clone, port: int) -> Iterator[Serving]:
    command = [sys.executable, "-m", "spira", "storage", "--port", str(port)]
    environment = clone.environment()
    process = subprocess.Popen(
        command, cwd=clone.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    yield process, [process.stdout.readline().rstrip("\n") for _ in range(4)]
    process.terminate()
    process.wait(20)
    process.stdout.close()


def wait_for(port: int) -> None:
    until = time.monotonic() + 20
    with socket.socket() as wire:
        while wire.connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < until, "rclone did not start"
            time.sleep(0.05)


def test_what_it_prints_is_all_that_a_push_needs(clone: Clone, port: int, serving: Serving) -> None:
    """Typed as they are; the objects lie in .storage/."""
    _, (first, *lines) = serving
    assert first == f"S3 on http://127.0.0.1:{port}, bucket spira, in .storage/buckets; Ctrl-C ends it. To use it:"
    wait_for(port)
    pushed = clone.do("bash", "-ec", "\n".join([*lines, f"{sys.executable} -m spira push"]))
    assert "3 sent" in pushed
    assert len([path for path in (clone.folder / ".storage/buckets/spira/dvc").rglob("*") if path.is_file()]) == 3


def test_its_key_is_made_once_and_seen_by_nobody_else(clone: Clone, serving: Serving) -> None:
    """Readable by its owner alone, not printed, and no argument, which `ps` would show."""
    process, lines = serving
    secret = clone.folder / ".storage/secret"
    key = secret.read_text().strip()
    assert len(key) == 40
    assert secret.stat().st_mode & 0o777 == 0o600
    assert key not in "\n".join(lines)
    arguments = Path(f"/proc/{process.pid}/cmdline")
    if arguments.exists():
        assert key not in arguments.read_text()


def test_a_port_that_is_taken_is_refused_with_the_way_out(clone: Clone, port: int, serving: Serving) -> None:
    """And the key of the one that runs stays as it is."""
    key = (clone.folder / ".storage/secret").read_text()
    wait_for(port)
    said = clone.run(sys.executable, "-m", "spira", "storage", "--port", str(port))
    assert said.returncode == 1
    assert said.stderr.startswith(f"DataError: port {port} is taken, by another `spira storage`? spira storage --port ")
    assert (clone.folder / ".storage/secret").read_text() == key
    assert serving[0].poll() is None
