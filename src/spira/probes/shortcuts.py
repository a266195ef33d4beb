"""What could be predicted without hearing any breath? One probe a kind of shortcut."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import polars as pl

from spira.base.array_types import Floats
from spira.probes.intervals import auc_measure, difference, estimates, shown
from spira.probes.missing_values import empty_columns, may_hide_a_shortcut, unknown_values, unreadable
from spira.probes.shortcut_models import calendar, out_of_fold, typed
from spira.probes.study import Answer, Finding, ProbeParams, Scores, Study, Verdict, same_for_all, too_few

RULE = (
    "fails if the simple model's AUC is above {shortcut_auc:g} (whole interval) and the trained model's AUC under "
    "`{condition}` is not shown to be higher (interval of the difference not wholly above 0); warns if the simple "
    "model's AUC is above 0.5 (whole interval)"
)
DURATION = (
    "never fails, for a slower speaker takes longer; warns if the simple model's AUC is above {shortcut_auc:g} (whole "
    "interval) and the trained model's AUC under `{condition}` is not shown to be higher (interval of the difference "
    "not wholly above 0)"
)
Rule = Callable[[Mapping[str, float], ProbeParams], Verdict]
HEADER = ("source_sample_rate", "container", "encoding", "n_channels", "n_bytes")
LENGTH = "n_samples"
_SPOKEN = {
    "n_samples": "the duration",
    "source_sample_rate": "sample rate",
    "n_channels": "channels",
    "n_bytes": "bytes a sample",
    "recorded_on": "the recording date",
}


def shortcut(study: Study, table: pl.DataFrame, name: str, p: ProbeParams, rule: Rule) -> Answer:
    """The simple models of ``table``, a row a clip, fitted once, against each trained model on the same people."""
    if few := too_few(study, study.test_clips, p):
        return same_for_all(few)
    simple = out_of_fold(table, study.labels, study.speakers, study.folds, p)
    return partial(_against, study, simple, name, p, rule)


def _against(study: Study, simple: Floats, name: str, p: ProbeParams, rule: Rule, scores: Scores) -> Finding:
    clips = study.test_clips
    labels = study.labels[clips]
    shortcut_auc, model_auc = auc_measure(labels, simple[None]), auc_measure(labels, scores[p.condition].scores)
    shares, lead = {"auc": shortcut_auc, "model_auc": model_auc}, difference(model_auc, shortcut_auc)
    found = estimates(study, clips, p, shares=shares, differences={"lead": lead})
    verdict = rule(found, p)
    doubt = ", so it may have learnt nothing else" if verdict == "fail" else ""
    why = (
        f"a simple model of {name} alone separates patients from controls with AUC {shown(found, 'auc')}; the trained "
        f"model with AUC {shown(found, 'model_auc')}, a difference of {shown(found, 'lead', '+')}{doubt}"
    )
    return Finding(verdict, why, found)


def shortcut_verdict(found: Mapping[str, float], p: ProbeParams) -> Verdict:
    """The verdict by ``RULE``."""
    if _unbeaten(found, p):
        return "fail"
    return "warn" if found["auc_lo"] > 0.5 else "pass"


def duration_verdict(found: Mapping[str, float], p: ProbeParams) -> Verdict:
    """The verdict by ``DURATION``."""
    return "warn" if _unbeaten(found, p) else "pass"


def _unbeaten(found: Mapping[str, float], p: ProbeParams) -> bool:
    """Whether the simple model separates the classes, and the trained one is not shown to do so better."""
    return found["auc_lo"] > p.shortcut_auc and not found["lead_lo"] > 0


def metadata(study: Study, p: ProbeParams) -> Answer:
    """Can the speaker's metadata alone separate the classes? Unknown values are not cleared."""
    return _columns(study, p.metadata, typed, p)


def recording_date(study: Study, p: ProbeParams) -> Answer:
    """Can the day of the recording alone separate the classes?"""
    return _columns(study, ("recorded_on",), lambda known: calendar(known["recorded_on"]), p)


def file_header(study: Study, p: ProbeParams) -> Answer:
    """Can the file's format alone separate the classes? How long the recording is has a probe of its own."""
    return _columns(study, HEADER, partial(_formats, study), p)


def _log_length(known: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    lengths = typed(known)[LENGTH].cast(pl.Float64).to_numpy()
    return pl.DataFrame(pl.Series(LENGTH, np.log(lengths)).fill_nan(None))


def duration(study: Study, p: ProbeParams) -> Answer:
    """Can the duration alone separate the classes? It may be a symptom, and the sentence says so."""
    answer = _columns(study, (LENGTH,), _log_length, p, duration_verdict)

    def found(scores: Scores) -> Finding:
        plain = answer(scores)
        if not plain.numbers:
            return plain
        return plain._replace(why=f"{plain.why}; a slower speaker takes longer, so the duration may be a symptom")

    return found


def _formats(study: Study, known: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """The columns of the header, in which the file's size stands for its bytes a sample.

    The size itself is the duration over again, and even the bytes a sample of a WAV file are so in their last digits,
    by the few bytes before the first sample. So they are rounded, on a scale of logarithms: 8, 16, 24 and 32 bits, or
    a codec at half the rate, differ by a step at least.
    """
    table, blank = typed(known), [""] * study.labels.size
    counts = ("n_bytes", LENGTH, "source_sample_rate", "n_channels")
    of_file = typed({name: study.columns.get(name) or blank for name in counts}).cast(pl.Float64)
    n_samples = pl.col(LENGTH) * pl.col("source_sample_rate") / study.sample_rate * pl.col("n_channels")
    bytes_a_sample = of_file.select(pl.col("n_bytes") / n_samples).to_series()
    columns = {
        "n_bytes": np.round(2 * np.log2(bytes_a_sample.to_numpy())) / 2,
        "source_sample_rate": np.log(of_file["source_sample_rate"].to_numpy()),
    }
    return table.with_columns(
        pl.Series(name, column).fill_nan(None) for name, column in columns.items() if name in known
    )


def _columns(
    study: Study,
    names: Sequence[str],
    table: Callable[[Mapping[str, Sequence[str]]], pl.DataFrame],
    p: ProbeParams,
    rule: Rule = shortcut_verdict,
) -> Answer:
    """The shortcut through what is known of some columns, and what is not."""
    if wrong := unreadable(study, names):
        return same_for_all(wrong)
    unknown, empty = unknown_values(study, names), empty_columns(study, names)
    known = {name: study.columns[name] for name in names if name not in empty}
    if not known:
        return same_for_all(Finding("not run", f"not run: {unknown}"))
    answer = shortcut(study, table(known), _listed(list(known)), p, rule)
    uncleared = may_hide_a_shortcut(study, names, p)

    def found(scores: Scores) -> Finding:
        plain = answer(scores)
        verdict = "not run" if plain.verdict == "pass" and uncleared else plain.verdict
        return Finding(verdict, f"{unknown}; {plain.why}" if unknown else plain.why, plain.numbers)

    return found


def _listed(columns: Sequence[str]) -> str:
    *first, last = [_SPOKEN.get(name, name.replace("_", " ")) for name in columns]
    return f"{', '.join(first)} and {last}" if first else last


def sound_shortcut(kind: str, name: str) -> Callable[[Study, ProbeParams], Answer]:
    """The probe of one kind of ``sound_statistics``."""
    return lambda study, p: shortcut(study, pl.DataFrame(study.sound[kind]), name, p, shortcut_verdict)
