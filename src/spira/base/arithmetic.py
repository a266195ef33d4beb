"""One arithmetic on every machine: the instructions that the libraries which compute may use.

The last bit of a sum depends on how many numbers a vector holds, and each library picks its vectors by the processor
that it finds. So the same training gave other weights on another processor. Here all are held to AVX2, which every
x86-64 processor of the last ten years has; they read these variables when they are loaded, so they must be set before.

What no variable holds: torch's ``sqrt``, ``log10``, ``pow`` of a half and, of float64, ``log`` and ``tan``. They are
MKL's, and came to other last bits on emulated processors of Intel and AMD. Why is a conclusion, not a reading of MKL's
code, which is closed: it seems to begin with the estimate ``rcpps``, which the two makers' processors round
differently. Nothing here calls them (tests/base/test_arithmetic.py), but torch's RAdam does.
"""

import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

from spira.base.errors import ParamError
from spira.base.params import load

Arithmetic = Literal["portable", "native"]
CPUINFO = Path("/proc/cpuinfo")

_PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own operations
    "MKL_CBWR": "COMPATIBLE",  # torch's matrix products and FFT; every other branch is one maker's processors alone
    "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",  # NumPy's operations: what is left is AVX2
    "NUMBA_CPU_FEATURES": "+avx2,+fma",
    "NUMBA_CPU_NAME": "haswell",  # the first with both
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products of NumPy and SciPy
}
_ALWAYS = {"OPENBLAS_NUM_THREADS": "1"}  # a stage spreads its own work over the cores; a split product sums otherwise
_NEEDED = {"avx2": "AVX2", "fma": "FMA"}  # as Linux and the maker spell them


def settle() -> None:
    """Sets the variables that ``arithmetic`` in params.yaml asks for, in this process and all that it starts.

    To be called before NumPy, torch or numba is imported. A params.yaml that cannot be read asks for ``portable``: the
    stage refuses it soon enough.
    """
    for name, value in _PORTABLE.items():
        if os.environ.get(name) == value:  # left by a process above that was portable
            del os.environ[name]
    os.environ.update(variables(_asked()))


def variables(arithmetic: Arithmetic) -> dict[str, str]:
    """What the environment of a process must hold for it to compute so."""
    return _ALWAYS | (_PORTABLE if arithmetic == "portable" and not _lacking() else {})


def require() -> None:
    """Raises ParamError where ``arithmetic: portable`` is asked for and this processor cannot do it."""
    if _asked() == "portable" and (lacking := _lacking()):
        raise ParamError(
            f"arithmetic: portable needs an x86-64 processor with AVX2 and FMA, and this one ({processor()}) has no "
            f"{lacking}; arithmetic: native computes here too, with other last digits: dvc exp run -S arithmetic=native"
        )


def processor() -> str:
    """The processor's model, where the system says: its name, maker, family and number."""
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    facts = [_cpuinfo(key) for key in ("vendor_id", "cpu family", "model")]
    wide = ", AVX-512" if "avx512f" in _cpuinfo("flags").split() else ""
    return f"{name} ({' '.join(filter(None, facts))}{wide})"


def _asked() -> Arithmetic:
    with suppress(ParamError):
        asked: Arithmetic = load("arithmetic", Arithmetic)
        return asked
    return "portable"


def _lacking() -> str:
    """What ``portable`` needs and this processor has not; "" where it has all, or the system does not say."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return "x86-64 instructions"
    features = set(_cpuinfo("flags").split())
    return " and ".join(name for flag, name in _NEEDED.items() if features and flag not in features)


def _cpuinfo(key: str) -> str:
    found = re.search(rf"^{key}\s*: (.*)$", CPUINFO.read_text(), re.MULTILINE) if CPUINFO.exists() else None
    return found[1] if found else ""
