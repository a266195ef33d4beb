"""Disks that fail and bits that flip: two rows of `make reliability`."""

import os
import sys
from pathlib import Path

import numpy as np
from dvc.repo import Repo

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import faults as injected
from s3_servers import Server
from spira.doctor.cache import Stores
from storage_clone import make

N_POINTS = 50  # for each kind of fault, over all stages
N_BITS = {"workspace": 60, "cache": 20, "remote": 20}
Row = tuple[str, str, bool]  # promise, figure, kept


def faults(folder: Path) -> Row:
    with injected.Stages(folder) as stages:
        every = injected.references(stages, injected.STAGES)
        wrong = [
            what
            for kind in injected.KINDS
            for reference, at in injected.points(every, N_POINTS)
            for what in injected.disturbed(stages, reference, kind, at)
        ]
    print(*wrong, sep="\n", file=sys.stderr)
    where = f"each of {len(injected.KINDS)} kinds at {N_POINTS} points, spread over all of {len(every)} stages"
    figure = f"{where}: {len(wrong)} half-written"
    return "a disk that fails, and SIGTERM", f"{figure}, left over, unexplained or of another exit status", not wrong


def bits(folder: Path) -> Row:
    found = {"workspace": _in_workspace(folder / "stages"), **_in_stores(folder / "stores")}
    figure = ", ".join(f"{found[where]} of {n} in the {where}" for where, n in N_BITS.items())
    return "a flipped bit", f"{figure} found before it was used", found == N_BITS


def _in_workspace(folder: Path) -> int:
    """How many were refused by the stage that reads them."""
    rng = np.random.default_rng(int(os.environ.get("SEED", "0")))
    folder.mkdir()
    with injected.Stages(folder) as stages:
        made = [name for one in injected.references(stages, injected.STAGES) for name in one.made]
        read = rng.permutation([name for name in made if injected.read_by(name)])
        names = np.resize(read, N_BITS["workspace"])  # each once, and then again until there are as many
        missed = [name for name in map(str, names) if not injected.found(stages, name, int(rng.integers(2**32)))]
    print(*missed, sep="\n", file=sys.stderr)
    return len(names) - len(missed)


def _in_stores(folder: Path) -> dict[str, int]:
    """How many `spira verify` and `spira doctor` named, and brought back from the other copy."""
    rng = np.random.default_rng(int(os.environ.get("SEED", "0")))
    (folder / "here").mkdir(parents=True)
    n = N_BITS["cache"] + N_BITS["remote"]
    clone = make(folder / "here", {f"{i}.bin": rng.bytes(10_000) for i in range(n)})
    server = Server("rclone", folder / "store")
    try:
        clone.key = server.key
        clone.point("p", server.url)
        clone.storage("push")
        keys = sorted(key for key in server.keys("p") if not key.endswith(".dir"))
        for key in keys[: N_BITS["remote"]]:
            body = bytearray(server.read(key))
            body[int(rng.integers(len(body)))] ^= 1
            server.write(key, bytes(body))
        said = clone.refused("verify")
        n_remote = int(said.split(" of ")[0].split()[-1]) if "healed from this cache" in said else 0
        clone.storage("verify")
    finally:
        server.kill()
    victims = [clone.cached(key) for key in keys[-N_BITS["cache"] :]]
    for path in victims:
        injected.flip(path, int(rng.integers(2**32)))
    with Repo(str(clone.folder)) as repo:
        findings = Stores(clone.folder, repo, lambda _: None).repaired()
        healed = not Stores(clone.folder, repo, lambda _: None).repaired()
    named = sum(any(path.name in finding.found for finding in findings) for path in victims)
    return {"cache": named if healed else 0, "remote": n_remote}
