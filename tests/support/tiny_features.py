"""What ``train`` reads, made in a moment: frames of noise in which patients are louder."""

from pathlib import Path

import torch
import yaml

from spira.features.store import IndexRow, write_index, write_shard
from tiny import tiny_params

N_EPOCHS = 6
TRAIN = {"max_epochs": N_EPOCHS, "patience": N_EPOCHS, "windows": "random", "mixup_alpha": 0.4, "balance": "sampler"}


def write_features(folder: Path) -> None:
    """``params.yaml`` and ``data`` of twelve clips, half of them patients', in two views, of a second and more."""
    params = tiny_params()
    params["train"] |= TRAIN
    params["models"] |= {"networks": ["spiraconv"], "baselines": []}
    params["network"]["spiraconv"] |= {"channels": [4, 4, 2, 2], "hidden": 8}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    drawn = torch.Generator().manual_seed(0)
    rows = ["clip_id,subset"]
    for subset, array, n_views in (("train", "views", 2), ("validation", "clean", 1), ("validation", "noisy", 1)):
        out = folder / "data/features" / subset
        index = [
            IndexRow(f"{subset}{i}", f"{subset}{i}", i % 2, view, 0.5, 0, 130)
            for i in range(12)
            for view in range(n_views)
        ]
        frames = (torch.randn(130, 40, generator=drawn) * (1 + 0.2 * row.label) for row in index)
        write_shard(out / f"{array}-0.npy", 40, [row.clip_id for row in index], frames)
        write_index(index, out, array)
    for subset in ("train", "validation"):
        rows += [f"{subset}{i},{subset}" for i in range(12)]
    (folder / "data/folds").mkdir()
    (folder / "data/folds/holdout.csv").write_text("\n".join(rows) + "\n")
