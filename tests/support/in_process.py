"""``spira``, ``dvc`` and the stages that it starts, in this process: one of their own takes seconds to import."""

import logging
import os
import pickle
import runpy
import subprocess
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dvc.cli
import dvc.dvcfile
import dvc.logger
import dvc.stage.run
import dvc.utils.strictyaml
from dvc.stage.exceptions import StageCmdFailedError
from dvc.utils.serialize import parse_yaml
from ruamel.yaml import YAML

from spira.base.errors import DataError, ParamError
from spira.commands.spira import run


def spira(folder: Path, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What came of it, as of a process in the folder with this environment; how a process ends, test_spira.py tests."""
    with _as_if_there(folder, environment) as (said, complaints):
        try:
            status = run(arguments)
        except (DataError, ParamError) as error:
            status = 1
            complaints.write(f"{type(error).__name__}: {error}\n")
    return subprocess.CompletedProcess(arguments, status, said.getvalue(), complaints.getvalue())


def dvc_here(folder: Path, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What came of ``dvc`` in the folder; each stage that it starts is this checkout's code, whatever the folder's is.

    How DVC starts a stage as a process, and how it ends it, test_pipeline.py and test_stage_process.py test.
    """
    with (
        _as_if_there(folder, environment) as (said, complaints),
        patch.object(dvc.stage.run, "_run", _stage),
        patch.object(dvc.dvcfile, "modify_yaml", _modified),
        patch.object(dvc.utils.strictyaml, "parse_yaml", _parsed),
        _dvc_logs_here(),
        warnings.catch_warnings(action="ignore"),  # DVC's own, which the suite would make errors
    ):
        status = dvc.cli.main(list(arguments))
    return subprocess.CompletedProcess(arguments, status, said.getvalue(), complaints.getvalue())


@contextmanager
def _dvc_logs_here() -> Iterator[None]:
    """DVC's sentences go to where sys.stdout and sys.stderr are now, not to where they were when it was imported."""
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_objects", "dvc_data")]
    before = [list(logger.handlers) for logger in loggers]
    for logger in loggers:
        logger.handlers.clear()
    dvc.logger.setup()
    yield
    for logger, handlers in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers


def _parsed(text: str, path: str, typ: str = "safe") -> Any:
    """As DVC's own: it reads dvc.yaml and dvc.lock again before and after each stage, a fifth of a run's time."""
    return pickle.loads(_pickled(text)) if typ == "safe" else parse_yaml(text, path, typ=typ)


@lru_cache(maxsize=64)
def _pickled(text: str) -> bytes:
    return pickle.dumps(parse_yaml(text, "a file of DVC's"))


@contextmanager
def _modified(path: str, fs: object = None) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    """A dvc.lock that is read and written in C. DVC's own way, which keeps comments, takes two seconds a stage."""
    file, yaml = Path(path), YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.representer.add_representer(OrderedDict, type(yaml.representer).represent_dict)
    tree = yaml.load(file) if file.exists() else {}
    yield tree
    yaml.dump(tree, file)


def _stage(_: object, command: str, **_kwargs: Any) -> None:
    """In place of the shell of ``PYTHONPATH=src python -m spira.stages.<name> <arguments>``, in the current folder."""
    module, *arguments = command.removeprefix("PYTHONPATH=src python -m ").split()
    with patch.object(sys, "argv", [module, *arguments]):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
            if ended.code:
                raise StageCmdFailedError(command, 1) from ended
        finally:
            logging.getLogger("dvc").setLevel(logging.INFO)  # dvclive has left it at warnings


@contextmanager
def _as_if_there(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[StringIO, StringIO]]:
    said, complaints = StringIO(), StringIO()
    with (
        chdir(folder),
        patch.dict(os.environ, environment, clear=True),
        redirect_stdout(said),
        redirect_stderr(complaints),
    ):
        yield said, complaints
