"""The networks of a package -> one ONNX file, for programs without torch."""

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.base.tables import read_json
from spira.models.device import prepare
from spira.predictions.loading import load_model
from spira.predictions.trained import Network
from spira.scorer.answer import NOTICE
from spira.scorer.contents import require_whole
from spira.scorer.manifest import MANIFEST, read_manifest

INPUT, OUTPUT = "windows", "score"


class Ensemble(nn.Module):
    """(n_windows, n_frames, n_features) of one recording -> its score, shape (), float64, in [0, 1]."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, windows: Tensor) -> Tensor:
        """The mean over networks and windows, as ``clip_scores`` has it."""
        return torch.stack([torch.sigmoid(net(windows).double()).mean() for net in self.networks]).mean()


def export_onnx(package: Path, out: Path) -> int:
    """Writes the file; the number of networks in it.

    Its one input, ``windows``, float32, are those of a recording's frames, as ``features`` and ``windows`` of
    package.json say; its one output, ``score``, is the score that the package gives that recording.

    Raises:
        DataError: the package is not whole, or its model is no network.
    """
    hash_, p = require_whole(package), read_manifest(package / MANIFEST)
    folders = [package / "models" / member for member in p.members]
    models = [load_model(folder, prepare("cpu", seed=0), "torch") for folder in folders]
    networks = [model.net for model in models if isinstance(model, Network)]
    if len(networks) < len(models):
        raise DataError(
            f"{package}: its model is `{p.model}`, which is no network; ONNX is for networks: set evaluate.deploy to "
            "the name of one, or use the package as it is"
        )
    facts = read_json(folders[0] / "model.json")
    example = torch.zeros(2, facts["n_frames"], facts["n_features"])
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # that torchvision is not there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own, about itself
        program = torch.onnx.export(
            Ensemble(networks).eval(),
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("n_windows")},),
        )
    assert program is not None  # it is where no file is named
    proto = program.model_proto
    for key, value in {"notice": NOTICE, "package": hash_}.items():
        proto.metadata_props.add(key=key, value=value)
    write_bytes(proto.SerializeToString(), out)
    return len(networks)
