"""A repository whose stages only copy: what is tested is what a retraining does about them."""

import shutil
import subprocess
from pathlib import Path

import yaml

from registered import Registered
from tiny import ROOT, tiny_params, write_tiny_corpus

TRAIN = """\
import sys
from pathlib import Path
corpus, out = Path("data/raw/tiny/metadata.csv"), Path("data/package")
if "broken" in corpus.read_text():
    sys.exit("metadata.csv: broken")
out.mkdir()
(out / "package.json").write_text(corpus.read_text())
Path("data/metrics.json").write_text(str(len(corpus.read_text().splitlines())))
"""


def small_repository(folder: Path) -> Registered:
    """In ``folder/work``, with a bare git remote and a folder as DVC's: one stage, from a corpus to a package."""
    work = Registered(folder / "work")
    write_tiny_corpus(work.folder / "data/raw/tiny", folder / "noise", n_speakers=4)
    shutil.copy2(ROOT / "data/raw/.gitignore", work.folder / "data/raw/.gitignore")
    stage = {
        "cmd": "python train.py",
        "deps": ["train.py", "data/raw/tiny"],
        "outs": ["data/package", {"data/metrics.json": {"cache": False}}],
    }
    (work.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    (work.folder / "train.py").write_text(TRAIN)
    params = tiny_params()
    params["gate"]["registry"] = "tiny"
    (work.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (work.folder / ".gitignore").write_text("/.ckpt/\n/data/package\n")
    work.give_remotes()
    for command in (("add", "-q", "data/raw/tiny"), ("repro", "-q")):
        subprocess.run(["dvc", *command], cwd=work.folder, env=work.environment(), check=True)
    work.git("add", "-A")
    work.git("commit", "-q", "-m", "the first version")
    work.git("push", "-q", "origin", "main")
    return work
