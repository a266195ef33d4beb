"""storage: DVC's cache <-> the remote, where success means that the data are there.

``dvc push`` exits 0 over an object that is missing from the cache, and calls a damaged one on the remote up to
date; both it and ``dvc pull`` repeat a request to a server that says nothing for minutes. Here:

    push     sends what the remote lacks, or holds at another size or MD5 than its name says
    pull     brings what the cache lacks, each object under its name only once its hash is right; then checks out
    verify   reads every object of this revision back from the remote, and sends the damaged ones anew

A command that could not do all of it exits 1 and names what it could not do, and so does ``verify`` that found
damage, healed or not (as fsck does). What was done stays done, so the next run completes the rest.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_objects.fs.local import localfs
from dvc_objects.fs.utils import as_atomic

from spira.errors import DataError, told

UNSET = "BUCKET_NOT_SET"
N_ATTEMPTS = 2  # of botocore and, around it, of s3fs: 2 x 2 read_timeouts where their defaults make 5 x 5
N_AT_ONCE = 8
N_NAMED = 10  # in one message
NOWHERE = "neither in this cache nor on the remote"


class Storage(NamedTuple):
    """Both ends, and what the remote says it holds when the command starts: hash -> size, ETag."""

    cache: Any
    remote: Any
    listing: dict[str, dict[str, Any]]

    def in_cache(self, oid: str) -> bool:
        return Path(self.cache.oid_to_path(oid)).is_file()

    def differs(self, oid: str) -> bool:
        """The remote's object has another size than the cache's or, where ETags are MD5s, another MD5.

        ETags of multipart and encrypted uploads are not MD5s and prove nothing.
        """
        there = self.listing[oid]
        if there["size"] != Path(self.cache.oid_to_path(oid)).stat().st_size:
            return True
        tags_are_md5s = any(_etag(info) == _md5(name) for name, info in self.listing.items())
        return tags_are_md5s and len(_etag(there)) == 32 and _etag(there) != _md5(oid)

    def send(self, oid: str) -> None:
        """Raises ``DataError`` where the cache's copy is not what its name says; DVC does not look at it again."""
        if not self.in_cache(oid):
            raise DataError(NOWHERE)
        if file_md5(self.cache.oid_to_path(oid)) != _md5(oid):
            raise DataError("damaged in this cache; remove that file, then pull")
        self.remote.fs.put_file(self.cache.oid_to_path(oid), self.remote.oid_to_path(oid))

    def bring(self, oid: str) -> None:
        """Raises ``DataError`` where the remote has no sound copy; the cache then is as it was."""
        if oid not in self.listing:
            raise DataError(NOWHERE)
        with as_atomic(localfs, self.cache.oid_to_path(oid), create_parents=True) as part:
            self.remote.fs.get_file(self.remote.oid_to_path(oid), part)
            if file_md5(part) != _md5(oid):
                raise DataError("damaged on the remote; `verify` where the cache is whole heals it")
        self.cache.protect(self.cache.oid_to_path(oid))

    def check(self, oid: str) -> None:
        """Raises ``DataError`` where the remote's bytes have another hash than their name."""
        if oid not in self.listing:
            raise DataError("missing on the remote; push")
        if file_md5(self.remote.oid_to_path(oid), self.remote.fs) != _md5(oid):
            raise DataError("damaged on the remote")


class Objects(NamedTuple):
    """What this revision consists of: hash -> where in the workspace; and the hashes in each folder."""

    names: dict[str, str]
    folders: dict[str, set[str]]
    n_brought: int  # folders' lists, which had to come from the remote to be read


def push(repo: Any, storage: Storage) -> str:
    """Send files, then the folders whose files are all there: a folder on the remote promises its files."""
    objects, problems = _objects(repo, storage)
    unsent = [oid for oid in objects.names if storage.in_cache(oid) or oid not in storage.listing]
    unsent = [oid for oid in unsent if oid not in storage.listing or storage.differs(oid)]
    problems |= _each(storage.send, [oid for oid in unsent if oid not in objects.folders])
    whole = [oid for oid in unsent if oid in objects.folders and not objects.folders[oid] & set(problems)]
    problems |= _each(storage.send, whole)
    _refuse("not pushed", problems, objects)
    replaced = sum(oid in storage.listing for oid in unsent)
    return f"{len(unsent)} sent ({replaced} in place of damaged ones), {len(objects.names) - len(unsent)} were there"


