"""Large arrays on disk: what is written is read back, and what is not whole is refused by name."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spira.base.errors import DataError
from spira.clips.arrays import ArrayWriter, read_array


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@settings(deadline=None, max_examples=50)  # each waits for the disk
@given(st.lists(st.integers(0, 50), max_size=8), st.sampled_from([(), (1,), (3,), (2, 3)]))
def test_rows_come_back_in_the_order_written(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], row_shape: tuple[int, ...]
) -> None:
    """Whatever the pieces, empty ones and none at all too; `append` says where each begins."""
    path = tmp_path_factory.mktemp("arrays") / "new" / "a.npy"
    whole = noise(sum(lengths), *row_shape)
    starts = np.cumsum([0, *lengths])[:-1].tolist() if lengths else []
    with ArrayWriter(path, *row_shape) as writer:
        pieces = np.split(whole, starts[1:]) if lengths else []
        assert [writer.append(piece) for piece in pieces] == starts
    read = read_array(path)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, whole)


def test_the_file_is_numpys_own(tmp_path: Path) -> None:
    """Byte for byte what `np.save` writes, so that any tool reads it, however much the header's number grew."""
    whole = noise(70_000, 3)
    with ArrayWriter(tmp_path / "ours.npy", 3) as writer:
        for start in range(0, len(whole), 999):
            writer.append(whole[start : start + 999])
    np.save(tmp_path / "numpys.npy", whole)
    assert len(whole) > 2**16
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()


def test_a_slice_with_gaps_is_written_as_it_looks(tmp_path: Path) -> None:
    """Every other sample, or a transposed array, not the memory behind it."""
    with ArrayWriter(tmp_path / "a.npy", 4) as writer:
        writer.append(noise(4, 10).T[::2])
    np.testing.assert_array_equal(read_array(tmp_path / "a.npy"), noise(4, 10).T[::2])


@pytest.mark.parametrize(
    "rows",
    [np.zeros((2, 3)), np.zeros((2, 3), np.int16), np.zeros((2, 4), np.float32), np.zeros(3, np.float32)],
    ids=["float64", "int16", "too wide", "too flat"],
)
def test_rows_of_another_type_or_shape_are_refused(tmp_path: Path, rows: NDArray[np.float32]) -> None:
    """Rather than written as bytes that mean something else; and what was begun is not left to look whole."""
    path = tmp_path / "a.npy"

    def write() -> None:
        with ArrayWriter(path, 3) as writer:
            writer.append(noise(5, 3))
            writer.append(rows)

    with pytest.raises(ValueError, match=re.escape(f"{path}: rows must be float32 (n, (3,)), got {rows.dtype}")):
        write()
    assert not path.exists()


def test_reading_maps_and_never_writes(tmp_path: Path) -> None:
    """An array larger than memory can be read; a change to it stays in memory."""
    with ArrayWriter(tmp_path / "a.npy") as writer:
        writer.append(noise(1000))
    before = (tmp_path / "a.npy").read_bytes()
    array = read_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    array[:] = 0
    assert (tmp_path / "a.npy").read_bytes() == before


def test_a_truncated_array_is_refused_by_name_at_every_length(tmp_path: Path) -> None:
    """From no byte to all but one: never a crash of another kind, never a shorter array."""
    path = tmp_path / "a.npy"
    with ArrayWriter(path) as writer:
        writer.append(noise(40))
    whole = path.read_bytes()
    for n_bytes in range(len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(DataError, match=f"^{re.escape(str(path))}: must be a complete .npy array: "):
            read_array(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file; run the stage that writes it: dvc repro"),
        (np.zeros(3), "must be float32, got float64"),
        (np.array([{}]), "must be a complete .npy array: .*Python objects"),
        ("I am no array", "must be a complete .npy array: the magic string is not correct"),
    ],
)
def test_what_is_no_array_of_ours_is_refused_by_name(
    tmp_path: Path, content: NDArray[np.generic] | str | None, said: str
) -> None:
    """Missing, of another type, or something else under that name."""
    path = tmp_path / "a.npy"
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {said}"):
        read_array(path)


def test_an_archive_under_the_name_of_an_array_is_refused(tmp_path: Path) -> None:
    """`np.load` opens an .npz without a word."""
    np.savez(tmp_path / "a.npz", a=noise(3))
    with pytest.raises(DataError, match=r"must be a complete \.npy array"):
        read_array((tmp_path / "a.npz").rename(tmp_path / "a.npy"))
