"""A git and DVC repository with the real evaluate stage: good, old (one model, no folds), bad (AUC lost), stale.

Each has a network, which is deployed, and a baseline, whose patients stand less far apart; old has the same network in
the forms of files that were there before a run had several models, its curves in both of those folders.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from closures import expanded
from in_process import spira
from spira.repository.git import environment_without_git
from tiny import GIT_IDENTITY, ROOT

SCORE = """
import csv, random, sys
from math import exp
from ruamel.yaml import YAML
from pathlib import Path
params = YAML(typ="safe").load(Path("params.yaml"))
shift, old = params["shift"], params.get("old", False)
models = {"network": (1, 2, 3)} if old else {"pooled_cnn": (1, 2, 3), "statistics": (0,)}
with open("data/predictions.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\\n")
    out.writerow(["model", "fold"] * (not old) + "subset condition seed clip_id speaker_id label score".split())
    for model, seeds in models.items():
        for subset in ("validation", "test"):
            for condition in ("clean", "noisy"):
                for seed in seeds:
                    draw = random.Random(f"{subset} {condition} {seed}")
                    for i in range(60):
                        score = 1 / (1 + exp(-(draw.gauss(0, 1) + shift * (i % 2) * (seed > 0 or 0.5))))
                        clip = [subset, condition, seed, f"{subset}{i}.wav", f"{subset}{i}", i % 2, score]
                        out.writerow([model, "holdout"] * (not old) + clip)
Path("data/clips").mkdir(exist_ok=True)
clips = [f"{subset}{i}.wav" for subset in ("validation", "test") for i in range(60)]
facts = "clip_id,sex,age,site,device,recorded_on,spo2,task\\n"
Path("data/clips/clips.csv").write_text(facts + "".join(f"{clip},F,50,,,,,\\n" for clip in clips))
for seed in (1, 2, 3):
    folder = f"pooled_cnn/holdout/{seed}" if not old else f"holdout/{seed}" if seed > 1 else "1"
    curve = Path(f"data/curves/{folder}/plots/metrics/validation/loss.tsv")
    curve.parent.mkdir(parents=True, exist_ok=True)
    losses = [1.5 - shift / 10 * epoch + seed / 100 * epoch * epoch for epoch in range(6)]
    curve.write_text("step\\tloss\\n" + "".join(f"{epoch}\\t{loss}\\n" for epoch, loss in enumerate(losses)))
"""


class Repository:
    """A working tree and what is typed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self) -> dict[str, str]:
        return {
            **environment_without_git(),
            **GIT_IDENTITY,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT / "src"),
            "DVC_NO_ANALYTICS": "1",
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )
        assert not check or result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
        return result

    def spira(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return spira(self.folder, *arguments, environment=self.environment())

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def report(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.spira("review", *arguments)

    def commit(self, branch: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", branch)
        self.git("branch", branch)


def build(folder: Path) -> Repository:
    """The three commits, made by ``dvc repro`` of a stage that scores and the real `evaluate`."""
    repository = Repository(folder)
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["evaluate"]
    # with __init__.py the copy is the package, and no installed one is
    for name in ["src/spira/__init__.py", *filter(lambda path: not path.startswith("data/"), stage["deps"])]:
        for file in expanded(ROOT / name):
            copy = folder / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)
    shutil.copy2(ROOT / ".dvcignore", folder)
    (folder / "data").mkdir()
    (folder / "score.py").write_text(SCORE)
    _write_stages(folder, stage, [f"pooled_cnn/holdout/{seed}" for seed in (1, 2, 3)])
    (folder / ".gitignore").write_text("__pycache__\n")
    repository.git("init", "-q", "-b", "main")
    repository.run("dvc", "init", "-q")
    for branch, shift in (("good", 2.5), ("bad", 0.6)):
        _write_params(folder, shift)
        repository.run("dvc", "repro", "-q")
        repository.commit(branch)
    repository.git("checkout", "-q", "-b", "before", "good")
    _write_stages(folder, stage, ["1", "holdout/2", "holdout/3"])
    _write_params(folder, 2.5, old=True)
    repository.run("dvc", "repro", "-q")
    _as_before(folder / "data/evaluation.json")
    repository.commit("old")
    repository.git("checkout", "-q", "-b", "later", "good")
    _write_params(folder, 0.9)
    for name in ("predictions/table", "evaluation/metrics"):  # a dependency itself, and one in a folder that is
        module = folder / f"src/spira/{name}.py"
        module.write_text(module.read_text() + "\n# newer\n")
    repository.commit("stale")
    repository.git("checkout", "-q", "main")
    return repository


def _write_stages(folder: Path, evaluate: dict[str, Any], trainings: list[str]) -> None:
    outs = ["data/clips/clips.csv", "data/predictions.csv", *(f"data/curves/{name}/plots" for name in trainings)]
    score = {"cmd": "python score.py", "deps": ["score.py"], "params": ["shift"], "outs": outs}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"score": score, "evaluate": evaluate}}))


def _write_params(folder: Path, shift: float, *, old: bool = False) -> None:
    deploy = "network" if old else "pooled_cnn"
    committed = yaml.safe_load((ROOT / "params.yaml").read_text())["evaluate"]
    evaluate = committed | {"n_resamples": 500, "deploy": deploy}
    models = {"networks": ["pooled_cnn"], "baselines": ["statistics"]}
    params = {"arithmetic": "portable", "corpus": "demo", "evaluate": evaluate, "shift": shift} | (
        {"old": True} if old else {"models": models}
    )
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def _as_before(evaluation: Path) -> None:
    """Written as by a version that knew one model: what was found of it stood at the top."""
    found = json.loads(evaluation.read_text())
    (model,) = found["models"].values()
    rest = {name: value for name, value in model.items() if name != "ensemble"}
    tree = {"corpus": found["corpus"], "threshold_condition": found["threshold_condition"]} | rest
    evaluation.write_text(json.dumps(tree))
