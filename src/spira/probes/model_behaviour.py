"""What does the model follow? Its scores under noise, over other people's ward noise, and in other forms."""

from collections.abc import Callable

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import auc
from spira.probes.intervals import Measure, auc_of, estimates, less, mean_of, shown
from spira.probes.matched_pairs import matched_pairs
from spira.probes.missing_values import absent, lacks, unreadable
from spira.probes.shortcut_models import fitted, models
from spira.probes.study import Fold, Found, Heard, ProbeParams, Study, Verdict, too_few

DROP = (
    "fails where the whole interval of the AUC's fall lies above {max_drop:g}; "
    "warns where the whole interval lies above 0"
)
SHIFT = (
    "fails where the whole interval of the scores' mean absolute change lies above {max_shift:g}; "
    "warns where some of it does"
)
PERMUTED = (
    "passes where 0.5 is within two standard errors of the mean over {n_shuffles} shuffles; otherwise warns, "
    "and fails where the mean is more than {max_permuted:g} above 0.5"
)
MATCHED = (
    "fails where the AUC falls from everybody to the matched pairs by an interval that excludes 0; warns where it "
    "falls by more than {max_drop:g}"
)


def noise_conditions(study: Study, p: ProbeParams) -> Found:
    """From clean clips to the same noise on all, and on the controls alone, whatever the model was trained with."""
    if "noise_added" not in study.heard:
        return Found("not run", "not run: no clip was scored with noise added")
    added = study.heard["noise_added"]
    if few := too_few(study, added.clips, p):
        return few
    clean = _clean(study, added.clips)
    of_controls = Heard(added.clips, np.where(study.labels[added.clips] == 0, added.scores, clean.scores))
    found: dict[str, float] = {}
    for name, heard in (("on_all", added), ("on_controls", of_controls)):
        found |= {f"{name}_{key}": value for key, value in _fall(study, clean, heard, p).items()}
    why = (
        f"the AUC falls by {shown(found, 'on_all_drop', '+')} where noise is on all and by "
        f"{shown(found, 'on_controls_drop', '+')} where it is on the controls alone; patients' scores move by "
        f"{shown(found, 'on_all_patients_shift', '+')}, controls' by {shown(found, 'on_all_controls_shift', '+')}"
    )
    return Found(_by_drop(max(found["on_all_drop_lo"], found["on_controls_drop_lo"]), p), why, found)


def _clean(study: Study, clips: Ints) -> Heard:
    """What was said of these clips as they are."""
    clean = study.heard["clean"]
    return Heard(clips, clean.scores[:, np.searchsorted(clean.clips, clips)])


def ward_noise_swap(study: Study, p: ProbeParams) -> Found:
    """From the background of somebody of the same class to that of somebody of the other."""
    if not {"own_class_noise", "other_class_noise"} <= study.heard.keys():
        return Found("not run", "not run: no clip was scored with another's background")
    own, other = study.heard["own_class_noise"], study.heard["other_class_noise"]
    if few := too_few(study, own.clips, p):
        return few
    found = _fall(study, own, other, p)
    why = (
        f"with the background of the other class the AUC falls by {shown(found, 'drop', '+')}, from "
        f"{shown(found, 'before')} with that of another speaker of the same class; patients' scores move by "
        f"{shown(found, 'patients_shift', '+')}, controls' by {shown(found, 'controls_shift', '+')}"
    )
    return Found(_by_drop(found["drop_lo"], p), why, found)


def _by_drop(drop_lo: float, p: ProbeParams) -> Verdict:
    """By ``DROP``."""
    if drop_lo > p.max_drop:
        return "fail"
    return "warn" if drop_lo > 0 else "pass"


def _fall(study: Study, before: Heard, after: Heard, p: ProbeParams) -> dict[str, float]:
    """``before``, ``after``, ``drop`` of the AUC, and how far each class's scores move, each with its interval."""
    labels = study.labels[before.clips]
    first, second = auc_of(labels, before.scores), auc_of(labels, after.scores)
    moved = after.scores - before.scores
    differences = {
        "drop": less(first, second),
        "patients_shift": mean_of(moved, labels == 1),
        "controls_shift": mean_of(moved, labels == 0),
    }
    return estimates(study, before.clips, p, shares={"before": first, "after": second}, differences=differences)


def invariance(alteration: str) -> Callable[[Study, ProbeParams], Found]:
    """The probe of one alteration that says nothing about the speaker."""

    def probe(study: Study, p: ProbeParams) -> Found:
        if alteration not in study.heard:
            return Found("not run", f"not run: no clip was scored with the alteration `{alteration}`")
        after = study.heard[alteration]
        if few := too_few(study, after.clips, p):
            return few
        before = _clean(study, after.clips)
        shift = mean_of(np.abs(after.scores - before.scores), np.ones(after.clips.size, dtype=np.bool_))
        found = _fall(study, before, after, p) | estimates(study, after.clips, p, differences={"shift": shift})
        why = (
            f"scores move by {shown(found, 'shift')} on average, patients' by {shown(found, 'patients_shift', '+')} "
            f"and controls' by {shown(found, 'controls_shift', '+')}; the AUC falls by {shown(found, 'drop', '+')}"
        )
        return Found(shift_verdict(found["shift_lo"], found["shift_hi"], p), why, found)

    return probe


