"""Write an array too large for memory to a .npy file, front to back, and read it through a memory map."""

import errno
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spira.base.array_types import Float32s
from spira.base.errors import DataError
from spira.base.files import whole
from spira.base.system_errors import sentence


class ArrayWriter:
    """A ``.npy`` file of float32 rows that grows along its first axis.

    Rows are written as they come and the header's length is filled in at the end
    (NumPy leaves room for it), so an array larger than memory needs none. It has its name once it is complete.
    """

    def __init__(self, path: Path, *row_shape: int) -> None:
        self.path = path
        self.row_shape = row_shape
        self.n_rows = 0

    def __enter__(self) -> Self:
        self._writing = self._open()
        self._writing.__enter__()
        return self

    def append(self, rows: Float32s) -> int:
        """Write rows of shape (n, *row_shape); returns the position of the first."""
        if rows.dtype != np.float32 or rows.shape[1:] != self.row_shape:
            raise ValueError(f"{self.path}: rows must be float32 (n, {self.row_shape}), got {rows.dtype} {rows.shape}")
        self._file.write(np.ascontiguousarray(rows).data)
        start, self.n_rows = self.n_rows, self.n_rows + len(rows)
        return start

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.__exit__(kind, error, trace)

    @contextmanager
    def _open(self) -> Iterator[None]:
        with whole(self.path) as self._file:
            self._write_header()
            yield
            self._file.seek(0)
            self._write_header()

    def _write_header(self) -> None:
        shape = (self.n_rows, *self.row_shape)
        header = {"shape": shape, "fortran_order": False, "descr": npy.dtype_to_descr(np.dtype(np.float32))}
        npy.write_array_header_1_0(self._file, header)


def read_array(path: Path) -> Float32s:
    """A memory map of a ``.npy`` file. Writing to it changes memory, never the file.

    Raises:
        DataError: the file is missing, truncated, or not a float32 array; or too many files are open.
    """
    try:
        array = _mapped(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; run the stage that writes it: dvc repro") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {sentence(error)}") from error
    except ValueError as error:
        raise DataError(f"{path}: must be a complete .npy array: {error}") from error
    if array.dtype != np.float32:
        raise DataError(f"{path}: must be float32, got {array.dtype}")
    return array


def _mapped(path: Path) -> NDArray[Any]:
    """The map holds its file open: a large corpus has more shards than the usual limit, of 1024, lets be open."""
    try:
        return npy.open_memmap(path, mode="c")
    except OSError as error:
        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if error.errno != errno.EMFILE or now == most:
            raise
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return npy.open_memmap(path, mode="c")


def require_finite(array: Float32s, slices: Iterable[tuple[str, int, int]], path: Path) -> None:
    """Raises DataError, with the names of the clips, where a row is NaN or infinite: no stage writes one.

    Args:
        array: shape (n_rows, ...).
        slices: the clips' rows: name, first row, number of rows.
        path: the array's file, for the message.
    """
    odd = sorted({name for name, start, n in slices if not np.isfinite(array[start : start + n]).all()})
    if odd:
        more = f" and {len(odd) - 20} more" if len(odd) > 20 else ""
        raise DataError(
            f"{path}: must be finite, got NaN or infinity in {', '.join(odd[:20])}{more}; is the file damaged?"
        )
