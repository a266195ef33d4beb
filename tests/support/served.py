"""A running `spira serve`, and a client that writes its requests itself, so that a test may write them wrongly."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self

from tiny import ROOT

_BOUNDARY = "a-boundary-that-no-recording-holds"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
_SECONDS = 120  # for anything at all, on a busy machine


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]  # their names in small letters
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def form(files: Mapping[str, bytes], file_name: str = "recording.wav") -> bytes:
    """A multipart body with each of the files."""
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files.items()
    )
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """One request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request(method, path, body, {**(headers or {})})
        response = connection.getresponse()
        got = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, got, response.read().decode())
    finally:
        connection.close()


def predict(port: int, files: Mapping[str, bytes], headers: Mapping[str, str] | None = None) -> Reply:
    return ask(port, "POST", "/v1/predict", form(files), {**MULTIPART, **(headers or {})})


class Served:
    """`spira serve` in a process of its own, ready once it is made; it ends with the block."""

    def __init__(self, package: Path, folder: Path, *options: str, **variables: str) -> None:
        self.log = folder / "serve.log"
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables}
        command = [sys.executable, "-m", "spira", "serve", "--package", str(package), *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.port = int(self._wait_for(r" on http://\S+:(\d+)$")[1])
        self._wait_for(" ready$")

    def _wait_for(self, pattern: str) -> re.Match[str]:
        until = time.monotonic() + _SECONDS
        while not (found := re.search(pattern, self.log.read_text(), re.MULTILINE)):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)
        return found

    def children(self) -> list[int]:
        """Its decoders."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted(int(pid) for task in tasks for pid in task.read_text().split())

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status."""
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
