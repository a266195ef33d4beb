"""Two S3 servers that check signatures, each in a process of its own; and a wire to them that can be cut."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import boto3
from botocore.config import Config

BIN = Path(sys.executable).parent
KEY = {"AWS_ACCESS_KEY_ID": "spira-test", "AWS_SECRET_ACCESS_KEY": "not-a-secret-at-all"}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class Server:
    """rclone, which keeps a folder, or moto, which keeps nothing once it has died; it comes back on its port."""

    def __init__(self, kind: str, folder: Path, host: str = "127.0.0.1") -> None:
        self.kind, self.folder, self.key, self.host = kind, folder, dict(KEY), host
        with socket.socket() as free:
            free.bind((host, 0))
            self.port = free.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.start()

    def start(self) -> None:
        commands: dict[str, list[str | Path]] = {
            "rclone": [
                *(BIN / "rclone", "--config", "", "serve", "s3", "--auth-key", ",".join(KEY.values())),
                *("--addr", f"{self.host}:{self.port}", self.folder),
            ],
            "moto": [BIN / "moto_server", "--host", self.host, "--port", str(self.port)],
        }
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(commands[self.kind], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not _answers(self.host, self.port):
            assert time.monotonic() < until, f"{self.kind} did not start"
            time.sleep(0.05)
        if self.kind == "moto":
            self.key = self._user()
        self.client = _client("s3", self.url, self.key)
        if not self.client.list_buckets()["Buckets"]:
            self.client.create_bucket(Bucket="bucket")

    def _user(self) -> dict[str, str]:
        """moto lets anybody in until authentication is turned on; then users that it knows, by signature."""
        iam = _client("iam", self.url, KEY)
        iam.create_user(UserName="spira")
        iam.put_user_policy(UserName="spira", PolicyName="s3", PolicyDocument=json.dumps(POLICY))
        made = iam.create_access_key(UserName="spira")["AccessKey"]
        text = {"Content-Type": "text/plain"}
        stop = urllib.request.Request(f"{self.url}/moto-api/reset-auth", data=b"0", headers=text, method="POST")
        urllib.request.urlopen(stop, timeout=10).close()
        return {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def keys(self, prefix: str) -> list[str]:
        listed = self.client.list_objects_v2(Bucket="bucket", Prefix=f"{prefix}/")
        return sorted(item["Key"] for item in listed.get("Contents", []))

    def read(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket="bucket", Key=key)["Body"].read()
        return body

    def size(self, key: str) -> int:
        return int(self.client.head_object(Bucket="bucket", Key=key)["ContentLength"])

    def write(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=key, Body=body)


class Wire:
    """TCP to a server. After so many bytes one way it goes silent, or is cut, for good.

    Silent, it takes connections and reads nothing from them, as a machine does that hangs or a firewall that drops.
    """

    def __init__(self, port: int, *, way: Literal["up", "down"], n_bytes: int, then: Literal["silent", "cut"]) -> None:
        self.to, self.way, self.n_bytes, self.then = port, way, n_bytes, then
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def over(self) -> bool:
        return self.n_bytes <= 0

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.open.append(client)
                if not self.over:
                    self._join(client)
                elif self.then == "cut":
                    client.close()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            client.close()
            return
        self.open.append(server)
        for way, ends in (("up", (client, server)), ("down", (server, client))):
            threading.Thread(target=self._pump, args=(way, *ends), daemon=True).start()

    def _pump(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        try:
            while not self.over and (data := source.recv(4096)):
                if way == self.way:
                    self.n_bytes -= len(data)
                sink.sendall(data)
            if not self.over:
                sink.shutdown(socket.SHUT_WR)
            elif self.then == "cut":
                self._close(self.open)
        except OSError:  # one end has died, and the other is closed
            self._close([source, sink])

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._close([self.listener, *self.open])

    @staticmethod
    def _close(sockets: list[socket.socket]) -> None:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _client(service: str, url: str, key: dict[str, str]) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )
