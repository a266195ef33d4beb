"""Pack a corpus's folder: its recordings into tar shards, and a manifest that says where each lies.

The same files give the same bytes: a recording is in the shard that a hash of its path picks, in the order of paths,
and a member's header has nothing but its path and size. The number of shards is a power of two that grows with the
bytes, so one recording more changes one shard. A run that was killed goes on at the shard where it was.
"""

import os
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

import polars as pl

from spira.base.errors import DataError
from spira.base.files import PART, whole
from spira.base.system_errors import naming
from spira.base.tables import read_json, write_json
from spira.clips.parallel import progress
from spira.clips.shards import assign_shards, count_shards
from spira.ingest.packed import LARGEST, MANIFEST, SCHEMA, SHARDS, TAR_END, VERSION, VERSION_KEY, tar_name
from spira.ingest.personal_data import shown
from spira.ingest.sources import BLOCK, PIECE, tar_header

METADATA = "metadata.csv"
TAR_BYTES = 2**28  # at least, on average, in a shard; twice as many at most
_UNFINISHED = ".unfinished"  # a folder with a note of each tar that is written, until all are


class Listed(NamedTuple):
    """A file that is to be packed."""

    name: str  # its path in the folder
    n_bytes: int
    modified: int  # ns; whether it is the file that an earlier run read


class Packed(NamedTuple):
    """What was packed."""

    n_recordings: int
    n_bytes: int
    n_shards: int


def pack(folder: Path, out: Path) -> Packed:
    """Writes ``metadata.csv``, the tar shards and the manifest of a folder's files to ``out``; changes no file of it.

    Args:
        folder: a corpus: ``metadata.csv`` and files.
        out: a folder that is not there, or empty, or that an earlier run of this left unfinished.

    Raises:
        DataError: the folder is no corpus, or holds what cannot be packed; ``out`` holds something else; a file
            changed while it was read.
    """
    _require_corpus(folder)
    _require_room(folder, out)
    files = _listed(folder)
    if not files:
        raise DataError(f"{folder}: has no file beside {METADATA}; nothing was written")
    n_shards = count_shards(sum(file.n_bytes for file in files), TAR_BYTES)
    members: dict[int, list[Listed]] = defaultdict(list)
    for file, shard in zip(files, assign_shards([file.name for file in files], n_shards), strict=True):
        members[shard].append(file)
    (out / _UNFINISHED).mkdir(parents=True, exist_ok=True)
    rows = []
    for shard in progress(sorted(members), len(members), f"pack {folder.name}"):
        rows += _shard(folder, members[shard], out, tar_name(shard))
    ours = {out / tar_name(shard) for shard in members}
    for left in {*out.glob(SHARDS), *out.glob(SHARDS + PART)} - ours:  # by a run with other files
        left.unlink()
    with (folder / METADATA).open("rb") as table, whole(out / METADATA) as copy:
        shutil.copyfileobj(table, copy)
    with whole(out / MANIFEST) as manifest:
        members_table = pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("file_path")
        members_table.write_parquet(manifest, metadata={VERSION_KEY: VERSION})
    shutil.rmtree(out / _UNFINISHED)
    return Packed(len(files), sum(file.n_bytes for file in files), len(members))


def _require_corpus(folder: Path) -> None:
    if not (folder / METADATA).is_file():
        raise DataError(f"{folder / METADATA}: no such file; a corpus is a folder with metadata.csv and audio")
    if (folder / MANIFEST).exists() or any(folder.glob(SHARDS)):
        raise DataError(f"{folder}: is packed already, for it has a manifest or tar shards; nothing was written")


def _require_room(folder: Path, out: Path) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{out}: must lie outside of {folder}, of which nothing is changed")
    if (out / MANIFEST).exists():
        shutil.rmtree(out / _UNFINISHED, ignore_errors=True)  # of a run that was killed after all was written
        raise DataError(f"{out}: is packed already; remove it first, or name another folder")
    if out.exists() and not (out / _UNFINISHED).is_dir() and any(out.iterdir()):
        raise DataError(f"{out}: must be empty, or not there; name another folder")


def _listed(folder: Path) -> list[Listed]:
    """Every file but the table, sorted by its path.

    Raises:
        DataError: something is neither a file nor a folder, or cannot be in a tar.
    """
    return sorted(_walked(folder))


def _walked(folder: Path) -> Iterator[Listed]:
    for root, folders, names in os.walk(folder):
        start = "" if Path(root) == folder else f"{Path(root).relative_to(folder).as_posix()}/"
        for name in [*names, *(name for name in folders if Path(root, name).is_symlink())]:
            path, inside = Path(root, name), start + name
            if not path.is_file():
                raise DataError(f"{folder}: {shown(inside)} must be a file, and is a link or a device; take it out")
            if inside == METADATA:
                continue
            try:
                inside.encode()
            except UnicodeEncodeError as error:
                raise DataError(f"{folder}: names must be UTF-8, got {inside!a}; `spira doctor` has the way") from error
            with naming(path, "read"):
                status = path.stat()
            if status.st_size > LARGEST:
                raise DataError(
                    f"{folder}: {shown(inside)} has {status.st_size} bytes, and a tar takes no file of 8 GB"
                )
            yield Listed(inside, status.st_size, status.st_mtime_ns)


def _shard(folder: Path, files: Sequence[Listed], out: Path, name: str) -> list[list[object]]:
    """The manifest's rows of a shard: of the one that an earlier run wrote of the same files, else of a new one."""
    tar, note = out / name, (out / _UNFINISHED / name).with_suffix(".json")
    listing = [list(file) for file in files]
    if tar.is_file() and note.is_file():
        kept = read_json(note)
        if kept["files"] == listing and kept["n_bytes"] == tar.stat().st_size:
            return list(kept["rows"])
    note.unlink(missing_ok=True)
    with whole(tar) as file:
        rows = [[member.name, name, *_append(folder, member, file)] for member in files]
        file.write(bytes(TAR_END))
        file.write(bytes(-file.tell() % tarfile.RECORDSIZE))
    write_json({"files": listing, "rows": rows, "n_bytes": tar.stat().st_size}, note)
    return rows


def _append(folder: Path, member: Listed, tar: BinaryIO) -> tuple[int, int, str]:
    """Writes a member; returns the offset of its content, its length and its SHA-256."""
    tar.write(tar_header(member.name, member.n_bytes))
    offset, digest, n_read, path = tar.tell(), sha256(), 0, folder / member.name
    with naming(path, "read"), path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            tar.write(piece)
            n_read += len(piece)
    if n_read != member.n_bytes:
        raise DataError(f"{path}: changed while it was packed; run it again")
    tar.write(bytes(-n_read % BLOCK))
    return offset, n_read, digest.hexdigest()
