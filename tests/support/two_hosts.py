"""Two hosts on one machine, by Linux's namespaces: another network, another /tmp, and one folder in common."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST, OTHER = (f"10.213.{os.getpid() % 256}.{n}" for n in (1, 2))  # not those of a process beside this one


def lacking() -> str:
    """Why there can be no second host; "" where there can be."""
    if os.geteuid() != 0:
        return "only root makes namespaces"
    return "" if shutil.which("ip") else "there is no `ip`"


def run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)


@contextmanager
def second_host(name: str) -> Iterator[list[str]]:
    """The words before a command there, of which the next is the folder that it shall have at /mnt, and nowhere else.

    It has its own /tmp too.
    """
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        run("ip", "addr", "add", f"{HOST}/30", "dev", f"{name}a")
        run("ip", "link", "set", f"{name}a", "up")
        there = ["ip", "netns", "exec", name]
        run(*there, "ip", "addr", "add", f"{OTHER}/30", "dev", f"{name}b")
        run(*there, "ip", "link", "set", f"{name}b", "up")
        own = 'mount --bind "$0" /mnt && mount -t tmpfs x "${0%/*}" && mount -t tmpfs x /tmp && cd /mnt && exec "$@"'
        yield [*there, "unshare", "--mount", "sh", "-c", own]
    finally:
        run("ip", "netns", "del", name)
