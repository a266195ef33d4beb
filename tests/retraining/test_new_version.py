"""A corpus's new version: exactly the folder's files, without a write to what DVC keeps; or the import's newest."""

import subprocess
from pathlib import Path

import pytest

from registered import Registered
from spira.base.errors import DataError
from spira.retraining.corpus import as_it_is_now, mirror, place


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fill(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_mirror_has_exactly_the_sources_files(tmp_path: Path) -> None:
    """Also where a file became a folder or a folder a file; folders without files are gone."""
    source, target = tmp_path / "source", tmp_path / "target"
    fill(source, a="1", b__c="2", d="3", metadata="m", linked="5")
    fill(target, a="old", b="was a file", d__e="was a folder", gone__f="4")
    (source / "linked").unlink()
    (source / "linked").symlink_to(source / "a")
    mirror(source, target)
    assert contents(target) == {"a": b"1", "b/c": b"2", "d": b"3", "linked": b"1", "metadata": b"m"}
    assert not (target / "gone").exists()
    mirror(source, tmp_path / "new")
    assert contents(tmp_path / "new") == contents(target)


def test_what_dvc_has_linked_to_its_cache_is_replaced_and_not_written_to(tmp_path: Path) -> None:
    """Under `cache.type = hardlink` the file and the cache are one."""
    source, target, cache = tmp_path / "source", tmp_path / "target", tmp_path / "cache"
    fill(source, a="new")
    fill(target)
    target.mkdir()
    cache.write_text("old")
    (target / "a").hardlink_to(cache)
    mirror(source, target)
    assert (target / "a").read_text() == "new"
    assert cache.read_text() == "old"


def test_a_file_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    fill(source, a="1")
    (source / "b").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"source/b: cannot be copied: No such file or directory; run again"):
        mirror(source, target)


def test_a_link_to_a_folder_is_refused_before_anything_is_copied(tmp_path: Path) -> None:
    """Else its recordings would be missing, and nobody would know."""
    source, target = tmp_path / "source", tmp_path / "target"
    fill(source, a="1")
    (source / "voices").symlink_to(tmp_path)
    with pytest.raises(DataError, match="source/voices: is a link to a folder, which is not followed"):
        mirror(source, target)
    assert not target.exists()


@pytest.fixture
def imported(work: Registered, new: Path) -> Registered:
    """The corpus is imported from the folder ``new``, as from a hospital's export."""
    work.git("rm", "-q", "--cached", "data/raw/tiny.dvc")
    (work.folder / "data/raw/tiny.dvc").unlink()
    for path in (work.folder / "data/raw/tiny").iterdir():
        path.unlink()
    (work.folder / "data/raw/tiny").rmdir()
    for command in (("import-url", "-q", str(new), "data/raw/tiny"), ("repro", "-q")):
        subprocess.run(["dvc", *command], cwd=work.folder, env=work.environment(), check=True)
    work.git("add", "-A")
    work.git("commit", "-q", "-m", "imported")
    return work


def test_an_import_is_looked_at_where_it_comes_from(imported: Registered, new: Path) -> None:
    """Its table alone is brought; a folder that is named goes before."""
    (new / "metadata.csv").write_text("newer\n")
    with as_it_is_now(imported.folder, None) as corpus:
        assert (corpus.folder / "metadata.csv").read_text() == "newer\n"
        assert not corpus.recordings
    assert not corpus.folder.exists()
    with as_it_is_now(imported.folder, new) as corpus:
        assert (corpus.folder, corpus.recordings) == (new, True)


def test_an_import_is_updated_and_takes_no_folder(
    imported: Registered, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `dvc update`; the second time there is nothing new."""
    monkeypatch.setattr("spira.retraining.run._page", lambda *_: "a page\n")
    assert "the corpus tiny is imported from" in imported.refuses("retrain", "--force", "--from", str(new))
    with (new / "metadata.csv").open("a") as file:
        file.write("clip_00.wav,control,s99,F,40,train\n")
    imported.says("retrain", "--force")
    assert imported.git("show", "HEAD:data/metrics.json") == "6"
    assert "deps:" in imported.git("show", "HEAD:data/raw/tiny.dvc")
    imported.git("switch", "-q", "main")
    imported.git("merge", "-q", "--ff-only", "@{-1}")
    assert "nothing is new: main has these results already" in imported.says("retrain", "--force")


def test_an_import_from_a_repository_is_looked_at_there(small: Registered, work: Registered) -> None:
    """As `dvc import` writes it: the repository, its branch, and the path there."""
    text, url = (work.folder / "data/raw/tiny.dvc").read_text(), str(small.folder)
    deps = f"deps:\n- path: data/raw/tiny\n  repo:\n    url: {url}\n    rev: main\n    rev_lock: abc\n"
    (work.folder / "data/raw/tiny.dvc").write_text(deps + text)
    assert place(work.folder).source == ("data/raw/tiny", url, "main")
    (work.folder / "data/raw/tiny/metadata.csv").write_text("old")
    with as_it_is_now(work.folder, None) as corpus:
        assert (corpus.folder / "metadata.csv").read_text().startswith("file_path,label,speaker_id")
    (work.folder / "data/raw/tiny.dvc").write_text("deps: [7]\n" + text)
    with pytest.raises(DataError, match=r"tiny\.dvc: not as dvc import writes it"):
        place(work.folder)
