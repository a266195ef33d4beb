"""What does a model rely on? Its scores under added noise, other speakers' ward noise, and harmless changes."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import auc
from spira.probes.intervals import Measure, auc_measure, difference, estimates, mean_measure, shown
from spira.probes.matched_pairs import matched_pairs
from spira.probes.missing_values import empty_columns, unknown_values, unreadable
from spira.probes.shortcut_models import models, scaled
from spira.probes.study import (
    Answer,
    Finding,
    Fold,
    ModelScores,
    ProbeParams,
    Scores,
    Study,
    Verdict,
    same_for_all,
    too_few,
)

DROP = "fails if the AUC drops by more than {max_drop:g} (whole interval); warns if it drops (whole interval above 0)"
SHIFT = (
    "fails if the mean absolute change of the scores is above {max_shift:g} (whole interval); warns if the interval "
    "reaches above it"
)
PERMUTED = (
    "passes if 0.5 is within two standard errors of the mean AUC over {n_shuffles} shuffles; otherwise warns, and "
    "fails if the mean is more than {max_permuted:g} above 0.5"
)
MATCHED = (
    "fails if the AUC drops from all speakers to the matched pairs (whole interval above 0); warns if it drops by more "
    "than {max_drop:g}"
)


def noise_conditions(study: Study, p: ProbeParams) -> Answer:
    """Does the AUC drop when noise is added to all clean clips, or to the controls alone?"""
    return partial(_noise_conditions, study, p)


def _noise_conditions(study: Study, p: ProbeParams, scores: Scores) -> Finding:
    if "noise_added" not in scores:
        return Finding("not run", "not run: no clip was scored with noise added")
    added = scores["noise_added"]
    if few := too_few(study, added.clips, p):
        return few
    clean = _clean(scores, added.clips)
    controls_only = np.where(study.labels[added.clips] == 0, added.scores, clean.scores)
    found: dict[str, float] = {}
    for name, noisy in (("on_all", added), ("on_controls", ModelScores(added.clips, controls_only))):
        found |= {f"{name}_{key}": value for key, value in _change(study, clean, noisy, p).items()}
    why = (
        f"drop of the AUC with noise on all clips {shown(found, 'on_all_drop', '+')}, with noise on the controls only "
        f"{shown(found, 'on_controls_drop', '+')}; mean change of the scores: patients "
        f"{shown(found, 'on_all_patients_shift', '+')}, controls {shown(found, 'on_all_controls_shift', '+')}"
    )
    return Finding(_by_drop(max(found["on_all_drop_lo"], found["on_controls_drop_lo"]), p), why, found)


def _clean(scores: Scores, clips: Ints) -> ModelScores:
    """The scores of these clips without any change."""
    clean = scores["clean"]
    return ModelScores(clips, clean.scores[:, np.searchsorted(clean.clips, clips)])


def ward_noise_swap(study: Study, p: ProbeParams) -> Answer:
    """Does the AUC drop when the background of a same-class speaker is replaced by one of the other class?"""
    return partial(_ward_noise_swap, study, p)


def _ward_noise_swap(study: Study, p: ProbeParams, scores: Scores) -> Finding:
    if not {"own_class_noise", "other_class_noise"} <= scores.keys():
        return Finding("not run", "not run: no clip was scored with another speaker's background")
    own, other = scores["own_class_noise"], scores["other_class_noise"]
    if few := too_few(study, own.clips, p):
        return few
    found = _change(study, own, other, p)
    why = (
        f"the AUC is {shown(found, 'before')} with the background of another speaker of the same class and "
        f"{shown(found, 'after')} with that of a speaker of the other class, a drop of {shown(found, 'drop', '+')}; "
        f"mean change of the scores: patients {shown(found, 'patients_shift', '+')}, controls "
        f"{shown(found, 'controls_shift', '+')}"
    )
    return Finding(_by_drop(found["drop_lo"], p), why, found)


def _by_drop(drop_lo: float, p: ProbeParams) -> Verdict:
    """The verdict by ``DROP``."""
    if drop_lo > p.max_drop:
        return "fail"
    return "warn" if drop_lo > 0 else "pass"


def _change(study: Study, before: ModelScores, after: ModelScores, p: ProbeParams) -> dict[str, float]:
    """``before``, ``after`` and ``drop`` of the AUC, and the mean change of each class's scores, with intervals."""
    labels = study.labels[before.clips]
    first, second = auc_measure(labels, before.scores), auc_measure(labels, after.scores)
    moved = after.scores - before.scores
    differences = {
        "drop": difference(first, second),
        "patients_shift": mean_measure(moved, labels == 1),
        "controls_shift": mean_measure(moved, labels == 0),
    }
    return estimates(study, before.clips, p, shares={"before": first, "after": second}, differences=differences)


def invariance(alteration: str) -> Callable[[Study, ProbeParams], Answer]:
    """The probe of one alteration that changes nothing about the speaker."""
    return lambda study, p: partial(_invariance, alteration, study, p)


def _invariance(alteration: str, study: Study, p: ProbeParams, scores: Scores) -> Finding:
    if alteration not in scores:
        return Finding("not run", f"not run: no clip was scored with the alteration `{alteration}`")
    after = scores[alteration]
    if few := too_few(study, after.clips, p):
        return few
    before = _clean(scores, after.clips)
    shift = mean_measure(np.abs(after.scores - before.scores), np.ones(after.clips.size, dtype=np.bool_))
    found = _change(study, before, after, p) | estimates(study, after.clips, p, differences={"shift": shift})
    why = (
        f"mean absolute change of the scores {shown(found, 'shift')}; mean change: patients "
        f"{shown(found, 'patients_shift', '+')}, controls {shown(found, 'controls_shift', '+')}; drop of the AUC "
        f"{shown(found, 'drop', '+')}"
    )
    return Finding(shift_verdict(found["shift_lo"], found["shift_hi"], p), why, found)