def shift_verdict(lo: float, hi: float, p: ProbeParams) -> Verdict:
    """By ``SHIFT``."""
    if lo > p.max_shift:
        return "fail"
    return "warn" if hi > p.max_shift else "pass"


def label_permutation(study: Study, p: ProbeParams) -> Found:
    """A cheap model of every statistic of the sound, taught and judged with labels that are shuffled over speakers."""
    if few := too_few(study, study.judged, p):
        return few
    x = np.concatenate([study.sound[kind] for kind in sorted(study.sound)], axis=1)
    learner = next(models(p))
    aucs = []
    for shuffle in range(p.n_shuffles):
        scores, labels = np.zeros(study.labels.size), study.labels
        for number, fold in enumerate(study.folds):
            labels = shuffled(study, fold, np.random.default_rng([p.seed, shuffle, number]))
            scores[fold.test] = fitted(learner, x[fold.fit], labels[fold.fit])(x[fold.test])
            aucs.append(float(auc(labels[fold.test], scores[fold.test])))
    of_shuffles = np.reshape(aucs, (p.n_shuffles, len(study.folds))).mean(axis=1)
    mean, error = float(of_shuffles.mean()), float(of_shuffles.std(ddof=1) / np.sqrt(p.n_shuffles))
    numbers = {"auc": mean, "auc_lo": mean - 2 * error, "auc_hi": mean + 2 * error, "standard_error": error}
    why = (
        f"with shuffled labels the AUC is {mean:.3f} on average, {abs(mean - 0.5) / max(error, 1e-9):.1f} standard "
        "errors from 0.5"
    )
    return Found(permuted_verdict(mean, error, p), why, numbers)


def permuted_verdict(mean: float, error: float, p: ProbeParams) -> Verdict:
    """By ``PERMUTED``."""
    if abs(mean - 0.5) <= 2 * error:
        return "pass"
    return "fail" if mean - 0.5 > p.max_permuted else "warn"


def shuffled(study: Study, fold: Fold, rng: np.random.Generator) -> Ints:
    """Labels shuffled over the speakers who teach, and apart from them over those who judge, shape (n_clips,).

    Apart, because one shuffle over all would make test patients of those whom it spared in training, and pull the
    AUC below 0.5. Somebody who is in both keeps one label, so that a leak between the two is seen.
    """
    of = dict(zip(study.speakers, study.labels.tolist(), strict=True))
    teachers = sorted({study.speakers[i] for i in np.flatnonzero(fold.fit)})
    others = sorted({study.speakers[i] for i in np.flatnonzero(fold.test)} - set(teachers))
    new = dict(of)
    for members in (teachers, others):
        new |= dict(zip(members, rng.permutation([of[who] for who in members]).tolist(), strict=True))
    return np.array([new[who] for who in study.speakers])


def matched(study: Study, p: ProbeParams) -> Found:
    """The headline metric again where every patient judged has a control like them."""
    wanted = (*p.match_exactly, "age")
    if wrong := unreadable(study, wanted):
        return wrong
    unknown, missing = lacks(study, wanted), absent(study, wanted)
    if "age" in missing:
        return Found("not run", f"not run: {unknown}")
    if few := too_few(study, study.judged, p):
        return few
    pairs = matched_pairs(study, [name for name in p.match_exactly if name not in missing], p.caliper_years)
    if len(pairs) < p.min_pairs:
        why = f"not run: {len(pairs)} matched pairs in the test set, and {p.min_pairs} are needed"
        return Found("not run", f"{why}; {unknown}" if unknown else why)
    found = _matched(study, {who for pair in pairs for who in pair}, p)
    found["n_pairs"] = len(pairs)
    alike = ", ".join(name for name in wanted if name not in missing)
    why = (
        f"among {len(pairs)} pairs of a patient and a control alike in {alike} the AUC is "
        f"{shown(found, 'auc')}, a fall of {shown(found, 'drop', '+')} from {shown(found, 'model_auc')} "
        "for everybody"
    )
    why = f"{unknown}; {why}" if unknown else why
    verdict = "fail" if found["drop_lo"] > 0 else "warn" if found["drop"] > p.max_drop else "pass"
    if missing and verdict == "pass":
        return Found("not run", f"not run: {why}", found)
    return Found(verdict, why, found)  # type: ignore[arg-type]


def _matched(study: Study, members: set[str], p: ProbeParams) -> dict[str, float]:
    clips, heard = study.judged, study.heard[p.condition]
    labels, own = study.labels[clips], np.array([study.speakers[i] in members for i in clips])

    def among_pairs(weights: Floats | None) -> Floats:
        counted = np.broadcast_to(own.astype(np.float64), own.shape) if weights is None else weights * own
        return np.stack([auc(labels, of_seed, counted) for of_seed in heard.scores])

    everybody: Measure = auc_of(labels, heard.scores)
    shares: dict[str, Measure] = {"auc": among_pairs, "model_auc": everybody}
    return estimates(study, clips, p, shares=shares, differences={"drop": less(everybody, among_pairs)})
