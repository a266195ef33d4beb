"""ingest_noise: the noise recordings -> mono waveforms at one rate, a table of them, and the refused."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from dataclasses import replace
from pathlib import Path

import polars as pl

from spira.base.params import load
from spira.base.section import FolderName, SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import write_table
from spira.clips.recordings import NOISE
from spira.ingest.acceptance import IngestParams
from spira.ingest.column_names import NOISE_USED
from spira.ingest.corpus import read_recordings
from spira.ingest.file_names import locate_files
from spira.ingest.privacy import namer, refuse_personal, renamed
from spira.ingest.waveforms import Job, shards_by_name, store_shards, write_rejects


def run(
    sample_rate: int,
    ingest: IngestParams,
    *,
    noise_corpus: Path,
    out: Path = Path("data/noise"),
    n_workers: int | None = None,
) -> None:
    name = namer(ingest.personal_data)
    refuse_personal(noise_corpus, hashed=ingest.personal_data == "pseudonymise", used=NOISE_USED)
    rows = read_recordings(noise_corpus)
    files = locate_files(noise_corpus, rows["file_path"].to_list(), name)
    (shard,) = shards_by_name(noise_corpus, files, out, name, n_shards=1)
    job = Job(sample_rate, ingest, "max_noise_seconds")
    recordings, refused, _ = store_shards(job, [replace(shard, path=out / NOISE)], n_workers, noise_corpus.name)
    write_rejects([(name(path), refusal) for path, refusal in refused], out, len(rows), ingest.max_rejected)
    table = renamed(
        pl.DataFrame(recordings).drop("shard").join(rows, on="file_path", how="left", maintain_order="left"), name
    )
    write_table(table.rename({"file_path": "recording_id"}), out / "recordings.csv")
    minutes = table["n_samples"].sum() / sample_rate / 60
    print(f"{noise_corpus}: {len(table)} of {len(rows)} recordings, {minutes:.1f} minutes")


if __name__ == "__main__":
    with as_stage():
        noise_corpus = Path("data/raw", load("noise_corpus", FolderName))
        run(load("sample_rate", SampleRate), load("ingest", IngestParams), noise_corpus=noise_corpus)