def shift_verdict(lo: float, hi: float, p: ProbeParams) -> Verdict:
    """The verdict by ``SHIFT``."""
    if lo > p.max_shift:
        return "fail"
    return "warn" if hi > p.max_shift else "pass"


def label_permutation(study: Study, p: ProbeParams) -> Answer:
    """Is the AUC of a simple model of all sound statistics at chance when labels are shuffled over speakers?"""
    return same_for_all(_label_permutation(study, p))


def _label_permutation(study: Study, p: ProbeParams) -> Finding:
    if few := too_few(study, study.test_clips, p):
        return few
    x = np.concatenate([study.sound[kind] for kind in sorted(study.sound)], axis=1)
    model = scaled(next(models(p)))
    aucs = np.empty((p.n_shuffles, len(study.folds)))
    for shuffle, number in np.ndindex(aucs.shape):
        fold = study.folds[number]
        labels = shuffled(study, fold, np.random.default_rng([p.seed, shuffle, number]))
        scores = model.fit(x[fold.fit], labels[fold.fit]).predict_proba(x[fold.test])[:, 1]
        aucs[shuffle, number] = auc(labels[fold.test], scores)
    means = aucs.mean(axis=1)
    mean, error = float(means.mean()), float(means.std(ddof=1) / np.sqrt(p.n_shuffles))
    numbers = {"auc": mean, "auc_lo": mean - 2 * error, "auc_hi": mean + 2 * error, "standard_error": error}
    why = (
        f"with shuffled labels the mean AUC is {mean:.3f}, {abs(mean - 0.5) / max(error, 1e-9):.1f} standard errors "
        "from 0.5"
    )
    return Finding(permuted_verdict(mean, error, p), why, numbers)


def permuted_verdict(mean: float, error: float, p: ProbeParams) -> Verdict:
    """The verdict by ``PERMUTED``."""
    if abs(mean - 0.5) <= 2 * error:
        return "pass"
    return "fail" if mean - 0.5 > p.max_permuted else "warn"


def shuffled(study: Study, fold: Fold, rng: np.random.Generator) -> Ints:
    """Labels shuffled over the fold's training speakers, and separately over its test speakers, shape (n_clips,).

    Separately, because one shuffle over all would make test patients of those whom it spared in training, and pull the
    AUC below 0.5. A speaker who is on both sides keeps one label, so that a leak between the two is seen.
    """
    labels = dict(zip(study.speakers, study.labels.tolist(), strict=True))
    train = sorted({study.speakers[i] for i in np.flatnonzero(fold.fit)})
    test = sorted({study.speakers[i] for i in np.flatnonzero(fold.test)} - set(train))
    new = dict(labels)
    for members in (train, test):
        permuted = rng.permutation([labels[speaker] for speaker in members]).tolist()
        new |= dict(zip(members, permuted, strict=True))
    return np.array([new[speaker] for speaker in study.speakers])


def matched(study: Study, p: ProbeParams) -> Answer:
    """Does the AUC hold among matched pairs, in which every patient has a control of the same age, sex and site?"""
    wanted = (*p.match_exactly, "age")
    if wrong := unreadable(study, wanted):
        return same_for_all(wrong)
    unknown, empty = unknown_values(study, wanted), empty_columns(study, wanted)
    if "age" in empty:
        return same_for_all(Finding("not run", f"not run: {unknown}"))
    if few := too_few(study, study.test_clips, p):
        return same_for_all(few)
    alike = [name for name in wanted if name not in empty]
    pairs = matched_pairs(study, [name for name in alike if name != "age"], p.caliper_years)
    if len(pairs) < p.min_pairs:
        why = f"not run: {len(pairs)} matched pairs in the test set, and {p.min_pairs} are needed"
        return same_for_all(Finding("not run", f"{why}; {unknown}" if unknown else why))
    members = {who for pair in pairs for who in pair}

    def found(scores: Scores) -> Finding:
        numbers = {**_among_pairs(study, members, p, scores), "n_pairs": len(pairs)}
        why = (
            f"among {len(pairs)} pairs of a patient and a control alike in {', '.join(alike)} the AUC is "
            f"{shown(numbers, 'auc')}, a drop of {shown(numbers, 'drop', '+')} from {shown(numbers, 'model_auc')} for "
            "all speakers"
        )
        verdict = matched_verdict(numbers, p)
        if verdict == "pass" and empty:
            return Finding("not run", f"not run: {unknown}; {why}", numbers)
        return Finding(verdict, f"{unknown}; {why}" if unknown else why, numbers)

    return found


def matched_verdict(found: Mapping[str, float], p: ProbeParams) -> Verdict:
    """The verdict by ``MATCHED``."""
    if found["drop_lo"] > 0:
        return "fail"
    return "warn" if found["drop"] > p.max_drop else "pass"


def _among_pairs(study: Study, members: set[str], p: ProbeParams, by_condition: Scores) -> dict[str, float]:
    clips, scores = study.test_clips, by_condition[p.condition].scores
    labels, own = study.labels[clips], np.array([study.speakers[i] in members for i in clips])

    def pairs_auc(weights: Floats | None) -> Floats:
        counted = own.astype(np.float64) if weights is None else weights * own
        return np.stack([auc(labels, seed_scores, counted) for seed_scores in scores])

    all_auc: Measure = auc_measure(labels, scores)
    shares: dict[str, Measure] = {"auc": pairs_auc, "model_auc": all_auc}
    return estimates(study, clips, p, shares=shares, differences={"drop": difference(all_auc, pairs_auc)})
