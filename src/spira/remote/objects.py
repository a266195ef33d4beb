"""DVC's objects, named by their MD5: those of a revision, and messages on what is wrong with them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

N_NAMED = 10  # in one message


class Objects(NamedTuple):
    """The objects of one revision."""

    names: dict[str, str]  # hash -> where in the workspace
    folders: dict[str, set[str]]  # a folder's hash -> those of its files
    n_brought: int  # folders' lists, which had to come from the remote to be read


def object_md5(oid: str) -> str:
    """The MD5 in an object's name; a folder's ends in .dir."""
    return oid.removesuffix(".dir")


def differs(listing: Mapping[str, Mapping[str, Any]], oid: str, size: int) -> bool:
    """Whether the remote's object has another size than ours or, where ETags are MD5s, another MD5.

    ETags of multipart and encrypted uploads are not MD5s and prove nothing.

    Args:
        listing: the size and ETag of each object, from the server.
    """
    there = listing[oid]
    if there["size"] != size:
        return True
    tags_are_md5s = any(_etag(info) == object_md5(name) for name, info in listing.items())
    return tags_are_md5s and len(_etag(there)) == 32 and _etag(there) != object_md5(oid)


def complaint(what: str, problems: Mapping[str, str], objects: Objects) -> str:
    """``1 of 9 objects not pushed:`` and each with its place, hash and reason; the first few."""
    lines = sorted(f"{objects.names[oid]} ({oid}): {reason}" for oid, reason in problems.items())
    more = [f"and {len(lines) - N_NAMED} more"] if len(lines) > N_NAMED else []
    listed = "\n  ".join(lines[:N_NAMED] + more)
    return f"{len(problems)} of {len(objects.names)} objects {what}:\n  {listed}"


def _etag(info: Mapping[str, Any]) -> str:
    return str(info.get("ETag", "")).strip('"')
