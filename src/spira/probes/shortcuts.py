"""What could be predicted without hearing any breath? One probe a kind of shortcut."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from spira.probes.intervals import auc_measure, difference, estimates, shown
from spira.probes.missing_values import empty_columns, may_hide_a_shortcut, unknown_values, unreadable
from spira.probes.shortcut_models import calendar, out_of_fold, typed
from spira.probes.study import Finding, ProbeParams, Study, Verdict, too_few

RULE = (
    "fails if the simple model's AUC is above {shortcut_auc:g} (whole interval) and the trained model's AUC under "
    "`{condition}` is not shown to be higher (interval of the difference not wholly above 0); warns if the simple "
    "model's AUC is above 0.5 (whole interval)"
)
HEADER = ("n_samples", "source_sample_rate", "container", "encoding", "n_channels", "n_bytes")
_SPOKEN = {
    "n_samples": "duration",
    "source_sample_rate": "sample rate",
    "n_channels": "channels",
    "n_bytes": "size",
    "recorded_on": "the recording date",
}


def shortcut_finding(study: Study, table: pl.DataFrame, name: str, p: ProbeParams) -> Finding:
    """The simple models of ``table``, a row a clip, against the trained model on the same people."""
    clips = study.test_clips
    if few := too_few(study, clips, p):
        return few
    labels = study.labels[clips]
    shortcut = auc_measure(labels, out_of_fold(table, study.labels, study.speakers, study.folds, p)[None])
    model = auc_measure(labels, study.scores[p.condition].scores)
    lead = difference(model, shortcut)
    found = estimates(study, clips, p, shares={"auc": shortcut, "model_auc": model}, differences={"lead": lead})
    verdict = shortcut_verdict(found, p)
    doubt = ", so it may have learnt nothing else" if verdict == "fail" else ""
    why = (
        f"a simple model of {name} alone separates patients from controls with AUC {shown(found, 'auc')}; the trained "
        f"model with AUC {shown(found, 'model_auc')}, a difference of {shown(found, 'lead', '+')}{doubt}"
    )
    return Finding(verdict, why, found)


def shortcut_verdict(found: Mapping[str, float], p: ProbeParams) -> Verdict:
    """The verdict by ``RULE``."""
    if found["auc_lo"] > p.shortcut_auc and not found["lead_lo"] > 0:
        return "fail"
    return "warn" if found["auc_lo"] > 0.5 else "pass"


def metadata(study: Study, p: ProbeParams) -> Finding:
    """Can the speaker's metadata alone separate the classes? Unknown values are not cleared."""
    return _columns_finding(study, p.metadata, typed, p)


def recording_date(study: Study, p: ProbeParams) -> Finding:
    """Can the day of the recording alone separate the classes?"""
    return _columns_finding(study, ("recorded_on",), lambda known: calendar(known["recorded_on"]), p)


def file_header(study: Study, p: ProbeParams) -> Finding:
    """Can the file's format alone separate the classes? Lengths and sizes by their logarithms."""
    return _columns_finding(study, HEADER, _logarithms, p)


def _logarithms(known: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    table = typed(known)
    sizes = [name for name in ("n_samples", "source_sample_rate", "n_bytes") if name in known]
    table = table.with_columns(
        pl.Series(name, np.log(table[name].cast(pl.Float64).to_numpy())).fill_nan(None) for name in sizes
    )
    if {"n_samples", "n_bytes"} <= known.keys():
        table = table.with_columns(rate=pl.col("n_bytes") - pl.col("n_samples"))
    return table


def _columns_finding(
    study: Study, names: Sequence[str], table: Callable[[Mapping[str, Sequence[str]]], pl.DataFrame], p: ProbeParams
) -> Finding:
    if wrong := unreadable(study, names):
        return wrong
    unknown, empty = unknown_values(study, names), empty_columns(study, names)
    known = {name: study.columns[name] for name in names if name not in empty}
    if not known:
        return Finding("not run", f"not run: {unknown}")
    found = shortcut_finding(study, table(known), _listed(list(known)), p)
    why = f"{unknown}; {found.why}" if unknown else found.why
    if found.verdict == "pass" and may_hide_a_shortcut(study, names, p):  # what is unknown cannot be cleared
        return Finding("not run", why, found.numbers)
    return Finding(found.verdict, why, found.numbers)


def _listed(columns: Sequence[str]) -> str:
    *first, last = [_SPOKEN.get(name, name.replace("_", " ")) for name in columns]
    return f"{', '.join(first)} and {last}" if first else last


def sound_shortcut(kind: str, name: str) -> Callable[[Study, ProbeParams], Finding]:
    """The probe of one kind of ``sound_statistics``."""

    def probe(study: Study, p: ProbeParams) -> Finding:
        return shortcut_finding(study, pl.DataFrame(study.sound[kind]), name, p)

    return probe
