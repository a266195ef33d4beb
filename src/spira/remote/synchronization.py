"""DVC's cache <-> the remote, where success means that the data are there.

``dvc push`` exits 0 over an object that is missing from the cache, and calls a damaged one on the remote up to
date; both it and ``dvc pull`` repeat a request to a server that says nothing for minutes. Here:

    push     sends what the remote lacks, or holds at another size or MD5 than its name says
    pull     brings what the cache lacks, each object under its name only once its hash is right; then checks out
    verify   reads every object of this revision back from the remote, and sends the damaged ones anew

What could not all be done raises ``DataError``, which names what was not, and so does ``verify`` that found damage,
healed or not (as fsck does). What was done stays done, so the next run completes the rest.
"""

from collections.abc import Callable
from typing import Any

from dvc.repo import Repo, lock_repo
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from spira.base.errors import DataError
from spira.remote.objects import Objects, complaint, object_md5
from spira.remote.transfer import Storage, connect, each, explain_faults, find


def synchronize(work: Callable[[Any, Storage], str]) -> str:
    """One of ``push``, ``pull`` and ``verify`` on the repository of the current folder; what it did, in one line."""
    with Repo() as repo, explain_faults("lock"), lock_repo(repo):
        remote, where = find(repo, work.__name__)
        with explain_faults(where):
            return f"{where}: {work(repo, connect(repo.cache.local, remote))}"


def push(repo: Any, storage: Storage) -> str:
    """Send files, then the folders whose files are all there: a folder on the remote promises its files."""
    objects, problems = _objects(repo, storage)
    unsent = [oid for oid in objects.names if storage.in_cache(oid) or oid not in storage.listing]
    unsent = [oid for oid in unsent if oid not in storage.listing or storage.differs(oid)]
    problems |= each(storage.send, [oid for oid in unsent if oid not in objects.folders], objects.names)
    whole = [oid for oid in unsent if oid in objects.folders and not objects.folders[oid] & set(problems)]
    problems |= each(storage.send, whole, objects.names)
    _refuse("not pushed", problems, objects)
    replaced = sum(oid in storage.listing for oid in unsent)
    return f"{len(unsent)} sent ({replaced} in place of damaged ones), {len(objects.names) - len(unsent)} were there"


def pull(repo: Any, storage: Storage) -> str:
    """Check out only when everything has arrived; until then the workspace is as it was."""
    objects, problems = _objects(repo, storage)
    absent = [oid for oid in objects.names if not storage.in_cache(oid)]
    problems |= each(storage.bring, absent, objects.names)
    _refuse("not pulled", problems, objects)
    repo.checkout()
    n_brought = objects.n_brought + len(absent)
    return f"{n_brought} brought, {len(objects.names) - n_brought} were here"


def verify(repo: Any, storage: Storage) -> str:
    objects, problems = _objects(repo, storage)
    problems |= each(storage.check, objects.names, objects.names)
    damaged = [oid for oid in problems if oid in storage.listing]
    unhealed = each(storage.send, damaged, objects.names)
    problems |= dict.fromkeys(damaged, "was damaged on the remote; healed from this cache")
    problems |= {oid: f"damaged on the remote, and {reason}" for oid, reason in unhealed.items()}
    _refuse("not as their names say", problems, objects)
    return f"{len(objects.names)} objects on the remote have the bytes that their names say"


def _objects(repo: Any, storage: Storage) -> tuple[Objects, dict[str, str]]:
    """All objects of the workspace's revision; and the folders that cannot be read, with the reason."""
    outs = [o for o in repo.index.outs if o.use_cache and o.can_push and o.hash_info and not o.stage.is_repo_import]
    names = {out.hash_info.value: str(out) for out in outs}
    folders = [oid for oid in names if oid.endswith(".dir")]
    absent = [oid for oid in folders if not storage.in_cache(oid)]
    problems = each(storage.bring, absent, names)
    inside: dict[str, set[str]] = {}
    for folder in folders:
        if folder not in problems:
            entries = {h.value: "/".join((names[folder], *key)) for key, _, h in _tree(storage, folder, names[folder])}
            inside[folder] = set(entries)
            names = entries | names
    return Objects(names, inside, len(absent) - len(problems)), problems


def _tree(storage: Storage, folder: str, name: str) -> Any:
    path = storage.cache.oid_to_path(folder)
    if file_md5(path) != object_md5(folder):
        raise DataError(f"{name}: {path} is damaged in this cache; remove that file, then pull")
    return Tree.load(storage.cache, HashInfo("md5", folder))


def _refuse(what: str, problems: dict[str, str], objects: Objects) -> None:
    if problems:
        raise DataError(complaint(what, problems, objects))
