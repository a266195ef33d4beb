"""Which speakers teach, which choose, which judge, when everybody is to judge once."""

from collections.abc import Mapping, Sequence

from spira.base.errors import DataError
from spira.split.holdout import SplitParams, Subset, drawn, one_label_each, too_few


def cross_validate(
    speakers: Sequence[str],
    labels: Sequence[int],
    sexes: Sequence[str],
    given: Sequence[str],
    p: SplitParams,
) -> dict[str, list[Subset]]:
    """By fold, the subset of each clip: the fold tests, the next one chooses, the others teach.

    ::

        speakers of     1           2           3      4      5
        fold 1        test     validation     train  train  train
        fold 2       train        test   validation  train  train
        fold 5    validation     train        train  train   test

    Each speaker tests once and chooses once. Speakers are dealt to the folds like cards, the controls first, in each
    class by sex, in each sex in the order of a hash of (seed, speaker). So any two folds differ by at most one
    speaker in all, in either class, and in either sex of a class. The price of that balance: a new speaker, a
    corrected label or sex moves others, unlike under holdout.

    Args:
        speakers: of each clip, shape (n_clips,).
        labels: 1 for patient, 0 for control, shape (n_clips,).
        sexes: F or M, "" where not known, shape (n_clips,).
        given: the metadata's own subset of each clip, shape (n_clips,); all must be "".
        p: seed and folds.

    Raises:
        DataError: a clip has a given subset; a speaker has two labels; or a fold has too few speakers of a class.
    """
    if any(given):
        n_given = sum(map(bool, given))
        raise DataError(
            f"metadata.csv: split: must be empty for split.scheme=kfold, where every speaker both teaches and tests, "
            f"got {n_given} of {len(given)} clips with a subset. Take the column out, or set split.scheme=holdout"
        )
    label_of = one_label_each(speakers, labels)
    fold_of = _deal(label_of, _sex_of(speakers, sexes), p)
    n_folds, found = len(p.names), dict[str, list[Subset]]()
    short = []
    for fold, name in enumerate(p.names):
        chosen = {speaker: _subset((dealt - fold) % n_folds) for speaker, dealt in fold_of.items()}
        short += [f"in fold {name} {few}" for few in too_few(chosen, label_of, p.min_speakers)]
        found[name] = [chosen[speaker] for speaker in speakers]
    if short:
        raise DataError(
            f"the corpus cannot be cut into {n_folds} folds: each subset needs split.min_speakers={p.min_speakers} "
            f"of each class, but {'; '.join(short)}. Bring more speakers, or fewer split.folds"
        )
    return found


def _subset(steps: int) -> Subset:
    """Of the speakers that many folds after the one that tests."""
    return "test" if steps == 0 else "validation" if steps == 1 else "train"


def _deal(label_of: Mapping[str, int], sex_of: Mapping[str, str], p: SplitParams) -> dict[str, int]:
    """The place of each speaker's fold; one deal through all strata, so that remainders spread too."""
    order = sorted(label_of, key=lambda who: (label_of[who], sex_of[who], drawn(who, p.seed)))
    return {speaker: place % len(p.names) for place, speaker in enumerate(order)}


def _sex_of(speakers: Sequence[str], sexes: Sequence[str]) -> dict[str, str]:
    """What any of a speaker's clips tells; "" where none does, or two disagree."""
    told: dict[str, set[str]] = {speaker: set() for speaker in speakers}
    for speaker, sex in zip(speakers, sexes, strict=True):
        told[speaker] |= {sex} - {""}
    return {speaker: next(iter(found)) if len(found) == 1 else "" for speaker, found in told.items()}
