"""probe: clips, scores and altered clips' scores -> what could be predicted without breathing, a verdict a model."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from spira.base.array_types import Floats, Mask, Waveform
from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.base.params import load
from spira.base.section import FolderName, SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import read_table, write_sheet
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import read_waveforms
from spira.clips.subsets import read_subsets
from spira.encoders.params import SAMPLE_RATE, EmbeddingParams
from spira.evaluation.files import refuse_incomplete, write_numbers
from spira.evaluation.origin import origin
from spira.features.params import FeatureParams
from spira.predictions.scored import ScoredClips
from spira.predictions.table import models_in, read_predictions, scored_clips
from spira.probes.background import BackgroundParams
from spira.probes.catalogue import probe_all
from spira.probes.near_duplicates import Pair, fingerprint, near_duplicates
from spira.probes.shortcuts import HEADER, LENGTH
from spira.probes.sound_statistics import statistics
from spira.probes.study import Fold, ModelScores, ProbeParams, Scores, Study
from spira.probes.summary import probe_report
from spira.probes.voices import AlikePair, alike_pairs


def run(
    corpus: str,
    sample_rate: int,
    features: FeatureParams,
    embedding: EmbeddingParams,
    background: BackgroundParams,
    probe: ProbeParams,
    *,
    clips: Path = Path("data/clips"),
    subsets: Path = Path("data/subsets.csv"),
    predictions: Path = Path("data/predictions.csv"),
    altered: Path = Path("data/altered.csv"),
    pretrained: Path = Path("data/pretrained"),
    probes: Path = Path("data/probes.json"),
    report: Path = Path("data/probes.md"),
    pairs: Path = Path("data/near_duplicates.csv"),
    similar: Path = Path("data/similar_voices.csv"),
    n_workers: int | None = None,
) -> None:
    names = {*probe.metadata, *probe.within, *probe.match_exactly, "age", "sex", "recorded_on", LENGTH, *HEADER}
    columns = dict.fromkeys(sorted({"clip_id", "speaker_id", "label", "shard", "start"} | names), pl.String)
    table = read_table(clips / "clips.csv", columns).fill_null("").sort("clip_id")
    scores = _scores(table, predictions, altered)
    waveforms = read_waveforms(table, clips)
    measured = progress(
        ordered_map(
            lambda clip: (
                statistics(clip, sample_rate, background, probe.n_bands, probe.edge_seconds, probe.background_seconds),
                fingerprint(clip, sample_rate),
            ),
            waveforms,
            n_workers,
        ),
        len(waveforms),
        "probe",
    )
    sound, prints = zip(*measured, strict=True)
    study = Study(
        speakers=tuple(table["speaker_id"]),
        labels=table["label"].cast(pl.Int64).to_numpy(),
        folds=_folds(table, subsets),
        sample_rate=sample_rate,
        columns={name: table[name].to_list() for name in names},
        sound={kind: np.stack([statistic[kind] for statistic in sound]) for kind in sound[0]},
        pairs=tuple(near_duplicates(prints, probe.fingerprint)),
        voices=encode_voices(waveforms, sample_rate, features, embedding, pretrained, n_workers),
    )
    found = probe_all(study, scores, probe)
    write_numbers({"corpus": origin(corpus), "models": found}, probes)
    _write_pairs(study, table["clip_id"].to_list(), pairs)
    write_sheet(pl.DataFrame(alike_pairs(study, probe), schema=AlikePair._fields, orient="row"), similar)
    text = probe_report(origin(corpus), found, probe.confidence)
    write_bytes(text.encode(), report)
    print(text)


def encode_voices(
    waveforms: Sequence[Waveform],
    sample_rate: int,
    features: FeatureParams,
    embedding: EmbeddingParams,
    pretrained: Path,
    n_workers: int | None,
) -> Floats | None:
    """The voice in each clip, (n_clips, 256), whatever the features are; None without a speaker encoder's weights."""
    if embedding.architecture != "resemblyzer" or embedding.file == "none" or sample_rate != SAMPLE_RATE:
        return None
    import torch  # two seconds, which a run without an encoder need not wait for

    from spira.encoders.store import load_encoder
    from spira.features.encoded import EncodedFrames

    sound = features.model_copy(update={"normalize": "active"})
    encode = EncodedFrames(load_encoder(embedding, pretrained), sound, sample_rate)
    torch.set_num_threads(1)  # one clip a thread

    def voice(waveform: Waveform) -> Floats:
        mean = encode(torch.from_numpy(np.array(waveform))).numpy().astype(np.float64).mean(axis=0)
        return np.asarray(mean / max(np.sqrt(np.square(mean).sum()), 1e-12))

    return np.stack(list(progress(ordered_map(voice, waveforms, n_workers), len(waveforms), "voices")))


def _folds(table: pl.DataFrame, path: Path) -> tuple[Fold, ...]:
    def among(members: list[str]) -> Mask:
        return table["clip_id"].is_in(members).to_numpy()

    return tuple(Fold(among(fold.train + fold.validation), among(fold.test)) for fold in read_subsets(path).values())


def _scores(table: pl.DataFrame, predictions: Path, altered: Path) -> dict[str, Scores]:
    """By model, the scores of the test clips by condition and alteration."""
    unaltered, changed = read_predictions(predictions), read_predictions(altered)
    refuse_incomplete(unaltered, predictions)
    place = {clip: i for i, clip in enumerate(table["clip_id"])}
    if unknown := sorted({*unaltered["clip_id"], *changed["clip_id"]} - place.keys()):
        raise DataError(f"{predictions}: scores {unknown[0]}, which is not in the table of clips; run dvc repro")
    if set(models_in(unaltered)) != set(models_in(changed)):
        names = [", ".join(models_in(scored)) for scored in (unaltered, changed)]
        raise DataError(f"{altered}: expected scores of the models {names[0]}, got {names[1]}; run dvc repro")
    return {
        model: _placed({**scored_clips(unaltered, "test", model), **scored_clips(changed, "test", model)}, place)
        for model in models_in(unaltered)
    }


def _placed(every: Mapping[str, ScoredClips], place: Mapping[str, int]) -> dict[str, ModelScores]:
    found = {}
    for name, test in every.items():
        clips = np.array([place[clip] for clip in test.clips])
        order = np.argsort(clips)
        found[name] = ModelScores(clips[order], test.scores[:, order])
    return found


def _write_pairs(study: Study, names: list[str], path: Path) -> None:
    """The pairs by clip name: this file is DVC's, never git's."""
    rows = [
        (names[pair.first], names[pair.second], round(pair.bit_errors, 4), round(pair.delay_seconds, 3))
        for pair in study.pairs
    ]
    write_sheet(pl.DataFrame(rows, schema=["clip_id", "other_clip_id", *Pair._fields[2:]], orient="row"), path)


if __name__ == "__main__":
    with as_stage():
        run(
            load("corpus", FolderName),
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("embedding", EmbeddingParams),
            load("background", BackgroundParams),
            load("probe", ProbeParams),
        )
