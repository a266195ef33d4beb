"""Nothing that is read is run, and no secret is committed unnoticed."""

import io
import json
import os
import pickle
import re
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from bad_audio import P
from spira.base.errors import DataError, ParamError
from spira.base.params import load, read
from spira.base.section import FolderName
from spira.base.tables import read_json, read_table
from spira.clips.arrays import read_array
from spira.models.store import read_weights
from spira.stages import ingest
from tiny import ROOT


class Payload:
    """What unpickling it does: a folder is made."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.made),)


def header(content: object, *, n_bytes: int | None = None, data: bytes = b"") -> bytes:
    """A safetensors file whose header is given."""
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text) if n_bytes is None else n_bytes) + text + data


def array(made: Path, path: Path) -> None:
    np.save(path, np.array([Payload(made)], dtype=object), allow_pickle=True)


def entry(start: int, end: int, shape: list[int]) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}}


def archive(made: Path) -> bytes:
    """A .pth as torch writes it, with the payload in place of the tensors."""
    file = io.BytesIO()
    torch.save({"model": Payload(made)}, file)
    return file.getvalue()


def zipped(made: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        whole.writestr("../../escaped", "x")
        whole.writestr("archive/data.pkl", pickle.dumps(Payload(made)))
    return file.getvalue()


WEIGHTS: dict[str, Callable[[Path], bytes]] = {
    "pickle.pth": lambda made: pickle.dumps(Payload(made), protocol=2),
    "old_pickle.pth": lambda made: pickle.dumps({"model": Payload(made)}, protocol=0),
    "archive.pth": archive,
    "zip.pth": zipped,
    "pickle.safetensors": lambda made: pickle.dumps(Payload(made)),
    "global.pth": lambda made: b"cos\nmkdir\n(V" + str(made).encode() + b"\ntR.",
    "nothing.safetensors": lambda _: b"",
    "long_header.safetensors": lambda _: header({}, n_bytes=2**62),
    "negative.safetensors": lambda _: header({}, n_bytes=2**64 - 1),
    "beyond.safetensors": lambda _: header(entry(0, 2**40, [2**38])),
    "overlap.safetensors": lambda _: header(entry(0, 8, [2]) | {"b": entry(4, 12, [2])["a"]}, data=bytes(12)),
    "shape.safetensors": lambda _: header(entry(0, 8, [2**31, 2**31]), data=bytes(8)),
    "dtype.safetensors": lambda _: header(
        {"a": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}, data=bytes(4)
    ),
    "text.pth": lambda _: b"<html>404</html>",
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_run_nothing(name: str, tmp_path: Path) -> None:
    """Pickles, archives and headers that lie: each is refused by name, and what it would do has not been done."""
    made = tmp_path / "made"
    (tmp_path / name).write_bytes(WEIGHTS[name](made))
    with pytest.raises(DataError, match=re.escape(name)):
        read_weights(tmp_path / name)
    assert not made.exists()
    assert not (tmp_path.parent / "escaped").exists()


def test_the_payloads_would_work(tmp_path: Path) -> None:
    """Else the tests above would pass with any reader."""
    pickle.loads(pickle.dumps(Payload(tmp_path / "made")))
    assert (tmp_path / "made").is_dir()


def test_good_weights_are_still_read(tmp_path: Path) -> None:
    """Refusing everything is no security."""
    (tmp_path / "a.safetensors").write_bytes(save({"a": torch.ones(2)}))
    torch.save({"model": {"a": torch.ones(2)}}, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        assert torch.equal(read_weights(tmp_path / name)["a"], torch.ones(2))


def test_arrays_hold_no_objects(tmp_path: Path) -> None:
    """A .npy of objects is a pickle."""
    array(tmp_path / "made", tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"must be a complete \.npy array"):
        read_array(tmp_path / "a.npy")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "tag", ["python/object/apply:os.mkdir", "python/object/new:os.mkdir", "python/name:os.mkdir", "python/module:os"]
)
def test_parameters_run_nothing(tag: str, tmp_path: Path) -> None:
    """A pull request brings its own params.yaml."""
    made = tmp_path / "made"
    (tmp_path / "params.yaml").write_text(f"train: !!{tag} ['{made}']\n")
    with pytest.raises(ParamError, match="not readable as YAML"):
        read(tmp_path / "params.yaml")
    assert not made.exists()


@pytest.mark.parametrize("name", ["../secret", "/etc", "a/../../b", "..", "a\0b", "~", "$HOME", "-rf", ".git"])
def test_a_corpus_is_a_folder_under_data(name: str, tmp_path: Path) -> None:
    """No name leads out of it."""
    (tmp_path / "params.yaml").write_text("corpus: " + json.dumps(name) + "\n")
    with pytest.raises(ParamError, match=r"corpus: must match pattern|not readable"):
        load("corpus", FolderName, path=tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/passwd", "a/../../secret.wav", "..\\secret.wav", "C:\\secret.wav"]
)
def test_no_row_leads_out_of_the_corpus(name: str, tmp_path: Path) -> None:
    """A table from a stranger reads no file of yours."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/metadata.csv").write_text(f'file_path,label\n"{name}",patient\n')
    with pytest.raises(DataError, match="file_path must lie inside the corpus's folder"):
        ingest.run(16000, P, corpus=tmp_path / "mine", out=tmp_path / "out")


