"""Two sides -> the Markdown that a reviewer reads: verdict, metrics, curves, parameters, data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from spira.base.array_types import Floats
from spira.base.bounded_yaml import flat
from spira.compare.committed import MOST_MODELS
from spira.compare.model_changes import cells, deployed, models_section, probed_models
from spira.compare.probe_changes import probes_section, regression
from spira.compare.sides import Comparison, Side
from spira.evaluation.curves import mean_roc
from spira.evaluation.markdown import chart, code, inert, table
from spira.evaluation.paired import COMPARED, Difference, verdict
from spira.evaluation.results import title

_N_ROWS = 300  # of one table; the rest is counted
_RULES = (
    "Rules: regression or improvement where the {confidence:g}% paired interval of the difference in AUC of the "
    "deployed models under the headline condition, `{condition}`, excludes 0; otherwise no evidence. **Bold**: the "
    "interval excludes 0. Intervals allow for other speakers and for other trainings, of which a baseline has none; "
    "with one training of a network on a side, for other speakers alone, and then one that excludes 0 gives no "
    "verdict. A probe of the deployed model that fails at head and did not at base is a regression whatever the AUC."
)
_ONE_TRAINING = (
    " The interval is over other speakers alone: a side has one training, so how far another seed would move its AUC "
    "is unknown, and the difference may be the luck of the seed. Train two seeds or more of both for a verdict."
)


def review(compared: Comparison, stale: Mapping[str, list[str]], clips: str, gate: str) -> str:
    """The whole review; the sections about clips and about the gate are given."""
    base, head = compared.both
    sections = [
        heading(compared),
        corpus(compared),
        refused(compared),
        _stale(stale),
        verdict_and_metrics(compared),
        models_section(compared),
        probes_section(probed_models(compared)),
        gate,
        _curves(compared),
        "## Parameters",
        _parameters(flat(base.params), flat(head.params)),
        "## Data",
        *(section(base, head) for section in DATA_SECTIONS),
        clips,
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def comparison(compared: Comparison) -> str:
    """Verdict and metrics alone, by the predictions."""
    parts = [
        *(heading(compared), corpus(compared), refused(compared)),
        *(verdict_and_metrics(compared), models_section(compared)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def heading(compared: Comparison) -> str:
    """Which two commits."""
    base, head = compared.both
    return f"# {inert(head.name)} ({head.commit[:8]}) against {inert(base.name)} ({base.commit[:8]})"


def corpus(compared: Comparison) -> str:
    """Whose corpora they are, with the warning that the demo's numbers carry wherever they appear."""
    names = [str(side.params.get("corpus", "?")) for side in compared.both]
    text = f"Corpus: {' -> '.join(map(inert, dict.fromkeys(names)))}"
    return text + (". The demo is SYNTHETIC speech: no number has medical meaning." if "demo" in names else ".")


def refused(compared: Comparison) -> str:
    """Which files of the two commits are not as they must be; empty where all are."""
    lines = [f"- {inert(reason)}" for side in compared.both for reason in side.refused]
    return "\n".join(["## Not readable", "", "The review goes without these files:", "", *lines]) if lines else ""


def _stale(stale: Mapping[str, list[str]]) -> str:
    if not stale:
        return ""
    lines = [f"- {code(stage)}: {'; '.join(reasons)}" for stage, reasons in stale.items()]
    head = "## Stale results\n\nNewer than dvc.lock; `dvc repro`, then commit dvc.lock:\n\n"
    return head + "\n".join(lines[:_N_ROWS]) + _more(len(lines))


def verdict_and_metrics(compared: Comparison) -> str:
    """Regression, improvement or neither, and each metric's difference with its paired interval."""
    found = compared.differences()
    points = compared.points()
    rows = [
        [
            *(name, title(metric)),
            *cells([tree.get(name, {}).get(metric) for tree in points], found.get(name, {}).get(metric)),
        ]
        for name in {**points[0], **points[1], **found}
        for metric in COMPARED
    ]
    percent = 100 * compared.rules.confidence
    head = ["condition", "metric", "base", "head", "difference", f"{percent:g}% paired interval", ""]
    auc = _verdict(compared, found.get(compared.headline, {}).get("auc"))
    words = "\n\n".join(filter(None, [regression(*compared.probes()), auc, deployed(compared)]))
    rules = _RULES.format(confidence=percent, condition=compared.headline)
    return "\n\n".join(["## Verdict", words, "## Metrics", table(head, rows), rules])


