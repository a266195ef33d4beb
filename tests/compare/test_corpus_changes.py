"""What became of a corpus's clips: every kind by speaker, from one commit to the next, over S3 and back."""

import re
import shutil
from collections import Counter
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3_servers import Server
from spira.compare.corpus_changes import Clip, Version, corpus_changes, described
from storage_clone import Clone, start
from tiny import ROOT, tiny_params, write_tiny_corpus

CLIPS = st.lists(
    st.builds(
        Clip, st.sampled_from("abcdefgh"), st.sampled_from(["s1", "s2"]), st.integers(0, 1), st.text("01", max_size=3)
    ),
    max_size=8,
    unique_by=(lambda clip: clip.path, lambda clip: clip.digest),
)


def version(*clips: Clip, corpus: str = "mine", source: str = "1", **made_by: object) -> Version:
    return Version(corpus, source, made_by, clips, {})


@given(CLIPS, CLIPS)
def test_every_clip_is_accounted_for(base: list[Clip], head: list[Clip]) -> None:
    """What was there, less the removed, more the added, is what is there; and nothing changed in the same."""
    found = corpus_changes(base, head)
    added, removed = (found.get(kind, Counter()).total() for kind in ("added", "removed"))
    assert len(base) - removed + added == len(head)
    back = corpus_changes(head, base)
    assert (back.get("added"), back.get("removed")) == (found.get("removed"), found.get("added"))
    assert corpus_changes(base, base) == {}


@pytest.mark.parametrize(
    ("head", "kinds"),
    [
        (Clip("a", "s1", 1, "x"), {"relabelled": {"s1": 1}}),
        (Clip("a", "s2", 0, "x"), {"reassigned": {"s1 -> s2": 1}}),
        (Clip("a", "s1", 0, "y"), {"re-recorded": {"s1": 1}}),
        (Clip("b", "s1", 0, "x"), {"renamed": {"s1": 1}}),
        (Clip("b", "s1", 1, "x"), {"relabelled": {"s1": 1}, "renamed": {"s1": 1}}),
        (Clip("b", "s1", 0, "y"), {"added": {"s1": 1}, "removed": {"s1": 1}}),
    ],
)
def test_each_kind_of_change_has_its_name(head: Clip, kinds: dict[str, dict[str, int]]) -> None:
    """The path is the clip; where it is gone, the sound is."""
    assert corpus_changes([Clip("a", "s1", 0, "x")], [head]) == kinds


def test_a_renamed_clip_of_nobody_known_is_not_reassigned() -> None:
    """Its speaker is named after the file, and says nothing."""
    assert corpus_changes([Clip("a", "file:a", 0, "x")], [Clip("b", "file:b", 0, "x")]) == {"renamed": {"file:b": 1}}


def test_two_files_that_exchange_their_sound_are_re_recorded() -> None:
    """Both paths stay, so neither is renamed."""
    base = [Clip("a", "s1", 0, "x"), Clip("b", "s2", 0, "y")]
    head = [Clip("a", "s1", 0, "y"), Clip("b", "s2", 0, "x")]
    assert corpus_changes(base, head) == {"re-recorded": {"s1": 1, "s2": 1}}


def test_many_speakers_are_counted_and_a_few_are_named() -> None:
    """The five with most clips; a name cannot break the table."""
    clips = [Clip(f"{i}{j}", f"s{i}|@x", 0, f"{i}.{j}") for i in range(9) for j in range(i + 1)]
    text = described(version(), version(*clips))
    assert "| added | 45 | 9 | s8\\|&#64;&#8203;x (9), s7" in text
    assert text.endswith("s4\\|&#64;&#8203;x (5), and 4 more |")


def test_what_ingest_did_is_not_called_the_corpus_s_doing() -> None:
    """At another rate every sound differs, and the files are the same."""
    before, after = Clip("a", "s1", 0, "x"), Clip("a", "s1", 0, "y")
    same = described(version(before, sample_rate=16000), version(after, sample_rate=8000))
    assert "The corpus's files are the same; ingest is not: `sample_rate`." in same
    both = described(version(before, sample_rate=16000), version(after, sample_rate=8000, source="2"))
    assert "Ingest changed too, and may be why" in both


def test_another_corpus_is_not_compared_clip_by_clip() -> None:
    """Two corpora may name their files alike."""
    text = described(version(Clip("a", "s1", 0, "x")), version(Clip("a", "s1", 1, "x"), corpus="other"))
    assert text == "Corpus `mine` -> `other`, other recordings: 1 clips of 1 speakers -> 1 clips of 1 speakers."


def second_version(folder: Path) -> None:
    """One speaker more with two clips, one clip gone, one patient who is none, one recorded anew."""
    rows = (folder / "metadata.csv").read_text().splitlines()
    rows = [row for row in rows if not row.startswith("clip_03")]
    (folder / "clip_03.wav").unlink()
    rows = [row.replace("patient", "control") if row.startswith("clip_05") else row for row in rows]
    samples, rate = soundfile.read(folder / "clip_06.wav", dtype="int16")
    soundfile.write(folder / "clip_06.wav", samples[::-1], rate, subtype="PCM_16")
    for i in (1, 2):
        soundfile.write(folder / f"new_{i}.wav", samples[i * 1000 :], rate, subtype="PCM_16")
        rows.append(f"new_{i}.wav,control,s99,F,40,train")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