@pytest.mark.parametrize("content", [b"\x80\x04cos\nmkdir\n.", b"{" * 100_000, b"\xff\xfe{}", b""])
def test_a_hostile_result_is_refused(content: bytes, tmp_path: Path) -> None:
    """JSON and CSV that another stage should have written."""
    (tmp_path / "a").write_bytes(content)
    with pytest.raises((DataError, RecursionError)):
        read_json(tmp_path / "a")
    with pytest.raises(DataError):
        read_table(tmp_path / "a", {"clip_id": str})  # type: ignore[dict-item]


def test_no_code_reads_or_writes_a_pickle() -> None:
    """Neither by name nor by a library's own means; torch.load only with weights_only.

    But for a worker's answer over the pipe that it was given, which multiprocessing would pickle in any case, and for
    what a stage and a worker of a Dask cluster send each other, which Dask would.
    """
    allowed = {
        "sandbox.py": ["pickle.loads(content, buffers="],
        "sandbox_worker.py": ["pickle.dumps(outcome, protocol=5, "],
        "messages.py": ["pickle.dumps(message, protocol=5)", "pickle.loads(message)"],
    }
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in allowed.pop(path.name, []):
            assert text.count(call) == 1
            text = text.replace(call, "")
        assert not re.search(
            r"pickle\.(load|dump)|joblib|allow_pickle=True|torch\.save|(?<![.\w])(eval|exec)\(", text
        ), path
        assert text.count("torch.load(") == text.count("weights_only=True"), path
    assert not allowed


SECRETS = {
    "an AWS key": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{60,}",
    "a secret in a setting": r"(?i)(secret_access_key|api[_-]?key|password)\s*[=:]\s*['\"][A-Za-z0-9/+]{20,}['\"]",
}


def secrets_in(text: str) -> list[str]:
    return [kind for kind, form in SECRETS.items() if re.search(form, text)]


def test_no_tracked_file_holds_a_secret() -> None:
    """Every file that git tracks, by the forms of keys and tokens."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            assert not secrets_in(path.read_text(encoding="utf-8", errors="replace")), name


@pytest.mark.parametrize(
    "text",
    ["AKIA" + "Q" * 16, "-----BEGIN RSA " + "PRIVATE KEY-----", "ghp_" + "a" * 36, "password = '" + "a" * 24 + "'"],
)
def test_the_search_for_secrets_is_awake(text: str) -> None:
    """Each form is found where it stands."""
    assert secrets_in(f"x\n{text}\n")


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".dvc/config.local",
            ".dvc/tmp/a",
            ".dvc/cache/a",
            ".storage/secret",
            ".env",
            "aws_credentials",
            "id_rsa",
            "a.pem",
        ),
        *("data/raw/mine/a.wav", "data/raw/mine/metadata.csv", "data/clips/waveforms-000.npy", "data/pretrained/a.pth"),
    ],
)
def test_git_does_not_see_secrets_and_voices(name: str) -> None:
    """``git add .`` takes none of them; ``git add -f`` is another matter."""
    done = subprocess.run(["git", "check-ignore", "-q", "--no-index", name], cwd=ROOT, check=False)
    assert done.returncode == 0, name
