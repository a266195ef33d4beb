"""A commit of the registry -> its package, whole and in a folder: from DVC's cache, or else from DVC's remote."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from dvc.repo import Repo, lock_repo
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from spira.base.errors import DataError
from spira.compare.committed import Lock
from spira.compare.revision import Revision, read_tree
from spira.compare.staleness import hashes
from spira.registry.history import Event
from spira.remote.objects import object_md5
from spira.remote.transfer import Storage, connect, each, explain_faults, find
from spira.scorer.contents import require_whole

PACKAGE, CLIPS, CLIPS_TABLE, SUBSETS = "data/package", "data/clips", "clips.csv", "data/subsets.csv"
FOLDER = Path(".ckpt/packages")  # ignored by git; a package by its hash, of which every file was held to it
_PART = ".part"


def outs_at(root: Path, commit: str) -> dict[str, str]:
    """md5 by path of all that dvc.lock of the commit names; {} where it has none."""
    stages = read_tree(Revision(root, commit[:8], commit), "dvc.lock", Lock).get("stages", {})
    return {path: md5 for stage in stages.values() for path, md5 in hashes(stage, "outs").items()}


def package_of(root: Path, version: Event) -> Path:
    """The folder of a registered version, brought where it is not here.

    Raises:
        DataError: it cannot be brought, or is not the package that was registered.
    """
    folder = root / FOLDER / version.record.package
    if folder.is_dir():
        if require_whole(folder) == version.record.package:
            return folder
        raise DataError(f"{folder}: not what was registered; delete the folder, and it is brought anew")
    part = folder.with_name(f"{folder.name}{_PART}{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        bring_folder(root, version.record.folder, part, f"{version.tag.name}: {PACKAGE}")
        if (got := require_whole(part)) != version.record.package:
            raise DataError(f"{version.tag.name}: registered the package {version.record.package[:12]}, got {got[:12]}")
        if not folder.is_dir():  # another process may have been faster
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def bring_folder(root: Path, key: str, out: Path, name: str) -> None:
    """Writes a folder that DVC has by this hash.

    Args:
        key: ends in ``.dir``.
        name: as messages call it.
    """
    with _Objects(root) as objects:
        files = objects.listed(key, name)
        objects.bring(list(files.values()), name)
        for path, md5 in files.items():
            target = out / path
            if not target.resolve().is_relative_to(out.resolve()):
                raise DataError(f"{name}: names a file outside its folder: {path}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(objects.path(md5), target)


def bring_file(root: Path, key: str, name: str, inside: str | None = None) -> bytes:
    """The bytes of a file that DVC has by this hash, or of one inside of a folder that it has.

    Raises:
        DataError: neither cache nor remote has it whole, or the folder has no such file.
    """
    with _Objects(root) as objects:
        if inside is not None:
            files = objects.listed(key, name)
            if inside not in files:
                raise DataError(f"{name}: holds no {inside}")
            key = files[inside]
        objects.bring([key], name)
        return objects.path(key).read_bytes()


def folder_listing(root: Path, key: str, name: str) -> dict[str, str]:
    """md5 by path in a folder that DVC has by this hash."""
    with _Objects(root) as objects:
        return objects.listed(key, name)


def push_all(root: Path, package: str) -> str:
    """Sends all that this revision names, then reads the package back from the remote; what was done, in one line.

    Args:
        package: what dvc.lock calls data/package by.

    Raises:
        DataError: something is not there; nothing may be promoted then.
    """
    from spira.remote.synchronization import push, synchronize

    said = synchronize(push)
    with _Objects(root) as objects:
        names = dict.fromkeys([package, *objects.listed(package, PACKAGE).values()], PACKAGE)
        if problems := each(objects.storage().check, names, names):
            raise DataError(f"{PACKAGE}: not whole on the remote: {next(iter(problems.values()))}; run again")
    return said


class _Objects:
    """DVC's objects of one repository, the remote asked only where the cache lacks one."""

    def __init__(self, root: Path) -> None:
        self._repo = Repo(str(root))
        self._lock = lock_repo(self._repo)
        self._storage: Storage | None = None

    def __enter__(self) -> "_Objects":
        with explain_faults("lock"):
            self._lock.__enter__()
        return self

    def __exit__(self, *what: object) -> None:
        self._lock.__exit__(*what)
        self._repo.close()

    def storage(self) -> Storage:
        if self._storage is None:
            remote, where = find(self._repo, "pull")
            with explain_faults(where):
                self._storage = connect(self._repo.cache.local, remote)
        return self._storage

    def path(self, key: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(key))

    def bring(self, keys: Iterable[str], name: str) -> None:
        """Each is in the cache then, with the hash that is its name."""
        absent = [key for key in dict.fromkeys(keys) if not self.path(key).is_file()]
        if absent:
            storage = self.storage()
            with explain_faults("remote"):
                problems = each(storage.bring, absent, dict.fromkeys(absent, name))
            if problems:
                key, reason = next(iter(problems.items()))
                raise DataError(f"{name}: {len(problems)} files cannot be brought: {key}: {reason}")
        for key in keys:
            if file_md5(str(self.path(key))) != object_md5(key):
                raise DataError(f"{name}: {self.path(key)} is damaged in this cache; remove that file, then run again")

    def listed(self, key: str, name: str) -> dict[str, str]:
        """md5 by path in a folder."""
        self.bring([key], name)
        tree = Tree.load(self._repo.cache.local, HashInfo("md5", key))
        return {"/".join(path): hash_info.value for path, _, hash_info in tree}