def repository(folder: Path) -> Clone:
    """The real stages that ingest, and the tiny corpus."""
    clone = start(folder)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {name: stages[name] for name in ("check", "ingest")}}))
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy2(ROOT / "requirements.txt", folder)
    (folder / ".gitignore").write_text("__pycache__\n/.ckpt/\n")
    write_tiny_corpus(folder / "data/raw/tiny", folder.parent / "noise", n_speakers=10)
    return clone


def commit(clone: Clone, message: str) -> None:
    clone.do("dvc", "add", "-q", "data/raw/tiny")
    clone.do("dvc", "repro", "-q", "ingest")
    clone.do("git", "add", "-A")
    clone.do("git", "commit", "-q", "-m", message)
    clone.do("git", "tag", message)


def changes(clone: Clone, *revisions: str) -> str:
    return done(clone.spira("changes", *revisions))


def done(command: CompletedProcess[str]) -> str:
    assert command.returncode == 0, command.stderr
    return command.stdout


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A repository at the second version; v1 and v2 are committed and tagged."""
    folder = tmp_path_factory.mktemp("versions") / "here"
    folder.mkdir()
    clone = repository(folder)
    commit(clone, "v1")
    second_version(folder / "data/raw/tiny")
    clone.do("dvc", "add", "-q", "data/raw/tiny")
    assert changes(clone) == "data/raw/tiny.dvc is newer than what ingest read in the working tree: dvc repro ingest.\n"
    commit(clone, "v2")
    return clone


ROWS = """\
Corpus `tiny`: 10 clips of 10 speakers -> 11 clips of 10 speakers.

| clips | n | speakers | who (clips) |
| --- | --- | --- | --- |
| added | 2 | 1 | s99 (2) |
| removed | 1 | 1 | s03 (1) |
| relabelled | 1 | 1 | s05 (1) |
| re-recorded | 1 | 1 | s06 (1) |
"""


@pytest.mark.pipeline
def test_git_shows_one_hash_and_we_say_what_is_behind_it(two: Clone) -> None:
    """One line of the .dvc file besides its counts; ``dvc diff`` lists files, and cannot say relabelled or whose."""
    lines = two.do("git", "diff", "--unified=0", "v1", "v2", "--", "data/raw/tiny.dvc").splitlines()
    assert len([line for line in lines if line.startswith("+- md5: ")]) == 1
    assert two.do("git", "diff", "--name-only", "v1", "v2") == "data/raw/tiny.dvc\ndvc.lock\n"
    files = two.do("dvc", "diff", "v1", "v2", "--targets", "data/raw/tiny")
    for line in ("data/raw/tiny/new_1.wav", "data/raw/tiny/clip_03.wav", "data/raw/tiny/clip_06.wav"):
        assert line in files
    assert "clip_05" not in files
    assert changes(two, "v1", "v2") == ROWS
    assert changes(two, "v1") == ROWS  # with what the last dvc repro made
    assert changes(two) == ""
    assert "| removed | 2 | 1 | s99 (2) |" in changes(two, "v2", "v1")


@pytest.mark.pipeline
def test_a_version_goes_over_s3_and_says_the_same_elsewhere(two: Clone, tmp_path: Path) -> None:
    """Each version is pushed from one clone and pulled into another; until then it says what is not at hand."""
    server = Server("rclone", tmp_path / "store")
    try:
        here, there = Clone(two.folder, server.key), Clone(tmp_path / "there", server.key)
        here.do("git", "clone", "-q", str(here.folder), str(there.folder))
        for clone in (here, there):
            clone.point("versions", server.url)
        unknown = "What changed in the corpus is not known: the tables in data/clips of v1 are not in DVC's cache.\n"
        assert changes(there, "v1", "v2") == unknown
        for tag in ("v1", "v2"):
            here.do("git", "checkout", "-q", tag)
            here.do("dvc", "checkout", "-q")
            here.storage("push")
            there.do("git", "checkout", "-q", tag)
            there.storage("pull")
            assert _wavs(there) == _wavs(here)
        assert len(_wavs(there)) == 11
        assert changes(there, "v1", "v2") == ROWS
    finally:
        server.kill()
        here.do("git", "checkout", "-q", "main")


def _wavs(clone: Clone) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (clone.folder / "data/raw/tiny").glob("*.wav")}


@pytest.mark.pipeline
def test_a_reviewer_reads_it_in_the_report(two: Clone) -> None:
    """Under Data, in the words of the command; nothing where the corpus is the same."""
    report = done(two.spira("review", "v1", "v2"))
    assert ROWS.strip() in report[report.index("## Data") :]
    assert "| clips | n |" not in done(two.spira("review", "v2", "v2"))


@pytest.mark.pipeline
def test_a_damaged_table_is_refused(two: Clone, tmp_path: Path) -> None:
    """What DVC's cache holds under the wrong name is not compared; nor is a revision that is none."""
    mistyped = two.spira("changes", "v9")
    assert (mistyped.returncode, "v9: not a commit of this repository" in mistyped.stderr) == (1, True)
    clone = two.copy(tmp_path / "copy", {})
    oid = yaml.safe_load((clone.folder / "dvc.lock").read_text())["stages"]["ingest"]["outs"][0]["md5"]
    listing = clone.folder / ".dvc/cache/files/md5" / oid[:2] / oid[2:]
    listing.chmod(0o644)
    listing.write_text("[]")
    result = clone.spira("changes", "v1", "v2")
    assert result.returncode == 1
    assert re.search(r"^DataError: .*: damaged, its hash is not its name; delete it", result.stderr)
