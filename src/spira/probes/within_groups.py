"""Does a model separate patients from controls who share a site, a device and a channel?

A model that follows the channel orders a patient and a control of two channels rightly, and of one channel no better
than chance: its AUC over all pairs is higher than that over the pairs within groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spira.base.array_types import Floats, Ints, Mask
from spira.clips.cells import is_unknown
from spira.evaluation.metrics import auc
from spira.probes.intervals import Measure, auc_measure, difference, estimates, shown
from spira.probes.missing_values import could_hide_a_shortcut
from spira.probes.study import Answer, Finding, ProbeParams, Scores, Study, Verdict, same_for_all, too_few

RULE = (
    "for each column, fails if the AUC over all pairs of a patient and a control is higher than over the pairs within "
    "a group by more than {max_drop:g} (whole interval); warns if it is higher (whole interval above 0), or if the "
    "groups are of one class each"
)
CHANNEL = ("container", "encoding", "source_sample_rate", "n_channels")  # as the file's header describes it
_ROUNDING = 1e-9  # by which two equal AUCs may differ
_ORDER: tuple[Verdict, ...] = ("fail", "warn", "not run", "pass")  # a column that is not cleared clears nothing


@dataclass(frozen=True)
class _Shared:
    """The test clips of the groups that have both classes."""

    name: str  # of the column
    clips: Ints  # (n,), places in the study's clips, rising
    groups: Ints  # (n,), a number a group
    n_tested: int  # test clips in all
    cleared: bool  # whether the test clips that are left out are too few to hide a shortcut


def within_groups(study: Study, p: ProbeParams) -> Answer:
    """Is the AUC within groups as high as the pooled one? Each column of which something is known is measured alone."""
    every = _columns(study, p)
    columns = {name: cells for name, cells in every.items() if not all(map(is_unknown, cells))}
    if not columns:
        return same_for_all(Finding("not run", f"not run: nothing is known of {', '.join(every)}"))
    shared = [_shared(study, name, cells, p) for name, cells in columns.items()]
    return lambda scores: _together(
        [each if isinstance(each, Finding) else _within(study, each, p, scores) for each in shared]
    )


def _columns(study: Study, p: ProbeParams) -> dict[str, Sequence[str]]:
    """By name, the group of each clip; "" where unknown."""
    blank = [""] * study.labels.size
    parts = [study.columns.get(name) or blank for name in CHANNEL]
    channel = ["" if any(map(is_unknown, cells)) else " ".join(cells) for cells in zip(*parts, strict=True)]
    return {**{name: study.columns.get(name) or blank for name in p.within}, "channel": channel}


def _shared(study: Study, name: str, cells: Sequence[str], p: ProbeParams) -> _Shared | Finding:
    """The groups with both classes; the finding where too few speakers are in them.

    ::

        site    north north north south south west west
        class     P     C     C     P     P    C    C
        shared    *     *     *
        apart                       *     *    *    *     several speakers, of one class
    """
    _, number = np.unique(cells, return_inverse=True)
    tested = np.isin(np.arange(number.size), study.test_clips) & ~np.array([is_unknown(cell) for cell in cells])
    patients, controls = (number[tested & (study.labels == label)] for label in (1, 0))
    both = np.isin(number, patients) & np.isin(number, controls)
    clips = np.flatnonzero(tested & both)
    few = too_few(study, clips, p, f"groups of one {name} with both classes have")
    if few is None:
        return _Shared(name, clips, number[clips], study.test_clips.size, not _may_hide(study, clips, p))
    apart = tested & ~both & (_n_speakers(study, number, tested) > 1)
    if too_few(study, np.flatnonzero(apart), p):
        return few
    why = (
        f"{name} and label are nearly the same: all but {clips.size} of {np.count_nonzero(tested)} test clips are in "
        f"groups of one class, so nothing can be measured within a {name}"
    )
    return Finding("warn", why)


def _may_hide(study: Study, clips: Ints, p: ProbeParams) -> bool:
    """Whether the pairs of test clips that are not both among these could hide a shortcut."""
    counts, tested = (np.bincount(study.labels[places], minlength=2) for places in (clips, study.test_clips))
    return could_hide_a_shortcut(1 - float(np.prod(counts / tested)), p)


def _n_speakers(study: Study, number: Ints, tested: Mask) -> Ints:
    """Of each clip, how many speakers of its group have test clips, shape (n_clips,)."""
    _, speaker = np.unique(study.speakers, return_inverse=True)
    pairs = np.unique(np.stack([number, speaker])[:, tested], axis=1)
    return np.asarray(np.bincount(pairs[0], minlength=number.max() + 1)[number])


def _within(study: Study, shared: _Shared, p: ProbeParams, scores: Scores) -> Finding:
    """The verdict on one column, by ``RULE``."""
    tested = scores[p.condition]
    own = tested.scores[:, np.searchsorted(tested.clips, shared.clips)]
    labels = study.labels[shared.clips]
    pooled, within = auc_measure(labels, own), within_auc(labels, own, shared.groups)
    shares, differences = {"auc": within, "pooled": pooled}, {"drop": difference(pooled, within)}
    found = estimates(study, shared.clips, p, shares=shares, differences=differences)
    n_groups, n_left = np.unique(shared.groups).size, shared.n_tested - shared.clips.size
    why = (
        f"among pairs of one {shared.name} ({n_groups} of them) the AUC is {shown(found, 'auc')}, among all pairs "
        f"{shown(found, 'pooled')}, a drop of {shown(found, 'drop', '+')}"
    )
    if n_left:
        why += f" ({n_left} of {shared.n_tested} test clips share no {shared.name} with the other class)"
    verdict = _verdict(found["drop_lo"], p)
    if verdict == "pass" and not shared.cleared:
        verdict = "not run"
    return Finding(verdict, why, {f"{shared.name}_{key}": value for key, value in found.items()})


def within_auc(labels: Ints, scores: Floats, groups: Ints) -> Measure:
    """The AUC of every seed's scores, (n_seeds, n_clips), over the pairs whose two clips are of one group.

    That is the mean of the groups' AUCs, each weighted by its number of pairs.
    """
    members: list[Mask] = [groups == group for group in np.unique(groups)]

    def measure(weights: Floats | None) -> Floats:
        counted = np.ones(labels.size) if weights is None else weights
        won, n_pairs = np.zeros(1), np.zeros(1)
        for own in members:
            pairs = counted[..., own & (labels == 1)].sum(axis=-1) * counted[..., own & (labels == 0)].sum(axis=-1)
            aucs = np.stack([auc(labels[own], seed_scores[own], counted[..., own]) for seed_scores in scores])
            won = won + np.where(pairs > 0, aucs, 0) * pairs
            n_pairs = n_pairs + pairs
        return np.asarray(won / n_pairs)

    return measure


def _verdict(drop_lo: float, p: ProbeParams) -> Verdict:
    if drop_lo > p.max_drop:
        return "fail"
    return "warn" if drop_lo > _ROUNDING else "pass"


def _together(found: Sequence[Finding]) -> Finding:
    """The worst verdict of the columns, and what was found of each."""
    numbers: Mapping[str, float] = {name: value for each in found for name, value in each.numbers.items()}
    verdict = min((each.verdict for each in found), key=_ORDER.index)
    return Finding(verdict, "; ".join(each.why for each in found), numbers)
