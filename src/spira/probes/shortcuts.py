"""What could be predicted without hearing any breath? One probe a kind of shortcut."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from spira.base.array_types import Floats
from spira.probes.intervals import auc_of, estimates, less, shown
from spira.probes.missing_values import absent, lacks, may_hide_a_shortcut, unreadable
from spira.probes.shortcut_models import calendar, matrix, out_of_fold
from spira.probes.study import Found, ProbeParams, Study, Verdict, too_few

RULE = (
    "fails where the whole interval of the shortcut's AUC lies above {shortcut_auc:g} and the model, under "
    "`{condition}`, is not better by an interval that excludes 0; warns where the interval lies above 0.5"
)
HEADER = ("n_samples", "source_sample_rate", "container", "encoding", "n_channels", "n_bytes")


def judged_shortcut(study: Study, x: Floats, name: str, p: ProbeParams) -> Found:
    """The cheap models on the rows of ``x``, (n_clips, n_columns), against the model on the same people."""
    clips = study.judged
    if few := too_few(study, clips, p):
        return few
    labels = study.labels[clips]
    shortcut = auc_of(labels, out_of_fold(x, study.labels, study.speakers, study.folds, p)[None])
    model = auc_of(labels, study.heard[p.condition].scores)
    found = estimates(
        study, clips, p, shares={"auc": shortcut, "model_auc": model}, differences={"lead": less(model, shortcut)}
    )
    verdict = shortcut_verdict(found, p)
    doubt = ", so it may know no more than that" if verdict == "fail" else ""
    why = (
        f"{name} alone: AUC {shown(found, 'auc')}; the model: {shown(found, 'model_auc')}, a lead of "
        f"{shown(found, 'lead', '+')}{doubt}"
    )
    return Found(verdict, why, found)


def shortcut_verdict(found: Mapping[str, float], p: ProbeParams) -> Verdict:
    """By ``RULE``."""
    if found["auc_lo"] > p.shortcut_auc and not found["lead_lo"] > 0:
        return "fail"
    return "warn" if found["auc_lo"] > 0.5 else "pass"


def metadata(study: Study, p: ProbeParams) -> Found:
    """Who it is; what is not known cannot be cleared."""
    return _of_columns(study, p.metadata, lambda known: known, p)


def recording_date(study: Study, p: ProbeParams) -> Found:
    """When it was recorded."""
    return _of_columns(study, ("recorded_on",), lambda known: calendar(known["recorded_on"]), p)


def file_header(study: Study, p: ProbeParams) -> Found:
    """How the file was stored: lengths and sizes by their logarithms."""
    return _of_columns(study, HEADER, _logarithms, p)


def _logarithms(known: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    sizes = ("n_samples", "source_sample_rate", "n_bytes")
    columns = {name: list(cells) for name, cells in known.items()}
    for name in sizes:
        columns[name] = [str(np.log(float(cell))) if cell else "" for cell in columns.get(name, [])]
    if all(columns[name] for name in sizes):
        pairs = zip(columns["n_bytes"], columns["n_samples"], strict=True)
        columns["rate"] = [str(float(size) - float(time)) if size and time else "" for size, time in pairs]
    return {name: cells for name, cells in columns.items() if cells}


def _of_columns(
    study: Study,
    names: Sequence[str],
    prepared: Callable[[Mapping[str, Sequence[str]]], Mapping[str, Sequence[str]]],
    p: ProbeParams,
) -> Found:
    if wrong := unreadable(study, names):
        return wrong
    unknown, missing = lacks(study, names), absent(study, names)
    known = {name: study.columns[name] for name in names if name not in missing}
    if not known:
        return Found("not run", f"not run: {unknown}")
    found = judged_shortcut(study, matrix(prepared(known)), _listed(list(known)), p)
    why = f"{unknown}; {found.why}" if unknown else found.why
    if found.verdict == "pass" and may_hide_a_shortcut(study, names, p):  # what is not known cannot be cleared
        return Found("not run", why, found.numbers)
    return Found(found.verdict, why, found.numbers)


def _listed(names: Sequence[str]) -> str:
    said = [
        name.replace("_", " ").replace("n samples", "duration").replace("n bytes", "size").replace("n ch", "ch")
        for name in names
    ]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def of_sound(kind: str, name: str) -> Callable[[Study, ProbeParams], Found]:
    """The probe of one kind of statistics of the sound."""

    def probe(study: Study, p: ProbeParams) -> Found:
        return judged_shortcut(study, study.sound[kind], name, p)

    return probe
