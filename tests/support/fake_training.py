"""A stage that writes what training writes, in a moment: tests of a sweep learn nothing from a second torch.

A network's validation loss is lowest at lr 0.01, and under cross-validation a tenth more in each fold than in the one
before. With seed 0 it is a baseline's, whose loss has no curve and is two thirds more. The test metrics say the
opposite, so whoever looked would choose wrongly.
A hopeless trial takes a minute, after the first FAKE_PATIENCE ones: a test that waits was not pruned. Two on one
device fail.
"""

import fcntl
import json
import math
import os
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

if __name__ == "__main__":
    params = YAML(typ="safe").load(Path("params.yaml").read_text())
    notes, lr = Path(os.environ["FAKE_NOTES"]), params["train"]["lr"]
    device = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
    held = (notes / f"held-{device}").open("w")
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where another living trial has the device
    if sys.argv[1] != "evaluate":
        (notes / f"pid-{os.getpid()}").write_text(device + os.environ.get("SPIRA_CLUSTER", ""))
    n_before = len(list(notes.glob("pid-*"))) - 1
    badness = abs(math.log10(lr) + 2)
    hopeless = badness > 1.5 and n_before >= int(os.environ.get("FAKE_PATIENCE", "0"))
    if sys.argv[1] == "evaluate":
        Path("data/metrics.json").write_text(json.dumps({"noisy": {"auc": min(1.0, badness / 3)}}))
    else:
        model, fold, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
        checkpoints = Path(os.environ.get("SPIRA_CHECKPOINTS", ".ckpt"))
        checkpoints.mkdir(exist_ok=True)
        (checkpoints / f"{model}-{fold}-{seed}.ckpt").touch()
        badness += 0 if fold == "holdout" else int(fold) / 10
        curve = Path(f"data/curves/{model}/{fold}/{seed}/plots/metrics/validation/loss.tsv")
        if seed:
            curve.parent.mkdir(parents=True)
            curve.write_text("step\tloss\n")
        for epoch in range(3 if seed else 0):
            with curve.open("a") as file:
                file.write(f"{epoch}\t{badness + 1 / (epoch + 1)}\n")
            time.sleep(60 if hopeless and epoch == 1 else float(os.environ.get("FAKE_SECONDS", "0")))
        facts = {"seed": seed, "validation_loss": badness + (1 / 3 if seed else 1)}
        Path(f"data/models/{model}/{fold}/{seed}").mkdir(parents=True)
        Path(f"data/models/{model}/{fold}/{seed}/model.json").write_text(json.dumps(facts))
    sys.exit("as asked" if lr == 0.05 else 0)
