"""What is read of the files that a commit holds, and what may stand there: whoever opens a pull request writes them.

The rest of such a file is not looked at, so that an older or a newer commit is read too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from spira.base.bounded_yaml import Bounds, read_json, read_yaml
from spira.base.errors import DataError, ParamError
from spira.evaluation.metrics import UNDETERMINED
from spira.features.conditions import CONDITIONS

BOUNDS = Bounds(
    characters=2_000_000, brackets=20_000, values=200_000
)  # dvc.lock of the demo has a tenth of it, or less
_LONGEST_SHOWN = 100  # characters of a value in a message
MOST_MODELS = 20  # of one commit
NETWORK = "network"  # the one model of a commit from before there were several: see spira.predictions.table

Text = Annotated[str, Field(max_length=10_000)]
PathInside = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]  # it becomes a path in DVC's cache
ModelName = Annotated[str, Field(min_length=1, max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)] | Annotated[str, Field(pattern=f"^{UNDETERMINED}$")]

Signed = Annotated[float, Field(ge=-1, le=1)] | Annotated[str, Field(pattern=f"^{UNDETERMINED}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class Mapped(_Part):
    """Lines of ``key: value``, whichever they are."""


class Hashed(_Part):
    """A file or folder, and its hash where DVC has one."""

    path: PathInside
    md5: Md5 = ""


class LockedStage(_Part):
    """What a stage of dvc.lock was made of, and what it made."""

    cmd: Text | list[Text] = ""
    deps: list[Hashed] = []
    outs: list[Hashed] = []
    params: dict[str, dict[str, Any]] = {}


class Lock(_Part):
    """dvc.lock."""

    stages: dict[Text, LockedStage] = {}


class Pinned(_Part):
    md5: Md5


class Pointer(_Part):
    """A .dvc file."""

    outs: Annotated[list[Pinned], Field(min_length=1)]


class Listed(_Part):
    """A file of a folder in DVC's cache."""

    relpath: PathInside
    md5: Md5


class Split(_Part):
    scheme: Text = "holdout"
    folds: list[Any] = []


class Models(_Part):
    """Which models a commit trains; [] of one from before there were several."""

    networks: list[ModelName] = []
    baselines: list[ModelName] = []


class Params(_Part):
    """The params.yaml of a commit: the rules of the review are checked where they are used."""

    models: Models = Models()
    split: Split = Split()
    evaluate: dict[str, Any] = {}


class Estimated(_Part):
    """A metric and its interval."""

    mean: Share
    lo: Share
    hi: Share


class HeadlineMetrics(_Part):
    """The metrics that a review compares."""

    auc: Estimated
    sensitivity: Estimated
    specificity: Estimated


class Measured(_Part):
    """What was measured under one condition."""

    metrics: HeadlineMetrics


def _known(conditions: object) -> object:
    """Without the conditions of which a review says nothing."""
    if not isinstance(conditions, dict):
        return conditions
    return {name: conditions[name] for name in CONDITIONS if name in conditions}


Conditions = Annotated[dict[str, Measured | None], BeforeValidator(_known)]


class MeasuredModel(_Part):
    """What was measured of one model."""

    conditions: Conditions


class Apart(_Part):
    """The AUC of one model less that of another, and its paired interval."""

    difference: Signed
    lo: Signed
    hi: Signed


class Metrics(_Part):
    """data/evaluation.json: ``models``, or in an older commit the ``conditions`` of the only one, or neither."""

    deployed: ModelName | None = None
    deployed_because: Text = ""
    models: Annotated[dict[ModelName, MeasuredModel] | None, Field(max_length=MOST_MODELS)] = None
    # by model, another model and condition
    differences: Annotated[
        dict[ModelName, Annotated[dict[ModelName, dict[Text, Apart]], Field(max_length=MOST_MODELS)]],
        Field(max_length=MOST_MODELS),
    ] = {}
    conditions: Conditions | None = None


class Probe(_Part):
    verdict: Text
    why: Text = ""


class ProbedModel(_Part):
    probes: dict[Text, Probe] = {}


class ProbeFile(_Part):
    """data/probes.json: ``models``, or in an older commit the ``probes`` of the only one."""

    models: Annotated[dict[ModelName, ProbedModel] | None, Field(max_length=MOST_MODELS)] = None
    probes: dict[Text, Probe] = {}


