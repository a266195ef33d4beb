"""Split speakers into folds, so that each speaker is in the test set once."""

from collections.abc import Mapping, Sequence

from spira.base.errors import DataError
from spira.split.holdout import SplitParams, Subset, id_hash, one_label_each, too_few


def cross_validate(
    speakers: Sequence[str],
    labels: Sequence[int],
    sexes: Sequence[str],
    given: Sequence[str],
    p: SplitParams,
) -> dict[str, list[Subset]]:
    """The subset of each clip, by fold: test is the fold itself, validation the next one, training the others.

    ::

        speakers of     1           2           3      4      5
        fold 1        test     validation     train  train  train
        fold 2       train        test   validation  train  train
        fold 5    validation     train        train  train   test

    Each speaker is in test once and in validation once. Speakers are dealt to the folds like cards, the controls
    first, in each class by sex, in each sex in the order of a hash of (seed, speaker). So any two folds differ by at
    most one speaker in all, in either class, and in either sex of a class. The price of that balance: a new speaker,
    a corrected label or sex moves others, unlike under holdout.

    Args:
        speakers: the speaker of each clip, shape (n_clips,).
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
            "metadata.csv: split: must be empty for split.scheme=kfold, where every speaker is trained on and tested, "
            f"got {n_given} of {len(given)} clips with a subset. Take the column out, or set split.scheme=holdout"
        )
    labels_by_speaker = one_label_each(speakers, labels)
    fold_by_speaker = _deal(labels_by_speaker, _sexes_by_speaker(speakers, sexes), p)
    n_folds, found = len(p.names), dict[str, list[Subset]]()
    short = []
    for fold, name in enumerate(p.names):
        assigned = {speaker: _subset((dealt - fold) % n_folds) for speaker, dealt in fold_by_speaker.items()}
        short += [f"in fold {name} {few}" for few in too_few(assigned, labels_by_speaker, p.min_speakers)]
        found[name] = [assigned[speaker] for speaker in speakers]
    if short:
        raise DataError(
            f"the corpus cannot be cut into {n_folds} folds: each subset needs split.min_speakers={p.min_speakers} "
            f"of each class, but {'; '.join(short)}. Bring more speakers, or fewer split.folds"
        )
    return found


def _subset(steps: int) -> Subset:
    """The subset of the speakers so many folds after the test fold."""
    return "test" if steps == 0 else "validation" if steps == 1 else "train"


def _deal(labels_by_speaker: Mapping[str, int], sexes: Mapping[str, str], p: SplitParams) -> dict[str, int]:
    """The number of each speaker's fold; one deal through all strata, so that remainders spread too."""
    order = sorted(labels_by_speaker, key=lambda who: (labels_by_speaker[who], sexes[who], id_hash(who, p.seed)))
    return {speaker: number % len(p.names) for number, speaker in enumerate(order)}


def _sexes_by_speaker(speakers: Sequence[str], sexes: Sequence[str]) -> dict[str, str]:
    """The sex of each speaker; "" where no clip says, or two disagree."""
    found: dict[str, set[str]] = {speaker: set() for speaker in speakers}
    for speaker, sex in zip(speakers, sexes, strict=True):
        found[speaker] |= {sex} - {""}
    return {speaker: next(iter(said)) if len(said) == 1 else "" for speaker, said in found.items()}
