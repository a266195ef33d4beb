"""ingest: the corpus's recordings -> mono waveforms at one rate, a table of the clips, and the refused."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from spira.base.params import load
from spira.base.section import FolderName, SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import write_table
from spira.cluster import shards as cluster
from spira.cluster.address import Elsewhere
from spira.ingest.acceptance import Code, IngestParams, Refusal
from spira.ingest.corpus import read_corpus, require_learnable
from spira.ingest.file_names import Located, locate_files
from spira.ingest.packed import RawFolder, open_folder
from spira.ingest.privacy import namer, refuse_personal, renamed
from spira.ingest.waveforms import (
    Job,
    Recording,
    Refused,
    Shard,
    Stored,
    drop_waveforms,
    gathered,
    remove_others,
    same_bytes,
    shards_by_name,
    store_shards,
    write_rejects,
)

Who = dict[str, tuple[str, int]]  # the speaker and the label of each file
Name = Callable[[str], str]  # what a file or a speaker is called in an output

# Refused for their content: two such files with the same bytes and different labels are worth a message.
_CONTENT_CODES = (
    "channels",
    "sample_rate",
    "too_short",
    "too_long",
    "not_finite",
    "out_of_range",
    "silent",
    "near_silent",
)


def run(
    sample_rate: int,
    ingest: IngestParams,
    *,
    corpus: Path,
    out: Path = Path("data/clips"),
    n_workers: int | None = None,
) -> None:
    where, name = cluster.elsewhere(), namer(ingest.personal_data)
    refuse_personal(corpus, hashed=ingest.personal_data == "pseudonymise")
    rows = read_corpus(corpus, name)
    require_learnable(rows, corpus)
    folder = open_folder(corpus)
    files = locate_files(folder, rows["file_path"].to_list(), name)
    job, shards = Job(sample_rate, ingest, "max_seconds"), shards_by_name(folder, files, out, name)
    recordings, refused, _ = _stored(where, job, shards, n_workers, corpus.name)
    who = {path: (speaker, label) for path, speaker, label in rows.select("file_path", "speaker_id", "label").rows()}
    repeated = dict(_repeated(_same_sound(recordings), who, name))
    if repeated:
        recordings = drop_waveforms(out, recordings, repeated)
    remove_others(out, {recording.shard for recording in recordings})
    refused = [*_contradicted(folder, files, refused, who, name), *repeated.items()]
    write_rejects([(name(path), refusal) for path, refusal in refused], out, len(rows), ingest.max_rejected)
    clips = renamed(rows.join(pl.DataFrame(recordings), on="file_path", maintain_order="left"), name)
    write_table(clips.rename({"file_path": "clip_id"}), out / "clips.csv")
    minutes = clips["n_samples"].sum() / sample_rate / 60
    n_speakers = clips["speaker_id"].n_unique()
    print(f"{corpus}: {len(clips)} of {len(rows)} clips, {n_speakers} speakers, {minutes:.1f} minutes")


def _stored(where: Elsewhere | None, job: Job, shards: list[Shard], n_workers: int | None, name: str) -> Stored:
    """What became of the recordings of each shard, here or elsewhere."""
    if where:
        asked = [cluster.Shard(shard, [file.shown for file in shard.files], shard.path) for shard in shards]
        return gathered([one.result for one in sorted(cluster.make(where, job, asked, name))], name)
    return store_shards(job, shards, n_workers, name)


def _same_sound(recordings: list[Recording]) -> list[list[str]]:
    same: dict[str, list[str]] = defaultdict(list)
    for recording in recordings:
        same[recording.digest].append(recording.file_path)
    return [paths for paths in same.values() if len(paths) > 1]


def _repeated(groups: list[list[str]], who: Who, name: Name) -> Iterator[tuple[str, Refusal]]:
    """Recordings of one sound: all of them where they contradict each other, the copies where they agree."""
    for paths in groups:
        known = [path for path in paths if who[path][0] != f"file:{path}"]  # the others have no speaker_id
        if len({who[path][1] for path in paths}) > 1:
            yield from _each(paths, "label_conflict", "the same sound has both labels", name)
        elif len({who[path][0] for path in known}) > 1:
            yield from _each(paths, "speaker_conflict", "the same sound has two speakers", name)
        else:
            kept = (known or paths)[0]
            yield from ((path, Refusal("duplicate", f"a copy of {name(kept)}")) for path in paths if path != kept)


def _each(paths: list[str], code: Code, reason: str, name: Name) -> Iterator[tuple[str, Refusal]]:
    for path in paths:
        yield path, Refusal(code, f"{reason}: {', '.join(name(other) for other in paths if other != path)}")


def _contradicted(
    folder: RawFolder, files: Located, refused: Refused, who: Who, name: Name
) -> Iterator[tuple[str, Refusal]]:
    """The refused, with a worse reason where they contradict each other: one too short may have two speakers."""
    readable = [path for path, refusal in refused if refusal.code in _CONTENT_CODES]
    same = same_bytes(folder, files, readable)
    conflicts = {path: r for path, r in _repeated(same, who, name) if r.code != "duplicate"}
    for path, refusal in refused:
        worse = conflicts.get(path)
        yield path, Refusal(worse.code, f"{worse.reason}; and {refusal.reason}") if worse else refusal


if __name__ == "__main__":
    with as_stage():
        run(
            load("sample_rate", SampleRate),
            load("ingest", IngestParams),
            corpus=Path("data/raw", load("corpus", FolderName)),
        )
