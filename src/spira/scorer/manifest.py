"""All that is needed to use a deployed model, and the hashes of what it was made from: a package's `package.json`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spira.base.errors import DataError
from spira.base.section import SampleRate
from spira.encoders.params import EmbeddingParams
from spira.features.params import FeatureParams, WindowParams
from spira.ingest.acceptance import IngestParams
from spira.predictions.params import PredictParams

MANIFEST = "package.json"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hashes(_Part):
    """SHA-256 of what the package was made from, so that two packages can be told apart and each traced."""

    clips: Sha256  # data/clips/clips.csv, which holds the digest of every waveform
    params: Sha256  # params.yaml's values, as JSON with sorted keys
    code: Sha256  # the files under code/, by name
    requirements: Sha256  # requirements.txt of the package


class Manifest(_Part):
    """package.json."""

    schema_version: Literal[1]
    notice: str
    corpus: str  # whose recordings it was trained on
    model: str  # its name in params.yaml
    members: tuple[str, ...] = Field(min_length=1)  # folders under models/, whose mean score is the package's
    deployed_because: str  # a sentence
    tasks: tuple[str, ...]  # what was said in the recordings that it was trained on; empty where unknown
    sample_rate: SampleRate
    ingest: IngestParams
    features: FeatureParams
    embedding: EmbeddingParams  # read where features.kind is embedding; its file is then in the folder encoder/
    windows: WindowParams
    predict: PredictParams
    threshold_condition: str  # of the validation clips that chose the threshold
    threshold: Probability  # a score from it upwards is positive
    inconclusive_width: float = Field(ge=0, le=1)  # of the band about the threshold; open, so 0 is none
    hashes: Hashes


def read_manifest(path: Path) -> Manifest:
    """Raises DataError where the file is missing or another version wrote it."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; a package is the folder that `dvc repro package` writes") from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(
            f"{path}: {key}: {problem['msg']}; this version reads packages of its own kind alone"
        ) from error
