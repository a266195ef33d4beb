"""Send, bring and check DVC's objects between cache and remote; faults as sentences."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import FlexibleChecksumError
from dvc.exceptions import DvcException
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs.local import localfs
from dvc_objects.fs.utils import as_atomic

from spira.base.errors import DataError
from spira.remote.objects import differs, object_md5
from spira.storage import s3
from spira.storage.faults import FAULTS, fault

UNSET = "BUCKET_NOT_SET"
N_AT_ONCE = 8
NOWHERE = "neither in this cache nor on the remote"


class Storage(NamedTuple):
    """Cache and remote, and the remote's listing when the command starts: hash -> size, ETag."""

    cache: Any
    remote: Any
    listing: dict[str, dict[str, Any]]

    def in_cache(self, oid: str) -> bool:
        return Path(self.cache.oid_to_path(oid)).is_file()

    def differs(self, oid: str) -> bool:
        return differs(self.listing, oid, Path(self.cache.oid_to_path(oid)).stat().st_size)

    def send(self, oid: str) -> None:
        """Uploads an object; raises ``DataError`` where the cache's copy does not fit its name."""
        if not self.in_cache(oid):
            raise DataError(NOWHERE)
        if file_md5(self.cache.oid_to_path(oid)) != object_md5(oid):
            raise DataError("damaged in this cache; remove that file, then pull")
        self.remote.fs.put_file(self.cache.oid_to_path(oid), self.remote.oid_to_path(oid))

    def bring(self, oid: str) -> None:
        """Downloads an object; raises ``DataError`` where the remote has no sound copy: the cache is then unchanged."""
        if oid not in self.listing:
            raise DataError(NOWHERE)
        with as_atomic(localfs, self.cache.oid_to_path(oid), create_parents=True) as part:
            self.remote.fs.get_file(self.remote.oid_to_path(oid), part)
            if file_md5(part) != object_md5(oid):
                raise DataError("damaged on the remote; run `verify` on a machine with a complete cache to repair it")
        self.cache.protect(self.cache.oid_to_path(oid))

    def check(self, oid: str) -> None:
        """Reads an object on the remote; raises ``DataError`` where its bytes have another hash than its name."""
        if oid not in self.listing:
            raise DataError("missing on the remote; push")
        if file_md5(self.remote.oid_to_path(oid), self.remote.fs) != object_md5(oid):
            raise DataError("damaged on the remote")


def find(repo: Any, command: str) -> tuple[Any, str]:
    """The remote that DVC is configured to use, and its address as messages name it."""
    s3.configure()
    with explain_faults("remote"):
        remote = repo.cloud.get_remote_odb(command=command)
    where = f"remote {remote.fs.unstrip_protocol(remote.path)}"
    if UNSET in remote.path:
        raise DataError(f"{where}: no bucket yet; dvc remote modify --local storage url s3://<bucket>/<path>")
    return remote, where


def connect(cache: Any, remote: Any) -> Storage:
    """Lists the remote, S3 or a folder; no request after that waits without end."""
    if remote.fs.protocol == "local":
        files = [path for path in Path(remote.path).rglob("*") if path.is_file()]
        sizes = {str(path): {"size": path.stat().st_size} for path in files}
        return Storage(cache, remote, {oid: sizes[path] for path in sizes if (oid := _oid(remote, path))})
    filesystem = remote.fs.fs
    s3.limit(filesystem)
    filesystem.ls(remote.path.split("/")[0])  # the listing below takes a bucket that is missing for empty
    found = filesystem.find(remote.path, detail=True)
    return Storage(cache, remote, {oid: found[path] for path in found if (oid := _oid(remote, path))})


def _oid(remote: Any, path: str) -> str | None:
    """The object's hash; None for another's file, or the empty folder that a cut-off upload leaves on rclone."""
    try:
        oid: str = remote.path_to_oid(path)
    except ValueError:
        return None
    return oid


def each(work: Callable[[str], None], oids: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Runs ``work`` on every object, several at once; returns those that raised ``DataError``, with the reason.

    Another error ends the rest, and carries the name of the object that it came with.

    Args:
        names: hash -> where in the workspace.
    """

    def attempt(oid: str) -> tuple[str, str | None]:
        try:
            work(oid)
        except DataError as error:
            return oid, str(error)
        except FlexibleChecksumError as error:
            return oid, f"the server sent other bytes than its own checksum says ({error})"
        except FAULTS as error:
            error.add_note(f"{names[oid]} ({oid}): ")
            raise
        return oid, None

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        return {oid: reason for oid, reason in pool.map(attempt, oids) if reason is not None}


@contextmanager
def explain_faults(where: str) -> Iterator[None]:
    """Turns errors of the network, the server and DVC into one sentence with the object and the likely cause."""
    try:
        yield
    except FAULTS as error:
        met_at = "".join(getattr(error, "__notes__", []))  # the object, where ``each`` met it
        raise DataError(f"{where}: {met_at}{fault(error)}") from error
    except DvcException as error:
        raise DataError(str(error)) from error