def pull(repo: Any, storage: Storage) -> str:
    """Check out only when everything has arrived; until then the workspace is as it was."""
    objects, problems = _objects(repo, storage)
    absent = [oid for oid in objects.names if not storage.in_cache(oid)]
    problems |= _each(storage.bring, absent)
    _refuse("not pulled", problems, objects)
    repo.checkout()
    n_brought = objects.n_brought + len(absent)
    return f"{n_brought} brought, {len(objects.names) - n_brought} were here"


def verify(repo: Any, storage: Storage) -> str:
    objects, problems = _objects(repo, storage)
    problems |= _each(storage.check, objects.names)
    damaged = [oid for oid in problems if oid in storage.listing]
    unhealed = _each(storage.send, damaged)
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
    problems = _each(storage.bring, absent)
    inside: dict[str, set[str]] = {}
    for folder in folders:
        if folder not in problems:
            entries = {h.value: "/".join((names[folder], *key)) for key, _, h in _tree(storage, folder, names[folder])}
            inside[folder] = set(entries)
            names = entries | names
    return Objects(names, inside, len(absent) - len(problems)), problems


def _tree(storage: Storage, folder: str, name: str) -> Any:
    path = storage.cache.oid_to_path(folder)
    if file_md5(path) != _md5(folder):
        raise DataError(f"{name}: {path} is damaged in this cache; remove that file, then pull")
    return Tree.load(storage.cache, HashInfo("md5", folder))


def _each(work: Callable[[str], None], oids: Iterable[str]) -> dict[str, str]:
    """Do all, several at once; those that ``DataError`` refused, with the reason. Another error ends the rest."""

    def attempt(oid: str) -> tuple[str, str | None]:
        try:
            work(oid)
        except DataError as error:
            return oid, str(error)
        return oid, None

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        return {oid: reason for oid, reason in pool.map(attempt, oids) if reason is not None}


def _refuse(what: str, problems: dict[str, str], objects: Objects) -> None:
    if problems:
        lines = sorted(f"{objects.names[oid]} ({oid}): {reason}" for oid, reason in problems.items())
        more = [f"and {len(lines) - N_NAMED} more"] if len(lines) > N_NAMED else []
        listed = "\n  ".join(lines[:N_NAMED] + more)
        raise DataError(f"{len(problems)} of {len(objects.names)} objects {what}:\n  {listed}")


def _md5(oid: str) -> str:
    return oid.removesuffix(".dir")


def _etag(info: dict[str, Any]) -> str:
    return str(info.get("ETag", "")).strip('"')


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """What the network, the server and DVC raise, as one sentence with the likely cause."""
    try:
        yield
    except (PermissionError, NoCredentialsError, PartialCredentialsError) as error:
        raise DataError(f"{where}: the key is missing or refused ({error}); see docs/storage.md") from error
    except (ReadTimeoutError, TimeoutError) as error:
        raise DataError(f"{where}: took the request and did not answer in time ({error}); run again later") from error
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise DataError(f"{where}: no server ({error}); is it up, and endpointurl right?") from error
    except FileNotFoundError as error:
        raise DataError(f"{where}: not found ({error}); is the bucket's name right, and does it exist?") from error
    except (OSError, BotoCoreError, ClientError) as error:
        raise DataError(f"{where}: the transfer broke off ({error}); run again to complete it") from error
    except DvcException as error:
        raise DataError(str(error)) from error


def run(command: str) -> None:
    os.environ.setdefault("AWS_MAX_ATTEMPTS", str(N_ATTEMPTS))
    with Repo() as repo, _explained("lock"), lock_repo(repo):
        with _explained("remote"):
            remote = repo.cloud.get_remote_odb(command=command)
        where = f"remote {remote.fs.unstrip_protocol(remote.path)}"
        if UNSET in remote.path:
            raise DataError(f"{where}: no bucket yet; dvc remote modify --local storage url s3://<bucket>/<path>")
        with _explained(where):
            remote.fs.fs.retries = N_ATTEMPTS
            remote.fs.fs.ls(remote.path.split("/")[0])  # the listing below takes a bucket that is missing for empty
            found = remote.fs.fs.find(remote.path, detail=True)
            listing = {remote.path_to_oid(path): info for path, info in found.items()}
            work = {"push": push, "pull": pull, "verify": verify}[command]
            print(f"{where}: {work(repo, Storage(repo.cache.local, remote, listing))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m spira.storage", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["push", "pull", "verify"])
    with told():
        run(parser.parse_args().command)
