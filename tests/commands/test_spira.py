"""The command line: every subcommand is listed by purpose, says what it does, starts at once and ends with its code."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from closures import ROOT
from console_script import console_script
from shims import latin_1
from spira.commands.spira import COMPLETION, EXIT_CODES, SECTIONS, SUBCOMMANDS, run
from spira.package.closure import SOURCE

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "80"}


def spira(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Through ``python -m spira``."""
    command = [sys.executable, "-m", "spira", *arguments]
    environment = ENVIRONMENT | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_help_lists_every_subcommand_by_purpose() -> None:
    """In the order of the sections, each on a line of a terminal of 80 columns, and then the exit codes of all."""
    shown = spira("--help").stdout
    headings = [*SECTIONS, "Exit codes"]
    assert re.findall(rf"^({'|'.join(headings)}):$", shown, re.MULTILINE) == headings
    for name, summary in SUBCOMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", shown, re.MULTILINE), name
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^  {code} +{re.escape(meaning)}$", shown, re.MULTILINE)


def test_every_module_of_commands_is_a_subcommand_and_every_subcommand_has_its_module() -> None:
    """The listing of the folder is that of the help."""
    modules = {path.stem for path in (SOURCE / "spira/commands").glob("*.py")} - {"spira"}
    assert modules == {name.replace("-", "_") for name in SUBCOMMANDS}


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_says_what_it_does_with_an_example_and_its_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Help is printed with code 0, nothing is done, and its first line is that of ``spira --help``."""
    assert run([name, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith(f"Usage: spira {name} ")
    assert f" {SUBCOMMANDS[name]} " in shown
    assert re.search(rf"Example[^:]*: spira {name}\b", shown)
    assert re.search(r"Exit codes: .*\b1 ", shown)
    assert "-h, --help" in shown


@pytest.mark.parametrize("arguments", [[], ["--help"], ["review", "--help"], ["doctr"], ["sweep", "--jobs", "0", "x"]])
def test_help_and_wrong_usage_load_nothing_that_takes_long(arguments: list[str]) -> None:
    """0.1 s on a quiet core; what is counted is the modules, since a loaded machine takes longer."""
    program = (
        f"import sys; from spira.commands.spira import run; run({arguments!r})\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"'(\w+)", done.stderr.splitlines()[-1]))
    assert "click" in loaded
    assert not loaded & {"torch", "dvc", "numpy", "scipy", "polars", "pydantic", "optuna", "vl_convert", "boto3"}


def test_without_a_subcommand_the_help_is_shown_as_wrong_usage() -> None:
    """A script that forgot its subcommand stops."""
    done = spira()
    assert done.returncode == 2
    assert "release-check" in done.stderr


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("doctr", "no subcommand 'doctr'; did you mean doctor?"),
        ("tabel", "no subcommand 'tabel'; did you mean table?"),
        ("revew", "no subcommand 'revew'; did you mean review or serve?"),
        ("xyzzy", "no subcommand 'xyzzy'; spira --help lists them"),
    ],
)
def test_an_unknown_subcommand_is_answered_with_near_ones(typed: str, answer: str) -> None:
    done = spira(typed)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.endswith(f"Error: {answer}\n")


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (["compare", "main"], "Missing argument 'B'"),
        (["review", "--chek", "main"], "No such option '--chek'"),
        (["storage", "--port", "70000"], "70000 is not in the range"),
        (["push", "everything"], "Got unexpected extra argument"),
    ],
)
def test_wrong_usage_ends_with_2(typed: list[str], why: str) -> None:
    """An argument that is missing or too many, an option that is unknown or out of range."""
    done = spira(*typed)
    assert done.returncode == 2
    assert why in done.stderr


def test_what_is_refused_ends_with_1_and_one_sentence(tmp_path: Path) -> None:
    """Without a traceback, wherever the subcommand reads the repository."""
    for arguments in (["doctor", "--locks"], ["changes"], ["compare", "a", "b"], ["review", "a"]):
        done = spira(*arguments, folder=tmp_path)
        assert done.returncode == 1
        assert done.stderr == f"DataError: {tmp_path}: no dvc.yaml here; run from the repository's root\n"


def test_a_package_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Be it click, without which no help can be shown, or one that a subcommand needs; ours has its traceback."""
    (tmp_path / "dvc.yaml").touch()
    for missing, arguments in (("click", ["--help"]), ("dvc", ["push"]), ("ruamel", ["changes"])):
        hide = f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = {arguments}"
        command = [sys.executable, "-c", f"{hide}\nfrom spira.__main__ import main; main()"]
        done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        said = rf"DataError: {sys.executable}: {missing}[\w.]* is not installed; make venv, then spira doctor\n"
        assert re.fullmatch(said, done.stderr), done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_its_code(number: signal.Signals, tmp_path: Path) -> None:
    """130 and 143, without a traceback, from within a subcommand."""
    program = (
        "import sys, time, click\n"
        "from spira.commands import changes\n"
        "@click.command\n"
        "def wait():\n"
        "    print('waits', flush=True)\n"
        "    time.sleep(60)\n"
        "changes.command = wait\n"
        "sys.argv[1:] = ['changes']\n"
        "from spira.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert process.returncode in EXIT_CODES
    assert complaint.strip() == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("spira re", {"registry", "reproduced", "review", "release-check"}),
        ("spira sto", {"storage"}),
        ("spira review --", {"--check", "--fetch", "--plots", "--help"}),
    ],
)
def test_the_tab_key_completes(words: str, expected: set[str]) -> None:
    """Subcommands and their options, by what bash calls as the key is pressed."""
    asked = {"_SPIRA_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = spira(folder=ROOT, **asked)
    assert set(re.findall(r"^plain,(.*)$", done.stdout, re.MULTILINE)) == expected


@pytest.mark.parametrize("shell", COMPLETION)
def test_the_help_says_how_completion_is_had_in_each_shell(shell: str) -> None:
    """By a line to copy, whose script the command really gives."""
    assert f"  {COMPLETION[shell]}\n" in spira("--help").stdout
    assert f"_SPIRA_COMPLETE={shell}_source" in COMPLETION[shell]
    assert "_SPIRA_COMPLETE" in spira(_SPIRA_COMPLETE=f"{shell}_source").stdout


def test_the_console_script_is_the_same_program(tmp_path: Path) -> None:
    """As pip writes it from pyproject.toml."""
    script = console_script(tmp_path) / "spira"
    done = subprocess.run([script, "--help"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout == spira("--help").stdout


def test_the_console_script_too_takes_names_for_utf_8(tmp_path: Path) -> None:
    """It starts anew in a Latin-1 locale, as a stage does, though it lies in a bin/ and not in the package."""
    (tmp_path / "locales").mkdir()
    environment = ENVIRONMENT | latin_1(tmp_path / "locales")
    environment.pop("PYTHONUTF8", None)
    script = console_script(tmp_path) / "spira"
    script.write_text(script.read_text().replace("\nsys.exit", "\nprint(sys.flags.utf8_mode, flush=True)\nsys.exit"))
    for command in ([str(script), "doctor", "--locks"], [sys.executable, str(script), "doctor", "--locks"]):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("0\n1\nthe locale's encoding is iso8859-1"), done.stderr


def test_a_subcommand_that_is_run_by_another_program_starts_nothing_anew(capsys: pytest.CaptureFixture[str]) -> None:
    """The tests call ``run`` within pytest's own process."""
    assert run(["xyzzy"]) == 2
    assert "no subcommand" in capsys.readouterr().err
    assert click.get_current_context(silent=True) is None