class Distance(NamedTuple):
    """How far one model's AUC is above another's on the same clips, and the interval of that."""

    difference: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Evaluated:
    """What evaluate found at a commit."""

    deployed: str | None = None  # None: the commit does not say
    because: str = ""
    # by model and condition, ``auc``, ``auc_lo``, ``auc_hi`` and so on
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    # by pair of models and condition, the first less the second
    distances: Mapping[tuple[str, str], Mapping[str, Distance]] = field(default_factory=dict)


def read_committed(content: bytes, where: str, kind: type[BaseModel]) -> dict[str, Any]:
    """The tree of a YAML or JSON file, in which what ``kind`` names is as it says.

    Args:
        where: the commit and the file, as messages name them; JSON is what ends so.

    Raises:
        DataError: it is not; one sentence says where and why.
    """
    try:
        text = content.decode()
        tree = read_json(text, where, BOUNDS) if where.endswith(".json") else read_yaml(text, where, BOUNDS)[0]
        TypeAdapter(kind).validate_python(tree)
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8") from error
    except ValidationError as error:
        raise DataError(f"{where}: {_problem(error)}") from error
    except ParamError as error:
        raise DataError(str(error)) from error
    return dict(tree)


def files_of_vars(tree: Any, where: str) -> list[str]:
    """The files whose values ``vars`` of a dvc.yaml takes, from its own folder.

    Raises:
        DataError: a stage that works in another folder may take them from there.
    """
    found = [name.partition(":")[0] for name in _values(tree, "vars") if isinstance(name, str)]
    if found and list(_values(tree, "wdir")):
        raise DataError(f"{where}: must not have both vars from a file and wdir")
    return found


def _values(tree: Any, key: str) -> Iterator[Any]:
    """What stands under the key, wherever it is; of a list its items."""
    if isinstance(tree, dict):
        under = tree.get(key, [])
        yield from under if isinstance(under, list) else [under]
        for value in tree.values():
            yield from _values(value, key)
    elif isinstance(tree, list):
        for item in tree:
            yield from _values(item, key)


def evaluated(tree: Mapping[str, Any], where: str) -> Evaluated:
    """The numbers that a review compares; what is not determined is left out.

    Args:
        tree: data/evaluation.json; {} of a commit that has none.
        where: the commit and the file, as messages name them.

    Raises:
        DataError: the file has the form that it had before there were ``conditions`` in it.
    """
    found = Metrics.model_validate(tree)
    if found.models is not None:
        metrics = {name: _by_condition(model.conditions) for name, model in found.models.items()}
        pairs = {(a, b): _distances(apart) for a, others in found.differences.items() for b, apart in others.items()}
        return Evaluated(found.deployed, found.deployed_because, metrics, pairs)
    if found.conditions is not None:
        return Evaluated(NETWORK, metrics={NETWORK: _by_condition(found.conditions)})
    if tree:
        raise DataError(f"{where}: has an older form, without conditions; its point estimates are not shown")
    return Evaluated()


def probed(tree: Mapping[str, Any], deployed: str | None) -> dict[str, dict[str, Any]]:
    """By model, its probes as data/probes.json has them; those of an older form are of the model that is deployed."""
    if ProbeFile.model_validate(tree).models is not None:
        return {name: model.get("probes", {}) for name, model in tree["models"].items()}
    return {deployed or NETWORK: tree["probes"]} if tree.get("probes") else {}


def _by_condition(conditions: Mapping[str, Measured | None]) -> dict[str, dict[str, float]]:
    return {name: _numbers(condition.metrics) for name, condition in conditions.items() if condition}


def _distances(apart: Mapping[str, Apart]) -> dict[str, Distance]:
    """By condition that this code knows, in its order."""
    numbers = {name: (apart[name].difference, apart[name].lo, apart[name].hi) for name in CONDITIONS if name in apart}
    return {name: Distance(*map(float, three)) for name, three in numbers.items() if UNDETERMINED not in three}


def _numbers(metrics: HeadlineMetrics) -> dict[str, float]:
    return {
        f"{metric}{suffix}": value
        for metric, estimate in metrics
        for suffix, value in (("", estimate.mean), ("_lo", estimate.lo), ("_hi", estimate.hi))
        if value != UNDETERMINED
    }


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"])) or "the file"
    return f"{key[:_LONGEST_SHOWN]}: {first['msg']}, got {repr(first['input'])[:_LONGEST_SHOWN]}"
