"""spira: the subcommands by purpose, the exit codes of all, and the help.

A subcommand is imported when it is asked for: ``train-parallel`` is ``command`` in ``spira.commands.train_parallel``.
What such a module imports at its top is quick to import; what takes longer is imported where it starts to work.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import click
from click.shell_completion import CompletionItem

SECTIONS = {
    "Every day": {
        "doctor": "Repair what a crash or a disk left; say what is left to do.",
        "pack": "Pack a corpus of many recordings into few tar shards.",
        "changes": "List the clips added, removed and relabelled, by speaker.",
        "reproduced": "Say whether the committed bytes came out of the last run.",
        "train-parallel": "Run the trainings that are to run, several at once.",
        "worker": "Work for stages and sweeps of another machine, by Dask.",
    },
    "Use a model": {
        "predict": "Score recordings of one person by the packaged model.",
        "serve": "Serve the packaged model over HTTP, with a page to try it.",
        "export-onnx": "Write the packaged networks as one ONNX file.",
        "export-mlflow": "Bring the package into an MLflow registry.",
    },
    "Compare": {
        "compare": "Say which of two commits or experiments is better.",
        "review": "Report what changed between two commits, for their reviewer.",
    },
    "Experiments": {
        "sweep": "Run a table or a study of experiments/ as DVC experiments.",
        "table": "Print what came out of a table or a study.",
        "import-encoder": "Write an encoder's published weights as safetensors.",
    },
    "Storage": {
        "push": "Send this revision's data to the remote.",
        "pull": "Bring this revision's data from the remote.",
        "verify": "Read this revision's data back from the remote; heal damage.",
        "storage": "Serve .storage/ as S3 on this machine, for development.",
    },
    "Monitor": {
        "drift": "Compare recordings in use with those of a model's training.",
        "feedback": "Say whether the champion keeps what its test set promised.",
        "staleness": "Say how a model does as the months pass.",
        "retrain": "Train again where a rule says so, on a branch of its own.",
    },
    "Release": {
        "gate": "Say whether this commit's package may be promoted.",
        "promote": "Make this commit's package the champion.",
        "rollback": "Withdraw the champion; the one before it is in use again.",
        "registry": "List versions, what is in use, and who promoted it.",
        "lineage": "Trace a version to its recordings, and back.",
        "release-check": "Fail while a card lacks what only a person can write.",
    },
}
SUBCOMMANDS = {name: summary for section in SECTIONS.values() for name, summary in section.items()}
EXIT_CODES = {
    0: "done",
    1: "refused or failed, or a person must act",
    2: "wrong usage: an unknown subcommand, option or argument",
    3: "predict: some refused; drift, feedback: found; retrain --check: train",
    4: "predict: all refused; otherwise too few people, or nothing known",
    130: "ended by Ctrl-C; sweep and train-parallel also by SIGTERM",
    143: "ended by SIGTERM",
}
COMPLETION = {  # by shell, the line to type once
    "bash": """echo 'eval "$(_SPIRA_COMPLETE=bash_source spira)"' >> ~/.bashrc""",
    "zsh": """echo 'eval "$(_SPIRA_COMPLETE=zsh_source spira)"' >> ~/.zshrc""",
    "fish": "_SPIRA_COMPLETE=fish_source spira > ~/.config/fish/completions/spira.fish",
}


class Subcommands(click.Group):
    """All of ``SECTIONS``, each imported when it is run or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in SUBCOMMANDS:
            return None
        command: click.Command = import_module(f"spira.commands.{cmd_name.replace('-', '_')}").command
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in SUBCOMMANDS and not ctx.resilient_parsing:
            near = " or ".join(get_close_matches(args[0], SUBCOMMANDS))
            ctx.fail(f"no subcommand {args[0]!r}; {f'did you mean {near}?' if near else 'spira --help lists them'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        width = max(map(len, SUBCOMMANDS))
        for section, subcommands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in subcommands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])
        with formatter.section("Completion by the Tab key (bash, zsh, fish)"):
            for line in COMPLETION.values():  # as they are, to be copied
                formatter.write(f"  {line}\n")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name, help=SUBCOMMANDS[name]) for name in SUBCOMMANDS if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.command(
    cls=Subcommands,
    subcommand_metavar="SUBCOMMAND ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
def spira() -> None:
    """What is done beside the pipeline. Run it from the repository's root.

    `dvc repro` makes the results; settings are in params.yaml. `spira SUBCOMMAND --help` says more of each, with an
    example.
    """


def run(arguments: Sequence[str]) -> int:
    """The exit code of a subcommand.

    Raises:
        DataError, ParamError: what a person must mend.
        KeyboardInterrupt: Ctrl-C.
    """
    try:
        return int(spira.main(arguments, prog_name="spira", standalone_mode=False) or 0)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        error.show()
        return error.exit_code