def _verdict(compared: Comparison, found: Difference | None) -> str:
    if found is None:
        why = compared.why_not() or f"{compared.headline} was not scored by both"
        return f"No verdict: {inert(why)}. Point estimates only."
    base, head = (clips[compared.headline] for clips in compared.clips())
    return (
        f"**{verdict(found)}**: AUC under `{compared.headline}` {found.difference:+.3f} "
        f"[{found.lo:+.3f}, {found.hi:+.3f}]; {head.n_speakers} test speakers ({head.n_patients} patients), "
        f"{len(head.clips)} clips, {len(base.scores)} and {len(head.scores)} trainings.{_folds(compared.head)}"
        f"{'' if found.over_trainings else _ONE_TRAINING}"
    )


def _folds(side: Side) -> str:
    if side.scheme != "kfold":
        return ""
    n_folds = len(side.params["split"]["folds"])
    words = f"a training is {n_folds} models, and each scores the speakers on whom it was not trained."
    return f" {n_folds}-fold cross-validation: {words}"


def _curves(compared: Comparison) -> str:
    """Both sides' ROC and learning curves, as GitHub draws them: base blue, head red."""
    parts = [part for part in (_roc(compared), _learning(compared)) if part]
    legend = "Base is blue, head is red; where only red shows, the two agree."
    return "\n\n".join(["## Curves", legend, *parts]) if parts else ""


def _roc(compared: Comparison) -> str:
    sides = [clips.get(compared.headline) for clips in compared.clips()]
    lines = {str(i): 100 * mean_roc(side.labels, side.scores)[1][1::5] for i, side in enumerate(sides) if side}
    if len(lines) < 2:
        return ""
    title = f"ROC under {compared.headline}, mean over seeds"
    return chart(title, "controls called patient, %", "patients called patient, %", 100, lines)


def _learning(compared: Comparison) -> str:
    """A chart a network that both sides have, and the lowest loss of each training of either."""
    base, head = (side.losses for side in compared.both)
    if not base or not head:
        return ""
    charts = [_losses(model, base[model], head[model]) for model in base if model in head][:MOST_MODELS]
    rows = [
        [model, training, *(_lowest(side.get(model, {}).get(training)) for side in (base, head))]
        for model in {**base, **head}
        for training in sorted({**base.get(model, {}), **head.get(model, {})}, key=lambda name: (len(name), name))
    ]
    seed = "seed" if compared.head.scheme == "holdout" else "fold-seed"
    columns = ["model", seed, "base: lowest validation loss", "head: lowest validation loss"]
    return "\n\n".join([*filter(None, charts), _table(columns, rows)])


def _losses(model: str, base: Mapping[str, Floats], head: Mapping[str, Floats]) -> str:
    """Empty where no line can be drawn."""
    means = [_mean_loss(base), _mean_loss(head)]
    n_epochs = min(map(len, means))
    if n_epochs < 2 or not np.isfinite([*means[0], *means[1]]).all():
        return ""
    title = f"Validation loss, mean over seeds, epochs 0 to {n_epochs - 1}"
    lines = {str(i): mean[:n_epochs] for i, mean in enumerate(means)}
    return f"{code(model)}:\n\n{chart(title, 'epoch', 'loss', n_epochs - 1, lines)}"


def _lowest(losses: Floats | None) -> str:
    return "–" if losses is None else f"{losses.min():.4f} after epoch {int(np.argmin(losses))}"


def _mean_loss(losses: Mapping[str, Floats]) -> Floats:
    """Over the epochs that every seed has."""
    n_epochs = min(map(len, losses.values()))
    return np.asarray(np.mean([curve[:n_epochs] for curve in losses.values()], axis=0))


def _parameters(base: Mapping[str, Any], head: Mapping[str, Any]) -> str:
    absent = object()
    keys = [key for key in {**base, **head} if base.get(key, absent) != head.get(key, absent)]
    return _table(["parameter", "base", "head"], [[key, base.get(key, "–"), head.get(key, "–")] for key in keys])


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return table(head, rows[:_N_ROWS]) + _more(len(rows))


def _more(n_rows: int) -> str:
    return f"\n\nAnd {n_rows - _N_ROWS} more." if n_rows > _N_ROWS else ""


def changed_paths(base: Side, head: Side) -> str:
    """Every output and corpus whose hash differs."""
    before, after = base.data, head.data
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    rows = [[path, before.get(path, "–")[:8], after.get(path, "–")[:8]] for path in paths]
    return _table(["path", "base", "head"], rows)


def changed_subsets(base: Side, head: Side) -> str:
    """Every count of speakers and clips that differs; empty where none does."""
    before, after = base.subsets, head.subsets
    cells = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    rows = [[*key, before.get(key, "–"), after.get(key, "–")] for key in cells]
    return "Subsets:\n\n" + _table(["subset", "count", "base", "head"], rows) if rows else ""


# What the review says of data, in this order: (base, head) -> Markdown, empty where there is nothing to say.
DATA_SECTIONS: tuple[Callable[[Side, Side], str], ...] = (changed_paths, changed_subsets)
