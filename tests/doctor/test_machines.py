"""What a machine brings is set by us or named by us: locks, line ends, owners, locales, git's variables, odd names."""

import ast
import errno
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from console_script import console_script
from shims import LOCKS, USERS, compiled, latin_1
from spira.base.errors import DataError
from spira.compare.revision import content, resolve
from spira.doctor.machine import names
from spira.repository.git import WHICH_REPOSITORY, environment_without_git, git, object_name
from storage_clone import Clone, start
from tiny import GIT_IDENTITY, ROOT, tiny_params, write_tiny_corpus
from two_revisions import Repository

WITHOUT_LOCKS = {"ENOLCK": errno.ENOLCK, "ENOSYS": errno.ENOSYS, "EOPNOTSUPP": errno.EOPNOTSUPP}
BIN = Path(sys.executable).parent


def run(
    folder: Path, *command: str, check: bool = True, set_: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """As a user types it, with these variables set."""
    usual = {"PYTHONPATH": str(ROOT / "src"), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    environment = environment_without_git() | GIT_IDENTITY | usual | dict(set_ or {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done


def spira(
    folder: Path, *arguments: str, check: bool = True, set_: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "spira", *arguments, check=check, set_=set_)


def check_stage(folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "spira.stages.check", set_=variables)


# A file system without locks (C4)


@pytest.fixture(scope="module")
def no_locks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return compiled(LOCKS, tmp_path_factory.mktemp("locks"))


@pytest.mark.parametrize("name", WITHOUT_LOCKS)
def test_c4_a_stage_runs_where_the_file_system_has_no_locks(
    tmp_path: Path, no_locks: dict[str, str], name: str
) -> None:
    """Exit 0, what it writes is there, and one line says that nothing keeps a second one away."""
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    (tmp_path / "data").mkdir()
    shim = {**no_locks, "NOLOCK_PREFIX": str(tmp_path), "NOLOCK_ERRNO": str(WITHOUT_LOCKS[name])}
    done = check_stage(tmp_path, shim)
    why = os.strerror(WITHOUT_LOCKS[name])
    assert done.stderr == (
        f".ckpt/check.lock: no locks on this file system ({why}): nothing keeps a second check away\n"
    )
    assert (tmp_path / "data/checked").is_file()


TAKE = """
import fcntl, sys
from pathlib import Path
from spira.base.locks import locked
from spira.sweeps.clones import alone
with open("lock", "w") as file:
    print(locked(file, getattr(fcntl, sys.argv[1]), "stage"))
with alone(Path("sweep")):
    print("alone")
"""


def test_c4_a_lock_that_is_held_is_still_held(tmp_path: Path, no_locks: dict[str, str]) -> None:
    """EAGAIN and EACCES are another process's lock, by either call; another fault is none of these; so for a sweep."""

    def taken(how: str, number: int) -> subprocess.CompletedProcess[str]:
        shim = {**no_locks, "NOLOCK_PREFIX": str(tmp_path), "NOLOCK_ERRNO": str(number)}
        return run(tmp_path, sys.executable, "-c", TAKE, how, check=False, set_=shim)

    for how, number in (("lockf", errno.EACCES), ("flock", errno.EAGAIN)):
        done = taken(how, number)
        assert done.stdout == "False\n"
        assert "DataError: sweep: another sweep is running in this repository" in done.stderr
    assert "OSError: [Errno 5]" in taken("lockf", errno.EIO).stderr
    for number in (errno.ENOLCK, errno.EINVAL):
        done = taken("flock", number)
        assert done.stdout == "True\nalone\n"
        assert done.stderr.count(f"sweep: no locks on this file system ({os.strerror(number)})") == 1


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """One stage, which has run."""
    clone = start(tmp_path_factory.mktemp("origin"))
    stages = {"make": {"cmd": "echo made > out.txt", "outs": ["out.txt"]}}
    (clone.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    clone.do("dvc", "repro", "-q")
    clone.do("git", "add", "-A")
    clone.do("git", "commit", "-q", "-m", "results")
    return clone


@pytest.fixture
def small(origin: Clone, tmp_path: Path) -> Clone:
    return origin.copy(tmp_path / "here", {})


@pytest.fixture(scope="module")
def good_and_bad(repository: Repository) -> str:
    """The report of two revisions, from where nothing is odd."""
    return repository.report("good", "bad").stdout


def todo(said: str) -> str:
    return said.partition("TO DO: ")[2].partition("\n")[0]


def test_c4_the_doctor_knows_the_locks_that_dvc_can_use_here(small: Clone, no_locks: dict[str, str]) -> None:
    """DVC says "another DVC process is running"; what the doctor says makes it run, and the doctor leaves it so."""
    shim = {**no_locks, "NOLOCK_PREFIX": str(small.folder), "NOLOCK_ERRNO": str(errno.ENOSYS)}
    doctor = (sys.executable, "-m", "spira", "doctor", "--locks")
    assert small.do(*doctor) == ""
    said = small.run(*doctor, **shim)
    assert said.returncode == 1
    assert (
        "no locks on this file system (Function not implemented): dvc ends in 'Unable to acquire lock'" in said.stdout
    )
    small.do("bash", "-c", todo(said.stdout))
    assert small.run(*doctor, **shim).stdout == ""
    ran = small.run("dvc", "repro", "--force", **shim)
    assert (ran.returncode, "Running stage 'make'" in ran.stdout) == (0, True)
    assert small.run(*doctor, **shim).stdout == ""
    assert small.run("dvc", "status", **shim).returncode == 0, "the doctor made no guard that DVC waits for"


def test_c4_a_hard_link_that_a_killed_dvc_left_is_named(small: Clone) -> None:
    """It keeps each later one out for a year; where another machine works in the folder, it may be that one's."""
    small.do("dvc", "config", "--local", "core.hardlink_lock", "true")
    doctor = (sys.executable, "-m", "spira", "doctor", "--locks")
    assert "rm .dvc/tmp/lock .dvc/tmp/rwlock.lock" in small.run(*doctor).stdout, "from before the setting"
    small.do("bash", "-c", "rm .dvc/tmp/*lock && echo x > .dvc/tmp/claim && ln .dvc/tmp/claim .dvc/tmp/lock")
    said = small.run(*doctor)
    assert "unless a dvc of another machine works in this folder" in said.stdout
    small.do("bash", "-c", todo(said.stdout).partition(",")[0])
    assert small.do("dvc", "status") == "Data and pipelines are up to date.\n"


# The ends of lines (C5)


def contents(folder: Path) -> dict[str, bytes]:
    tracked = git(folder, "ls-files", "-z").decode().split("\0")
    return {name: (folder / name).read_bytes() for name in tracked if name}


@pytest.mark.parametrize(
    "settings",
    [
        ["core.autocrlf=true"],
        ["core.autocrlf=true", "core.eol=crlf", "core.safecrlf=true"],
        ["core.attributesFile={}"],
    ],
    ids=" ".join,
)
def test_c5_a_clone_has_the_bytes_that_were_committed(tmp_path: Path, settings: list[str]) -> None:
    """Whatever a user's git does to the ends of lines: of code, tables, scripts, pictures and files with CRLF of their
    own; and adding them again changes none."""
    attributes = tmp_path / "attributes"
    attributes.write_text("* text eol=crlf\n*.py ident\n*.csv filter=upper\n")
    origin = tmp_path / "origin"
    origin.mkdir()
    shutil.copy2(ROOT / ".gitattributes", origin)
    files = {"a.py": b"# $Id$\nx = 1\n", "t.csv": b"a,b\n1,2\n", "run.sh": b"#!/bin/sh\n", "Makefile": b"a:\n\ttrue\n"}
    files |= {
        "dos.csv": b"a\r\n1\r\n",
        "mixed.md": b"a\r\nb\n",
        "p.png": b"\x89PNG\r\n\x1a\n\0",
        "data/x.dvc": b"outs:\n",
    }
    for name, content_ in files.items():
        (origin / name).parent.mkdir(exist_ok=True)
        (origin / name).write_bytes(content_)
    run(origin, "git", "init", "-q", "-b", "main")
    run(origin, "git", "add", "-A")
    run(origin, "git", "commit", "-q", "-m", "all")
    options = [part for setting in settings for part in ("-c", setting.format(attributes))]
    filter_ = ["-c", "filter.upper.smudge=tr a-z A-Z", "-c", "filter.upper.clean=cat"]
    run(tmp_path, "git", "clone", "-q", *options, *filter_, "origin", "clone")
    assert contents(tmp_path / "clone") == contents(origin)
    for name in files:
        (tmp_path / "clone" / name).touch()
    assert run(tmp_path / "clone", "git", "status", "--porcelain").stdout == ""


def test_c5_no_tracked_file_of_this_repository_is_converted() -> None:
    """Each is under the rule, and no rule below takes it back."""
    listed = git(ROOT, "ls-files", "--eol", "-z").decode().split("\0")
    kinds = {line.split("\t")[1]: line.split("\t")[0].split() for line in listed if line}
    assert len(kinds) > 300
    assert {name for name, kind in kinds.items() if kind[2:] != ["attr/-text"]} == set()


# What git says (C6)


@pytest.mark.parametrize(
    "command",
    [
        ("review", "good", "bad"),
        ("compare", "good", "bad"),
        ("changes",),
        ("doctor",),
        ("doctor", "--locks"),
    ],
    ids=" ".join,
)
def test_c6_a_refusal_by_git_is_passed_on(repository: Repository, command: tuple[str, ...]) -> None:
    """Another user's clone: git's own sentence with its way out, exit 1, no word of a shallow clone or of health."""
    done = spira(repository.folder, *command, check=False, set_={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"fatal: detected dubious ownership in repository at '{repository.folder}'" in said
    assert f"git config --global --add safe.directory {repository.folder}" in said
    assert "shallow" not in said
    assert "healthy" not in said
    assert "Traceback" not in said


def test_c6_dvc_lock_is_not_given_up_where_git_refuses(small: Clone) -> None:
    """Half written, with a whole one in git that git does not hand out: it stays, and git's words say why."""
    lock = small.folder / "dvc.lock"
    half = lock.read_text()[:40]
    lock.write_text(half)
    said = small.run(sys.executable, "-m", "spira", "doctor", "--locks", GIT_TEST_ASSUME_DIFFERENT_OWNER="1").stdout
    assert said.count("dubious ownership") == 2
    assert lock.read_text() == half
    small.run(sys.executable, "-m", "spira", "doctor", "--locks")
    assert lock.read_text() != half


def test_c6_a_shallow_clone_is_called_so_where_it_is_one(repository: Repository, tmp_path: Path) -> None:
    """And nowhere else."""
    run(tmp_path, "git", "clone", "-q", "--depth", "1", f"file://{repository.folder}", "shallow")
    with pytest.raises(DataError, match=r"^good: not a commit .*; this clone is shallow, .*: git fetch --unshallow$"):
        resolve(tmp_path / "shallow", "good")
    with pytest.raises(DataError, match=r"^nosuch: not a commit of this repository; git branch --all and dvc exp list"):
        resolve(repository.folder, "nosuch")


def test_c6_a_file_that_git_has_lost_is_not_absent(repository: Repository, tmp_path: Path) -> None:
    """Its name is in the commit and its content is gone: git's words. A folder, or what no commit has, is no file."""
    shutil.copytree(repository.folder / ".git", tmp_path / ".git")
    good = resolve(tmp_path, "good")
    assert content(good, "dvc.yaml")
    for path in ("nosuch", "src", "src/*", "../outside", "/etc/passwd"):
        assert content(good, path) is None
    blob = object_name(tmp_path, f"{good.commit}:dvc.yaml")
    assert blob is not None
    (tmp_path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(DataError, match=r"^git cat-file blob: fatal: .*dvc\.yaml"):
        content(good, "dvc.yaml")


def test_c6_no_git_and_no_repository_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By git where it is there, by us where it is not."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(DataError, match="fatal: not a git repository"):
        resolve(tmp_path, "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"git cannot be started in .*: No such file or directory; is it installed\?"):
        resolve(tmp_path, "HEAD")


def test_c6_what_git_says_beside_its_answer_is_passed_on(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning is no refusal, be there an answer or none."""
    monkeypatch.setenv("GIT_TRACE", "1")
    assert object_name(repository.folder, "good") is not None
    assert object_name(repository.folder, "nosuch") is None
    assert git(repository.folder, "tag") == b""
    assert capsys.readouterr().err.count("trace: built-in: git") == 3


def test_c6_git_is_started_in_one_place() -> None:
    """So that no other call can throw its words away, or meet a repository that is not the folder's."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.List)
        and node.elts
        and isinstance(node.elts[0], ast.Constant)
        and node.elts[0].value == "git"
    ]
    assert found == ["src/spira/repository/git.py"]


# The locale (C7)

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NAMES = {"clip_00.wav": "gravação_00.wav", "clip_01.wav": "tosse_😷.wav"}  # the second has letters that no Latin-1 has


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ingest can run, with two names that are not ASCII."""
    folder = tmp_path_factory.mktemp("corpus")
    speech = folder / "data/raw/tiny"
    write_tiny_corpus(speech, folder / "data/raw/tiny_noise", n_speakers=8)
    table = (speech / "metadata.csv").read_text()
    for before, after in NAMES.items():
        os.rename(os.fsencode(speech / before), os.fsencode(speech) + b"/" + after.encode())  # noqa: PTH104 - bytes
        table = table.replace(before, after)
    (speech / "metadata.csv").write_text(table, encoding="utf-8")
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    return folder


def ingested(corpus: Path, out: Path, variables: Mapping[str, str]) -> tuple[dict[str, bytes], str]:
    """What ingest makes of it, and says."""
    shutil.copytree(corpus, out)
    done = run(out, sys.executable, "-m", "spira.stages.ingest", set_=variables)
    return {path.name: path.read_bytes() for path in (out / "data/clips").iterdir()}, done.stdout + done.stderr


@pytest.mark.parametrize("locale", ["Latin-1", "ASCII"])
def test_c7_a_corpus_does_not_depend_on_the_locale(corpus: Path, tmp_path: Path, locale: str) -> None:
    """The same bytes as under UTF-8, from a stage that is run by hand; all eight recordings are found."""
    (tmp_path / "locales").mkdir()
    variables = latin_1(tmp_path / "locales") if locale == "Latin-1" else ASCII
    expected, _ = ingested(corpus, tmp_path / "utf8", {"LC_ALL": "C.UTF-8"})
    made, said = ingested(corpus, tmp_path / "other", variables)
    assert made == expected
    assert "8 of 8 clips" in said
    assert "gravação_00.wav" in made["clips.csv"].decode()


def test_c7_dvc_is_named_where_it_hashes_names_in_another_encoding(corpus: Path, tmp_path: Path) -> None:
    """Under it, one line a stage; and from the doctor."""
    shutil.copytree(corpus, tmp_path / "here")
    done = check_stage(tmp_path / "here", ASCII | {"DVC_ROOT": str(tmp_path / "here")})
    assert done.stderr == (
        "check: names of files are UTF-8 here, but dvc reads them in the locale's ascii, and hashes data/raw otherwise "
        "than elsewhere where one is not ASCII: export PYTHONUTF8=1\n"
    )


def test_c7_the_doctor_names_a_locale_of_another_encoding(small: Clone, tmp_path: Path) -> None:
    """Nothing must be done, and it is worth knowing: exit 0."""
    (tmp_path / "locales").mkdir()
    variables = latin_1(tmp_path / "locales")
    said = small.run(sys.executable, "-m", "spira", "doctor", "--locks", **variables)
    assert said.returncode == 0
    assert said.stdout.startswith("the locale's encoding is iso8859-1: without export PYTHONUTF8=1")


SAY = "from spira.base.program import exit_on_error\nwith exit_on_error():\n    print('gravação 😷 \\udce7')\n"


def test_c7_what_a_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    """A Latin-1 terminal has its own letters, the rest as escapes; a file has UTF-8; a name in bytes ends nothing."""
    (tmp_path / "locales").mkdir()
    variables = latin_1(tmp_path / "locales") | {"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT / "src")}
    ours, terminals = pty.openpty()
    command = [sys.executable, "-c", SAY]
    subprocess.run(command, env={**os.environ, **variables}, stdout=terminals, check=True)
    os.close(terminals)
    assert os.read(ours, 1000) == b"grava\xe7\xe3o \\U0001f637 \\udce7\r\n"
    os.close(ours)
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, check=True)
    assert done.stdout == "gravação 😷 \\udce7\n".encode()


def test_c7_a_name_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    """DVC's own words are "surrogates not allowed"; a name with accents in UTF-8 is fine."""
    folder = tmp_path / "data/raw/mine"
    folder.mkdir(parents=True)
    (folder / "gravação.wav").touch()
    assert list(names(tmp_path)) == []
    with open(os.fsencode(folder) + b"/grava\xe7\xe3o.wav", "w"):  # noqa: PTH123 - bytes
        pass
    (finding,) = names(tmp_path)
    assert (
        finding.found
        == "1 names in data/raw are not UTF-8, which dvc cannot keep: data/raw/mine/grava\udce7\udce3o.wav"
    )
    assert "convmv -r -f latin1 -t utf8" in finding.todo


# The variables of git (C8)


def test_c8_every_variable_that_names_a_repository_is_dropped() -> None:
    """All of this git's own list but those that hold settings."""
    listed = set(run(ROOT, "git", "rev-parse", "--local-env-vars").stdout.split())
    assert listed - set(WHICH_REPOSITORY) == {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"}


def test_c8_the_report_is_of_the_folder_s_repository(repository: Repository, good_and_bad: str, small: Clone) -> None:
    """Also where the environment names another one, as in a hook of a linked worktree."""
    git_dir = str(small.folder / ".git")
    variables = {"GIT_DIR": git_dir, "GIT_INDEX_FILE": "nosuch", "GIT_WORK_TREE": "/", "GIT_LITERAL_PATHSPECS": "1"}
    done = spira(repository.folder, "review", "good", "bad", set_=variables)
    assert done.stdout == good_and_bad


# Folders with odd names (C9)


@pytest.mark.parametrize("name", ["spira's [v2]", '-{a,b}* 100% #ção? "$HOME"'])
def test_c9_a_clone_may_lie_in_a_folder_of_any_name(
    repository: Repository, good_and_bad: str, tmp_path: Path, name: str
) -> None:
    """Report and doctor say what they say of the same clone elsewhere."""
    shutil.copytree(repository.folder, tmp_path / name, symlinks=True)
    assert spira(tmp_path / name, "review", "good", "bad").stdout == good_and_bad
    assert spira(tmp_path / name, "doctor", "--locks").stdout == ""


def test_c9_make_hands_a_name_on_as_it_is(small: Clone, tmp_path: Path) -> None:
    """What is typed may have a quote in it; the shell takes it neither for its own nor runs what is in it."""
    shutil.copy2(ROOT / "Makefile", small.folder)
    (small.folder / "dvc.yaml").touch()
    path = {"PATH": f"{console_script(tmp_path)}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"}
    for name in ("it's mine", "$(touch made)", 'a"b'):
        command = ("make", "repro", "READY=", f"JOBS={name.replace('$', '$$')}")
        assert f"{name!r} is not a valid integer" in run(small.folder, *command, check=False, set_=path).stderr
        refusal = spira(small.folder, "review", name, check=False).stderr
        assert refusal.startswith(f"DataError: {name}: not a commit of this repository")
    assert not (small.folder / "made").exists()


def test_c9_no_table_s_path_is_taken_for_a_pattern() -> None:
    """Polars reads ``[`` as a pattern unless every call says otherwise."""
    calls = [
        (path.name, {keyword.arg for keyword in node.keywords})
        for path in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"read_csv", "scan_csv", "read_parquet", "scan_parquet"}
    ]
    assert calls
    assert [name for name, keywords in calls if "glob" not in keywords] == []


# What systems leave (C10)

LEFT = [".DS_Store", "._clip_00.wav", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini", ".directory", ".nfs00a1"]
LEFT += [
    "metadata.csv~",
    "~$metadata.xlsx",
    ".~lock.metadata.csv#",
    ".metadata.csv.swp",
    ".fuse_hidden01",
    "ehthumbs.db",
]
LEFT += [".Trash-1000/clip.wav", "@eaDir/clip_00.wav@SynoEAStream", ".Spotlight-V100/store", "$RECYCLE.BIN/a.wav"]
KEPT = [
    "metadata.csv",
    "clip_00.wav",
    "s~1.wav",
    "trash.wav",
    "Thumbs.wav",
    "a.db",
    "x.swp",
    "nfs.wav",
    ".wav",
    "b/_.wav",
]


def test_c10_what_a_file_manager_leaves_changes_no_hash(small: Clone) -> None:
    """In the folder and below it; every file of the corpus's own is in the hash."""
    shutil.copy2(ROOT / ".dvcignore", small.folder)
    corpus = small.folder / "corpus"
    for name in KEPT:
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_text(name)
    small.do("dvc", "add", "-q", "corpus")
    assert f"nfiles: {len(KEPT)}" in (small.folder / "corpus.dvc").read_text()
    for name in [*LEFT, *(f"b/{name}" for name in LEFT)]:
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_text("left")
    assert small.do("dvc", "status", "corpus.dvc") == "Data and pipelines are up to date.\n"
    (corpus / "clip_00.wav").unlink()
    (corpus / "clip_00.wav").write_text("recorded anew")
    assert "modified:           corpus" in small.do("dvc", "status", "corpus.dvc")


# A user without a name (C11)


def test_c11_a_user_without_a_name_is_named_with_the_way_out(small: Clone, tmp_path: Path) -> None:
    """``docker run --user 4242``: DVC's KeyError; what the doctor says makes DVC run."""
    no_names = {**compiled(USERS, tmp_path), **dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"), "")}
    assert "getpwuid(): uid not found" in small.run("dvc", "status", **no_names).stderr
    said = small.run(sys.executable, "-m", "spira", "doctor", "--locks", **no_names)
    assert said.returncode == 1
    assert said.stdout.startswith(f"user id {os.getuid()} has no name, and dvc asks for one: getpwuid(): uid not found")
    assert todo(said.stdout).startswith("export LOGNAME=me, any name will do")
    assert small.run("dvc", "status", **no_names | {"LOGNAME": "me"}).returncode == 0
    assert small.run(sys.executable, "-m", "spira", "doctor", "--locks", **no_names | {"LOGNAME": "me"}).stdout == ""


def test_c11_a_home_that_is_missing_is_named(small: Clone, tmp_path: Path) -> None:
    """DVC looks there for settings."""
    no_home = {**compiled(USERS, tmp_path), "LOGNAME": "me", "HOME": ""}
    del no_home["HOME"]
    environment = {key: value for key, value in small.environment(**no_home).items() if key != "HOME"}
    command = [sys.executable, "-m", "spira", "doctor", "--locks"]
    done = subprocess.run(command, cwd=small.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == (
        "HOME is not set, and dvc looks for settings there\n  TO DO: export HOME=/tmp, or another folder\n"
    )
