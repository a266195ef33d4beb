"""Arithmetic gives the same bytes whatever the processor, the caches and the caller's environment."""

import ast
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from closures import ROOT
from measuring import unsettled
from spira.base import arithmetic
from spira.base.errors import ParamError
from tiny_features import write_features

REPORT = """
import atexit, json, sys

def report():
    import numpy as np, torch
    from threadpoolctl import threadpool_info
    features = np._core._multiarray_umath.__cpu_features__
    blas = [(found["architecture"], found["num_threads"]) for found in threadpool_info() if found["user_api"] == "blas"]
    wide = sorted(name for name in ("X86_V4", "AVX512_ICL", "AVX512_SPR") if features[name])
    said = {"torch": torch.backends.cpu.get_cpu_capability(), "numpy": wide, "blas": blas}
    print(json.dumps(said))

atexit.register(report)
"""
NOT_PORTABLE = {"sqrt", "log", "log10", "tan", "pow"}
OTHER = {
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "Nehalem",
    "MKL_CBWR": "AVX2",
    "OPENBLAS_NUM_THREADS": "7",
}


def stage(name: str, folder: Path, *arguments: str, path: Path = ROOT / "src", **environment: str) -> str:
    """What a stage prints that is started by hand in the folder."""
    command = [sys.executable, "-m", f"spira.stages.{name}", *arguments]
    set_ = unsettled() | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(path)]), **environment}
    return subprocess.run(command, cwd=folder, env=set_, check=True, capture_output=True, text=True).stdout


def weights(folder: Path, cache: Path) -> str:
    stage("train", folder, "spiraconv_v2", "holdout", "1", NUMBA_CACHE_DIR=str(cache), OMP_NUM_THREADS="1")
    return sha256((folder / "data/models/spiraconv_v2/holdout/1/weights.safetensors").read_bytes()).hexdigest()


def test_d1_a_training_is_the_same_from_a_cold_a_warm_and_a_half_warm_cache(tmp_path: Path) -> None:
    """Machine code compiled by the process, found, and some of each: numba linked the same sums differently.

    Of SpiraConvV2, in which every kernel takes part."""
    write_features(tmp_path)
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["train"]["max_epochs"] = 2
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    cold = weights(tmp_path, tmp_path / "cache")
    kept = sorted((tmp_path / "cache").rglob("*.nbc"))
    assert {path.name.partition("-")[0] for path in kept} >= {"kernels.mish_pool_back", "kernels.block_back"}
    assert weights(tmp_path, tmp_path / "cache") == cold
    for path in kept:
        if "mish_pool_back" in path.name:
            path.unlink()
    assert weights(tmp_path, tmp_path / "cache") == cold


@pytest.mark.parametrize("inherited", [{}, OTHER])
def test_a_stage_is_held_to_avx2_before_anything_computes(tmp_path: Path, inherited: dict[str, str]) -> None:
    """Started by hand, without params.yaml, whatever the shell that starts it says of torch and OpenBLAS."""
    (tmp_path / "sitecustomize.py").write_text(REPORT)
    said = json.loads(stage("train", tmp_path, "--help", path=tmp_path, **inherited).splitlines()[-1])
    assert said["torch"] == "AVX2"
    assert said["numpy"] == []
    assert said["blas"]
    assert {tuple(found) for found in said["blas"]} == {("Haswell", 1)}


def test_native_leaves_the_libraries_their_choice(tmp_path: Path) -> None:
    """Also below a portable process, whose variables it inherits; what a person set stays."""
    (tmp_path / "sitecustomize.py").write_text(REPORT)
    (tmp_path / "params.yaml").write_text("arithmetic: native\n")
    inherited = arithmetic.variables("portable") | {"OPENBLAS_CORETYPE": "Nehalem"}
    said = json.loads(stage("train", tmp_path, "--help", path=tmp_path, **inherited).splitlines()[-1])
    asked = [sys.executable, "-c", "import torch; print(torch.backends.cpu.get_cpu_capability())"]
    alone = subprocess.run(asked, env=unsettled(), check=True, capture_output=True, text=True).stdout.strip()
    assert said["torch"] == alone
    assert {tuple(found) for found in said["blas"]} == {("Nehalem", 1)}


def test_this_process_computes_as_a_stage_does() -> None:
    """The suite's golden numbers are portable ones: tests/conftest.py settles before anything is imported."""
    import torch

    assert torch.backends.cpu.get_cpu_capability() == "AVX2"


@pytest.mark.parametrize("module", sorted((ROOT / "src/spira").rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_calls_what_no_variable_holds_to_one_arithmetic(module: Path) -> None:
    """torch hands these to MKL, whose last bits are others on Intel's and on AMD's processors: see base/arithmetic.py.

    Found by ``benchmarks/determinism.py operations``. NumPy's are the processor's own, and rounded as IEEE 754 says.
    """
    tree = ast.parse(module.read_text())
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    methods = [func for func in called if isinstance(func, ast.Attribute)]
    assert not {
        ast.unparse(func)
        for func in methods
        if func.attr.removesuffix("_") in NOT_PORTABLE and ast.unparse(func.value) not in {"np", "math"}
    }


@pytest.mark.parametrize(
    ("flags", "lacking"), [("fma sse4_2 avx", "AVX2"), ("avx2 sse4_2", "FMA"), ("sse4_2", "AVX2 and FMA")]
)
def test_a_processor_that_cannot_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, lacking: str
) -> None:
    """Rather than that other bytes go by the name of the portable ones; the message says the way out."""
    (tmp_path / "cpuinfo").write_text(f"model name\t: Old One\ncpu family\t: 6\nmodel\t\t: 60\nflags\t\t: {flags}\n")
    monkeypatch.setattr(arithmetic, "CPUINFO", tmp_path / "cpuinfo")
    message = rf"this one \(Old One \(6 60\)\) has no {lacking}; arithmetic: native .*-S arithmetic=native"
    with pytest.raises(ParamError, match=message):
        arithmetic.require()
    assert "ATEN_CPU_CAPABILITY" not in arithmetic.variables("portable")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("arithmetic: native\n")
    arithmetic.require()
