"""The workspace's data and DVC's cache, each file of both read and compared with dvc.lock: one mends the other.

DVC itself reads neither again: it takes a read-only file in its cache for whole, and one in the workspace for
unchanged whose size and time of change are.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest, md5
from itertools import chain
from pathlib import Path
from typing import Any

from dvc_objects.fs.local import localfs
from dvc_objects.fs.utils import as_atomic

from spira.base.errors import DataError
from spira.base.system_errors import naming
from spira.doctor.diagnosis import Finding
from spira.doctor.repairs import aside, at_work
from spira.remote.objects import object_md5
from spira.remote.transfer import N_AT_ONCE


@dataclass(frozen=True)
class Wanted:
    """One file of dvc.lock or a .dvc file."""

    oid: str
    path: Path  # where it belongs in the workspace
    stage: str  # or the .dvc file
    made: bool  # by a stage, which can make it again

    @property
    def again(self) -> str:
        """What a person does where no whole copy is here."""
        if self.made:
            return f"spira pull, or dvc repro --force {self.stage}"
        return f"spira pull, or bring {self.path.name} from where it came and dvc add it: nothing here can make it"


class Stores:
    """The workspace and the cache of one repository.

    Args:
        bring: gets an object into the cache from the remote; DataError where it cannot.
    """

    def __init__(self, root: Path, repo: Any, bring: Callable[[str], None]) -> None:
        self.root, self.repo, self.cache, self._bring = root, repo, repo.cache.local, bring

    def repaired(self) -> list[Finding]:
        """Nothing is done while a process that may be writing runs here."""
        if who := at_work(self.root):
            return [Finding(f"data: not looked at while {', '.join(who)} runs here", todo="spira doctor after it")]
        wanted: dict[str, list[Wanted]] = defaultdict(list)
        findings: list[Finding] = []
        for out in self.repo.index.outs:
            if not out.hash_info:
                continue
            stage = getattr(out.stage, "name", "") or out.stage.path_in_repo
            one = Wanted(out.hash_info.value, Path(out.fs_path), stage, not out.stage.is_data_source)
            if not out.use_cache:
                findings += self._in_git(one)
            elif out.hash_info.isdir:
                files, found = self._inside(one)
                findings += found
                for file in files:
                    wanted[file.oid].append(file)
            else:
                wanted[one.oid].append(one)
        with ThreadPoolExecutor(N_AT_ONCE) as pool:
            return [*findings, *chain.from_iterable(pool.map(self._same, wanted.values()))]

    def _same(self, places: list[Wanted]) -> list[Finding]:
        """All places of one object, one after another: a whole one mends it for the others."""
        whole_first = sorted(places, key=lambda one: not (one.path.is_file() and _md5(one.path) == one.oid))
        return [finding for one in whole_first for finding in self._one(one)]

    def _object(self, oid: str) -> Path:
        return Path(self.cache.oid_to_path(oid))

    def _in_git(self, one: Wanted) -> Iterator[Finding]:
        if one.path.is_file() and _md5(one.path) != one.oid:
            where = one.path.relative_to(self.root)
            yield Finding(f"{where}: not what dvc.lock says", todo=f"git checkout {where}, or make repro")

    def _inside(self, folder: Wanted) -> tuple[list[Wanted], list[Finding]]:
        """The files of a folder as its list in the cache has them; a damaged list is made anew or put aside."""
        path, findings = self._object(folder.oid), []
        if not path.is_file() or _md5(path) != object_md5(folder.oid):
            findings = list(self._mended(folder, path, self._listed(folder)))
            if not path.is_file():
                return [], findings
        entries = json.loads(path.read_bytes())
        files = [Wanted(e["md5"], folder.path / e["relpath"], folder.stage, folder.made) for e in entries]
        return files, findings

    def _listed(self, folder: Wanted) -> bytes | None:
        """The list of a folder as DVC writes it, where that is what the folder's hash is of."""
        files = sorted(p for p in folder.path.rglob("*") if p.is_file()) if folder.path.is_dir() else []
        rows = [{"md5": _md5(file), "relpath": file.relative_to(folder.path).as_posix()} for file in files]
        text = json.dumps(sorted(rows, key=lambda row: row["relpath"]), sort_keys=True, allow_nan=False).encode()
        return text if md5(text, usedforsecurity=False).hexdigest() == object_md5(folder.oid) else None

    def _one(self, one: Wanted) -> Iterator[Finding]:
        there = self._object(one.oid)
        in_cache, here = there.is_file() and _md5(there) == one.oid, one.path.is_file() and _md5(one.path) == one.oid
        if not in_cache and (there.is_file() or here):
            yield from self._mended(one, there, one.path.read_bytes() if here else None)
            in_cache = there.is_file()
        if not here and one.path.is_file():
            yield self._put_right(one, there, in_cache=in_cache)

    def _mended(self, one: Wanted, there: Path, content: bytes | None) -> Iterator[Finding]:
        """An object of the cache from the workspace's copy, else from the remote; what was there is put aside."""
        where = f"{_short(there, self.root)}, the cache's {one.path.relative_to(self.root)}"
        damaged = there.is_file()
        found = f"{where}: {'damaged' if damaged else 'missing'}"
        moved = f"; the damaged one is in {aside(self.root, there)}" if damaged else ""
        if content is not None:
            with as_atomic(localfs, str(there), create_parents=True) as part:
                Path(part).write_bytes(content)
            self.cache.protect(str(there))
            yield Finding(found, f"made anew from the workspace{moved}")
            return
        if not damaged:
            return
        try:
            self._bring(one.oid)
        except DataError as error:
            yield Finding(found, moved[2:], f"{one.again} ({error})")
        else:
            yield Finding(found, f"brought from the remote{moved}")

    def _put_right(self, one: Wanted, there: Path, *, in_cache: bool) -> Finding:
        """What becomes of a file of the workspace that dvc.lock does not know."""
        where = one.path.relative_to(self.root)
        found = f"{where}: not what {'dvc.lock' if one.made else one.stage} says"
        if one.made and self._later(one):
            return Finding(f"{found}, but as some later run of {one.stage} wrote it", todo="make repro")
        if not in_cache:
            return Finding(found, todo=one.again)
        if not one.made:
            return Finding(found, todo=f"dvc add it if it was changed on purpose, dvc checkout {where} --force if not")
        moved = aside(self.root, one.path)
        with as_atomic(localfs, str(one.path), create_parents=True) as part:
            shutil.copyfile(there, part)
        return Finding(found, f"brought back from the cache; what was there is in {moved}")

    def _later(self, one: Wanted) -> bool:
        """It was written after dvc.lock, or DVC has seen that it is another: no damage, which changes neither."""
        _, known = self.repo.state.get(str(one.path), localfs)
        if known is not None:
            return bool(known.value != one.oid)
        return one.path.stat().st_mtime_ns > (self.root / "dvc.lock").stat().st_mtime_ns


def _md5(path: Path) -> str:
    with naming(path, "read"), path.open("rb") as file:
        return file_digest(file, lambda: md5(usedforsecurity=False)).hexdigest()


def _short(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
