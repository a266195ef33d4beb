"""A corpus's folder, whose recordings are files, members of tar shards, or some of both.

Tar shards are listed in ``manifest.parquet``, a row a member: ``file_path`` (its name), ``shard`` (the tar's file),
``offset`` (bytes, to its content), ``n_bytes`` and ``sha256``. What the tars are is held to it before anything is
decoded: that they are there, and whole. Each member's header and hash are held to it when the member is read.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

import polars as pl

from spira.base.errors import DataError
from spira.ingest.personal_data import shown
from spira.ingest.sources import BLOCK, Member, Source

MANIFEST = "manifest.parquet"
SHARDS = "shard-*.tar"
VERSION_KEY, VERSION = "spira_manifest", "1"
SCHEMA = {
    "file_path": pl.String,
    "shard": pl.String,
    "offset": pl.Int64,
    "n_bytes": pl.Int64,
    "sha256": pl.String,
}
TAR_END = 2 * BLOCK  # bytes of zero behind the last member
LARGEST = 8**11 - 1  # bytes; the header of a member has no room for more
_FARTHEST = 2**62  # bytes; no sum of an offset and a length is too large for its type
_TAR = r"^shard-\d{6,}\.tar$"
_OUTSIDE = r"(^|/)\.{0,2}(/|$)"  # an empty part, . or .. in a path


def tar_name(shard: int) -> str:
    """As WebDataset names it."""
    return f"shard-{shard:06}.tar"


@dataclass(frozen=True)
class RawFolder:
    """What lies in a corpus's folder, by the path that it has there, packed or not."""

    path: Path
    members: Mapping[str, Member] = field(repr=False)  # {} where nothing is packed

    def holds(self, name: str) -> bool:
        """Whether anything has this name."""
        return name in self.members or os.path.lexists(self.path / name) or self._is_packed_folder(name)

    def source(self, name: str) -> Source:
        """Where the recording of this name lies, or would lie."""
        if name not in self.members and self._is_packed_folder(name):
            return self.path  # a folder, as the name's own was before it was packed
        return self.members.get(name, self.path / name)

    def children(self, folder: str) -> list[str]:
        """The names in one of its folders, sorted; "" is the whole."""
        path = self.path / folder
        loose = (child.name for child in path.iterdir()) if path.is_dir() else ()
        return sorted({*loose, *self._packed_children.get(folder, ())})

    def files(self) -> list[str]:
        """The path of every recording, sorted, but for those that are hidden."""
        loose = [name for name in _loose(self.path) if (self.path / name).is_file()]
        names = [*self.members, *(name for name in loose if not self._is_of_the_pack(name))]
        return sorted(name for name in names if not PurePosixPath(name).name.startswith("."))

    def _is_of_the_pack(self, name: str) -> bool:
        return bool(self.members) and (name == MANIFEST or PurePosixPath(name).match(SHARDS))

    def _is_packed_folder(self, name: str) -> bool:
        return bool(self.members) and name in self._packed_children

    @cached_property
    def _packed_children(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for name in self.members:
            folder, _, child = name.rpartition("/")
            while child and child not in found[folder]:
                found[folder].add(child)
                folder, _, child = folder.rpartition("/")
        return dict(found)


def open_folder(path: Path) -> RawFolder:
    """A corpus's folder, with the manifest of its tar shards where it has some.

    Raises:
        DataError: the manifest cannot be read, or does not fit the tars.
    """
    if not (path / MANIFEST).is_file():
        if alone := sorted(path.glob(SHARDS)):
            raise DataError(
                f"{path / MANIFEST}: no such file, but there is {alone[0].name}, of which it says what it holds; was "
                "the folder copied in part, or `spira pack` ended? Run it again"
            )
        return RawFolder(path, {})
    table = _read(path / MANIFEST)
    _require_sound(table, path / MANIFEST)
    _require_tars(table, path)
    tars = {name: path / name for name in table["shard"].unique()}
    members = {name: Member(name, tars[tar], *rest) for name, tar, *rest in table.iter_rows()}
    both = sorted(name for name in _loose(path) if name in members)
    if both:
        raise DataError(
            f"{path}: {len(both)} recordings are both files and members of its tar shards, such as {shown(both[0])}; "
            "remove one of each"
        )
    return RawFolder(path, members)


def _read(path: Path) -> pl.DataFrame:
    try:
        version = pl.read_parquet_metadata(path).get(VERSION_KEY)
        table = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: must be the manifest that `spira pack` writes: {error}; copy it again") from error
    if version != VERSION or dict(table.schema) != SCHEMA:
        raise DataError(
            f"{path}: must be a manifest of version {VERSION}, got {version or 'none'}; pack the corpus anew"
        )
    return table


def _require_sound(table: pl.DataFrame, path: Path) -> None:
    """Raises DataError where the rows cannot be true, whatever the tars hold."""
    if any(column.has_nulls() for column in table) or table.is_empty():
        raise DataError(f"{path}: every row must name a recording in full; pack the corpus anew")
    outside = pl.col("file_path").str.contains(_OUTSIDE) | ~pl.col("shard").str.contains(_TAR)
    if len(odd := table.filter(outside)):
        file_path, tar = odd.row(0)[:2]
        raise DataError(
            f"{path}: names must lie inside the corpus's folder, got {shown(file_path)} in {shown(tar)}; pack the "
            "corpus anew"
        )
    if len(twice := table.filter(pl.col("file_path").is_duplicated())):
        raise DataError(f"{path}: must name each recording once, got {shown(twice['file_path'][0])} again")
    ordered = table.sort("shard", "offset")
    before = pl.col("offset").shift(1) + pl.col("n_bytes").shift(1)
    first = before.over("shard", mapping_strategy="group_to_rows").fill_null(0)
    bad = (
        (pl.col("offset") > _FARTHEST)
        | (pl.col("offset") < first + BLOCK)
        | (pl.col("n_bytes") < 0)
        | (pl.col("n_bytes") > LARGEST)
    )
    if len(odd := ordered.filter(bad)):
        raise DataError(
            f"{path}: each recording must have a place of its own in its tar, got {shown(odd['file_path'][0])} at "
            f"byte {odd['offset'][0]} of {odd['shard'][0]}, which another has or none can have; pack the corpus anew"
        )


def _require_tars(table: pl.DataFrame, folder: Path) -> None:
    """Raises DataError where a tar is missing, cut short, or in no row."""
    ends = dict(table.group_by("shard").agg((pl.col("offset") + pl.col("n_bytes")).max()).sort("shard").rows())
    for name, end in ends.items():
        tar, least = folder / name, -(-end // BLOCK) * BLOCK + TAR_END
        if not tar.is_file():
            raise DataError(f"{tar}: no such file, but {MANIFEST} lists its recordings; copy it, or pack anew")
        if (size := tar.stat().st_size) < least:
            raise DataError(f"{tar}: must have {least} bytes at least, got {size}: it was cut short; copy it again")
    if others := sorted({tar.name for tar in folder.glob(SHARDS)} - ends.keys()):
        raise DataError(f"{folder / others[0]}: {MANIFEST} lists none of its recordings; remove it, or pack anew")


def _loose(folder: Path) -> Iterator[str]:
    """The path in the folder of every file, and of all else that is no folder."""
    for root, _, names in os.walk(folder):
        start = Path(root).relative_to(folder).as_posix()
        yield from (name if start == "." else f"{start}/{name}" for name in names)
