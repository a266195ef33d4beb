"""A repository whose trainings take a moment, for tests of sweeps."""

import shutil
from pathlib import Path

import psutil
import yaml

from pipeline_clone import Clone
from spira.base.params import read
from tiny import ROOT


def fake_clone(folder: Path) -> Clone:
    """A committed repository, with one stage that only pretends to train."""
    clone = Clone(folder)
    (clone.folder / "src/spira").mkdir(parents=True)  # no code of ours runs there
    params = read(ROOT / "params.yaml")[0] | {"models": {"networks": ["pooled_cnn"], "baselines": []}}
    (clone.folder / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copy2(ROOT / "requirements.txt", clone.folder / "requirements.txt")
    shutil.copy2(ROOT / "tests/support/fake_training.py", clone.folder / "src/fake_training.py")
    train = {
        "matrix": {"model": "${models.networks}", "fold": "${split.folds}", "seed": "${seeds}"},
        "cmd": "python src/fake_training.py ${item.model} ${item.fold} ${item.seed}",
        "deps": ["src/fake_training.py"],
        "params": ["train"],
        "outs": [f"data/{kind}/${{item.model}}/${{item.fold}}/${{item.seed}}" for kind in ("models", "curves")],
    }
    fit = {
        "matrix": {"model": "${models.baselines}", "fold": "${split.folds}"},
        "cmd": "python src/fake_training.py ${item.model} ${item.fold} 0",
        "deps": ["src/fake_training.py"],
        "params": ["baseline"],
        "outs": ["data/models/${item.model}/${item.fold}/0"],
    }
    evaluate = {
        "cmd": "python src/fake_training.py evaluate",
        "deps": ["data/models"],
        "params": ["train"],
        "metrics": [{"data/metrics.json": {"cache": False}}],
    }
    stages = {"train": train, "fit": fit, "evaluate": evaluate}
    # in this order a stage's name has what its matrix has
    (clone.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    clone.git("init", "-q", "-b", "main")
    clone.run("dvc", "init", "-q")
    (clone.folder / ".gitignore").write_text("__pycache__\n/plan.yaml\n/data/models\n/data/curves\n/data/sweeps\n")
    clone.commit("a fake")
    return clone


def experiments(clone: Clone) -> set[str]:
    return {ref.rpartition("/")[2] for ref in clone.git("for-each-ref", "--format=%(refname)", "refs/exps").split()}


def alive(pid: int) -> bool:
    """A dead process that nobody has reaped yet, as in a container without an init, is not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
