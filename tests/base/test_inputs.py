"""No flipped bit of a stage's input is used: each is compared with what DVC recorded, before the stage begins."""

import json
import shutil
import time
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from threading import Thread

import pytest
import yaml

from faults import Reference, Stages, flipped, references
from spira.base import inputs
from spira.base.errors import DataError
from spira.base.inputs import require_unchanged
from spira.compare.revision import folder_hash

FEW = (["check"], ["ingest"], ["split"])
STAGE = {
    "matrix": {"fold": "${split.folds}"},
    "deps": ["data/x/a.csv", "data/y", "data/${item.fold}.csv", "data/z/${model.init_from}", "src/spira"],
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stages, list[Reference]]]:
    with Stages(tmp_path_factory.mktemp("stages"), FEW) as stages:
        yield stages, references(stages, FEW)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a folder that is an output, a folder of outputs, one of a fold, and one from ``dvc add``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "learn@1")
    for name in ("x/a.csv", "x/b.npy", "y/1/w", "y/2/w", "1.csv", "2.csv", "z/w.pth"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"learn": STAGE}}))
    (tmp_path / "params.yaml").write_text("model: {init_from: w.pth}\n")
    pointer = {"outs": [{"md5": md5_of("data/z/w.pth"), "hash": "md5", "path": "w.pth"}]}
    (tmp_path / "data/z/w.pth.dvc").write_text(yaml.safe_dump(pointer))
    write_lock(["data/x", "data/y/1", "data/y/2", "data/1.csv", "data/2.csv"])
    return tmp_path


def md5_of(name: str) -> str:
    path = Path(name)
    files = {file.name: md5(file.read_bytes()).hexdigest() for file in ([path] if path.is_file() else path.iterdir())}
    if path.is_file():
        return files[path.name]
    listed = json.dumps([{"md5": files[file], "relpath": file} for file in sorted(files)], sort_keys=True)
    oid = folder_hash(files)
    listing = Path(".dvc/cache/files/md5", oid[:2], oid[2:])
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text(listed)
    return oid


def write_lock(outs: list[str]) -> None:
    made = {"made": {"cmd": "x", "outs": [{"path": out, "hash": "md5", "md5": md5_of(out)} for out in outs]}}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": made}))


def test_a_stage_refuses_what_has_a_flipped_bit(ran: tuple[Stages, list[Reference]]) -> None:
    """Before it is used, by name, with exit status 1: a table, an array and a file that no other names."""
    stages, _ = ran
    for name in ("data/clips/clips.csv", "data/checked"):
        with flipped(stages.folder / name, 200):
            outcome = stages.run(["split"] if "clips" in name else ["ingest"])
        assert outcome.status == 1
        assert outcome.said.startswith(f"DataError: {name}: damaged, or changed by another than the stage that wrote")
    assert stages.run(["split"]).status == 0


def test_every_flipped_bit_is_found(folder: Path) -> None:
    """In each file of the stage's input, with size, inode and time of change as they were; others are not looked at."""
    require_unchanged("learn", ["1"])
    for name in ("x/a.csv", "y/1/w", "y/2/w", "1.csv", "z/w.pth"):
        for bit in range(8 * len(name)):
            with flipped(folder / "data" / name, bit):
                message = (
                    rf"^data/{name}: damaged, .*expected md5 {md5(name.encode()).hexdigest()}, got \w{{32}}; `spira"
                )
                with pytest.raises(DataError, match=message):
                    require_unchanged("learn", ["1"])
    for name in ("x/b.npy", "2.csv"):
        with flipped(folder / "data" / name, 0):
            require_unchanged("learn", ["1"])


@pytest.mark.parametrize("listing", ["gone", "damaged", "elsewhere"])
def test_without_the_list_of_a_folder_the_folder_is_named(folder: Path, listing: str) -> None:
    """After ``dvc repro --no-commit``, or where the list itself has lost a bit; the settings may name another cache."""
    cache = folder / ".dvc/cache"
    if listing == "gone":
        shutil.rmtree(cache)
    elif listing == "damaged":
        for path in cache.rglob("*.dir"):
            path.write_text(path.read_text().replace("a", "b"))
    else:
        cache.rename(folder / "shared")
        (folder / ".dvc/config.local").write_text("[cache]\n    dir = ../shared\n['remote \"a\"']\n    url = /%x\n")
    require_unchanged("learn", ["1"])
    name = "data/x/a.csv" if listing == "elsewhere" else "data/x"
    with flipped(folder / "data/x/a.csv", 3), pytest.raises(DataError, match=rf"^{name}: damaged"):
        require_unchanged("learn", ["1"])


def test_by_hand_it_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody may have run the stage before it by hand as well, and no record says so."""
    monkeypatch.delenv("DVC_STAGE")
    (folder / "data/x/a.csv").write_text("new")
    require_unchanged("learn", ["1"])
    assert capsys.readouterr().err.startswith("data/x/a.csv: damaged, or changed by another than the stage that wrote")
    require_unchanged("learn", ["2"])


def test_where_dvc_recorded_nothing_nothing_is_compared(folder: Path) -> None:
    """Before the first ``dvc repro``; where another program than dvc.yaml's asks; outside of any repository."""
    (folder / "data/x/a.csv").write_text("new")
    require_unchanged("other", [])
    (folder / "dvc.lock").unlink()
    require_unchanged("learn", ["1"])
    (folder / "dvc.yaml").unlink()
    require_unchanged("learn", ["1"])


def test_a_missing_file_is_the_readers_to_refuse(folder: Path) -> None:
    """It says which stage makes it."""
    (folder / "data/x/a.csv").unlink()
    require_unchanged("learn", ["1"])


def test_a_lock_that_another_dvc_is_just_writing_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings side by side: DVC writes its lock in place, so that it is empty or half there for a moment."""
    monkeypatch.setattr(inputs, "_SECONDS_BETWEEN_READS", 0.5)
    whole = (folder / "dvc.lock").read_text()
    (folder / "dvc.lock").write_text(whole[: whole.index("md5: ", whole.index("data/y/2")) + 9])  # within a hash

    def finish() -> None:
        time.sleep(0.2)
        (folder / "dvc.lock").write_text(whole)

    with flipped(folder / "data/y/2/w", 3):
        writer = Thread(target=finish)
        writer.start()
        with pytest.raises(DataError, match=r"^data/y/2/w: damaged"):
            require_unchanged("learn", ["1"])
        writer.join()
