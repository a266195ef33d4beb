"""What `dvc push` and `dvc pull` do in each fault, and what `spira push` and `spira pull` do.

The table of docs/how-to/storage.md.

``python benchmarks/storage_faults.py``, from the root, with the timeouts of .dvc/config; 3 minutes, mostly waiting.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from s3_servers import Server, Wire
from storage_clone import Clone, make

CAP = 120  # seconds, then the command is killed
FILES = {"large.bin": os.urandom(16_000_000), "small.bin": b"small"}


def run(clone: Clone, tool: str, command: str, **environment: str) -> str:
    """Seconds, exit status and the first error that it printed, else its last line."""
    words = ["dvc", command] if tool == "dvc" else [sys.executable, "-m", "spira", command]
    began = time.monotonic()
    try:
        result = subprocess.run(
            words, cwd=clone.folder, env=clone.environment(**environment), capture_output=True, text=True, timeout=CAP
        )
    except subprocess.TimeoutExpired:
        return f"killed after {CAP} s"
    lines = [line for line in (result.stderr + result.stdout).splitlines() if line]
    errors = [line for line in lines if line.startswith(("ERROR", "DataError"))]
    text = (errors or lines[-1:] or [""])[0].partition("://bucket/p/files/md5: ")
    said = (text[2] or text[0]).replace("|", " ").replace(str(clone.folder), ".")[:80]
    return f"exit {result.returncode}, {time.monotonic() - began:.0f} s: `{said}`"


def point(clone: Clone, url: str) -> None:
    local = f"['remote \"storage\"']\n    url = s3://bucket/p\n    endpointurl = {url}\n"
    (clone.folder / ".dvc/config.local").write_text(local)


def wrong_key(clone: Clone, _: Server, tool: str) -> str:
    return run(clone, tool, "push", AWS_SECRET_ACCESS_KEY="wrong")


def down(clone: Clone, _: Server, tool: str) -> str:
    point(clone, "http://127.0.0.1:1")
    return run(clone, tool, "push")


def wired(way: Literal["up", "down"], n_bytes: int, then: Literal["silent", "cut"]) -> Callable[..., str]:
    def fault(clone: Clone, server: Server, tool: str) -> str:
        if way == "down":
            clone = pushed(clone, server)
        with Wire(server.port, way=way, n_bytes=n_bytes, then=then) as wire:
            point(clone, wire.url)
            return run(clone, tool, "push" if way == "up" else "pull")

    return fault


def pushed(clone: Clone, server: Server) -> Clone:
    """Another clone, with no data, of what the server now has."""
    clone.do(sys.executable, "-m", "spira", "push")
    other = Clone(clone.folder.parent / "there", server.key)
    clone.do("git", "clone", "-q", str(clone.folder), str(other.folder))
    point(other, server.url)
    return other


def damaged(change: Callable[[bytes], bytes]) -> Callable[..., str]:
    def fault(clone: Clone, server: Server, tool: str) -> str:
        clone.do(sys.executable, "-m", "spira", "push")
        key = next(key for key in server.keys("p") if not key.endswith(".dir"))
        server.write(key, change(server.read(key)))
        return run(clone, tool, "push")

    return fault


def lost(clone: Clone, _: Server, tool: str) -> str:
    next(path for path in sorted((clone.folder / ".dvc/cache/files/md5").glob("*/*")) if not path.suffix).unlink()
    return run(clone, tool, "push")


FAULTS: dict[str, Callable[..., str]] = {
    "wrong key": wrong_key,
    "no server": down,
    "takes the request, never answers": wired("up", 0, "silent"),
    "silent in the middle of an upload": wired("up", 8_000_000, "silent"),
    "silent in the middle of a download": wired("down", 8_000_000, "silent"),
    "cut in the middle of an upload": wired("up", 8_000_000, "cut"),
    "cut in the middle of a download": wired("down", 8_000_000, "cut"),
    "object on the remote truncated, then `push`": damaged(lambda body: body[:-1]),
    "a bit of it flipped, then `push`": damaged(lambda body: bytes([body[0] ^ 1]) + body[1:]),
    "object missing from the cache, `push`": lost,
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "origin").mkdir()
        origin = make(Path(name) / "origin", FILES)

        def measured(case: tuple[int, str, str]) -> str:
            i, fault, tool = case
            folder = Path(name) / f"{i}{tool}"
            folder.mkdir()
            server = Server("rclone", folder / "store")
            try:
                clone = origin.copy(folder / "here", server.key)
                point(clone, server.url)
                return FAULTS[fault](clone, server, tool)
            finally:
                server.kill()

        cases = [(i, fault, tool) for i, fault in enumerate(FAULTS) for tool in ("dvc", "make")]
        with ThreadPoolExecutor(4) as pool:
            cells = list(pool.map(measured, cases))
    print("| fault | `dvc` | `make` |\n|---|---|---|")
    for i, fault in enumerate(FAULTS):
        print(f"| {fault} | {cells[2 * i]} | {cells[2 * i + 1]} |")


if __name__ == "__main__":
    main()
