"""A folder of this machine, served as S3 by rclone on loopback: a remote for development and the tests of it.

The key is made once, is readable by its owner alone, and reaches rclone by the environment, which ``ps`` hides from
others.
"""

import os
import secrets
import socket
import sys
from pathlib import Path
from shutil import which

from spira.base.errors import DataError

USER, BUCKET = "spira", "spira"
_HOST = "127.0.0.1"


def prepare(folder: Path, port: int) -> str:
    """The folder and its key; the lines to type before DVC can use it.

    Raises:
        DataError: the port is taken.
    """
    try:
        socket.create_server((_HOST, port)).close()
    except OSError as error:
        raise DataError(
            f"port {port} is taken, by another `spira storage`? spira storage --port {port + 1} ({error.strerror})"
        ) from error
    (folder / "buckets" / BUCKET).mkdir(parents=True, exist_ok=True)
    if not _key(folder):
        descriptor = os.open(folder / "secret", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f"{secrets.token_hex(20)}\n")
    address = f"http://{_HOST}:{port}"
    return f"""\
S3 on {address}, bucket {BUCKET}, in {folder}/buckets; Ctrl-C ends it. To use it:
  dvc remote modify --local storage url s3://{BUCKET}/dvc && dvc remote modify --local storage endpointurl {address}
  export AWS_ACCESS_KEY_ID={USER} AWS_SECRET_ACCESS_KEY=$(cat {folder}/secret)
  export AWS_RESPONSE_CHECKSUM_VALIDATION=when_required  # for plain `dvc pull`; spira pull does so by itself"""


def serve(folder: Path, port: int) -> None:
    """Puts rclone in this process's place, on what ``prepare`` made.

    Raises:
        DataError: there is no rclone.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    if (rclone := which("rclone", path=path)) is None:
        raise DataError(f"rclone: not installed in {Path(sys.executable).parent}; make venv")
    environment = os.environ | {"RCLONE_AUTH_KEY": f'"{USER},{_key(folder)}"'}
    arguments = ["rclone", "--config", "", "serve", "s3", "--addr", f"{_HOST}:{port}", str(folder / "buckets")]
    os.execve(rclone, arguments, environment)


def _key(folder: Path) -> str:
    """ "" where there is none yet."""
    try:
        return (folder / "secret").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
