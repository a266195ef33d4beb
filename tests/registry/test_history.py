"""A registry's tags, read: which version stands where, and what in the record cannot be true."""

import json
from pathlib import Path
from typing import Any

import pytest

from spira.base.errors import DataError
from spira.registry import tags
from spira.registry.history import History, Tag, contradictions, differences, find_version, read_history
from spira.registry.record import Check, Gate, Record, message, read_message
from spira.repository.git import git

FOLDER = "0" * 32 + ".dir"


def commit(i: int) -> str:
    return f"{i:040x}"


def record(name: str, i: int, **changes: Any) -> Record:
    """Of version i, as the name of the tag says."""
    registry, _, rest = name.replace("@", "#").partition("#")
    action = "register" if "@" in name else "withdraw" if "!" in name else "assign"
    stage = None if "@" in name else rest.partition("#")[0].rstrip("!")
    facts: dict[str, Any] = {"registry": registry, "commit": commit(i), "package": f"{i:064x}", "model": "m"}
    checks = (Check(name="x", verdict="pass", reason="y"),)
    gate = Gate(**facts, corpus="c", against=None, test_set=None, checks=checks)
    del facts["model"]
    facts |= {"version": f"v0.0.{i}", "folder": FOLDER, "by": "Ana", "why": "w", "previous": None, "lineage": None}
    return Record.model_validate(facts | {"action": action, "stage": stage, "gate": gate} | changes)


def tag(name: str, i: int, *, annotated: bool = True, at: int | None = None, **changes: Any) -> Tag:
    said = message(record(name, i, **changes))
    return Tag(name, f"{abs(hash(name)):040x}"[:40], annotated, commit(i if at is None else at), "Ana", 0, said)


def history(*tags: Tag) -> History:
    return read_history("r", tags)


STORY = [tag("r@v0.0.1", 1), tag("r#champion#1", 1), tag("r@v0.0.2", 2), tag("r#champion#2", 2)]


def test_the_last_version_that_was_not_withdrawn_is_in_use() -> None:
    """By number, in whatever order git lists them; a withdrawn one may come back."""
    assert history(*reversed(STORY)).in_use("champion") == "v0.0.2"
    back = history(*STORY, tag("r#champion!#3", 2))
    assert back.in_use("champion") == "v0.0.1"
    assert back.last("champion") is not None
    again = history(*STORY, tag("r#champion!#3", 2), tag("r#champion#10", 2))
    assert again.standing("champion") == ["v0.0.1", "v0.0.2"]
    assert again.in_use("challenger") is None
    assert again.next_version() == "v0.0.3"
    assert history().next_version() == "v0.0.1"


def test_a_version_is_found_by_stage_by_name_and_by_its_packages_hash() -> None:
    found = history(*STORY)
    assert find_version(found, "champion").record.version == "v0.0.2"
    assert find_version(found, "v0.0.1").record.version == "v0.0.1"
    assert find_version(found, f"{2:064x}").record.version == "v0.0.2"
    with pytest.raises(DataError, match=r"registry r: no challenger yet; spira promote makes one"):
        find_version(found, "challenger")
    with pytest.raises(DataError, match=r"registry r: no version abc; known: v0\.0\.1, v0\.0\.2"):
        find_version(found, "abc")


@pytest.mark.parametrize(
    ("forged", "said"),
    [
        (tag("r@v0.0.3", 3, annotated=False), "has no message"),
        (tag("r@v0.0.3", 3, at=4), "stands at 00000000, and its record says 00000000: it was moved"),
        (tag("r@v0.0.4", 3), "its record is of register v0.0.3"),
        (tag("r#champion#3", 3, action="withdraw"), "its record is of withdraw v0.0.3"),
        (tag("r@v0.0.3", 3, gate=None), "its record has no gate that passed"),
        (tag("r#admin#3", 3, stage="champion"), "no name that the registry gives"),
        (tag("r@v0.0.3", 3, package="f" * 64), "its gate is of another commit or package"),
    ],
)
def test_a_tag_that_cannot_be_true_is_named_and_counts_for_nothing(forged: Tag, said: str) -> None:
    found = history(*STORY, forged)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(f"{forged.name}: ")
    assert said in found.problems[0]
    assert found.in_use("champion") == "v0.0.2"


def test_a_gate_that_failed_promotes_nothing() -> None:
    """Whoever writes the tag by hand."""
    sound = record("r@v0.0.3", 3).gate
    assert sound is not None
    failed = sound.model_copy(update={"checks": (Check(name="x", verdict="no verdict", reason="y"),)})
    assert "no gate that passed" in history(tag("r@v0.0.3", 3, gate=failed)).problems[0]


def test_what_single_tags_do_not_show_is_found_between_them() -> None:
    """A package that is not the commit's, a predecessor that is gone, an assignment of what is not registered."""
    folders: dict[str, str | None] = {commit(i): FOLDER for i in range(5)}
    assert list(contradictions(history(*STORY), folders)) == []
    assert "dvc.lock of its commit another" in next(contradictions(history(*STORY), folders | {commit(1): None}))
    gone = history(*STORY, tag("r#champion#3", 1, previous="f" * 40))
    assert list(contradictions(gone, folders)) == [
        "r#champion#3: follows a tag that is gone or was replaced (ffffffff)"
    ]
    assert "v0.0.3, which is not registered" in next(contradictions(history(tag("r#champion#1", 3)), folders))


def test_tags_are_held_to_the_remotes() -> None:
    lines = differences({"a": "1" * 40, "b": "2" * 40}, {"b": "3" * 40, "c": "4" * 40}, "origin")
    assert lines == [
        "a: is only here; it was never promoted",
        "b: was moved: 22222222 here, 33333333 on origin",
        "c: is on origin alone; git fetch --tags",
    ]


def test_a_record_is_read_as_it_was_written() -> None:
    """With what people write in it."""
    one = record("r@v0.0.1", 1, why="weil's besser ist\n\n{}", by="José <j@x>")
    text = message(one)
    assert text.isascii()
    assert read_message(text, "t") == one
    for wrong in ("", "r v0.0.1: hello", text.replace('"by"', '"who"'), json.dumps({"action": "register"})):
        with pytest.raises(DataError, match="t: not a record of the registry"):
            read_message(wrong, "t")


def test_without_a_git_remote_the_clones_own_tags_count_and_that_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")
    assert tags.shared_history(tmp_path, "origin", "demo") == History("demo", (), ())
    assert capsys.readouterr().err == "no git remote origin; by the tags of this clone alone\n"
    git(tmp_path, "remote", "add", "origin", str(tmp_path / "nothing"))
    assert tags.shared_history(tmp_path, "origin", "demo") == History("demo", (), ())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; by the tags of this clone alone")
