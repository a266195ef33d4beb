"""Store the recordings of a folder as mono waveforms at one rate, in shards, and list the refused."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import polars as pl

from spira.base.array_types import Waveform
from spira.base.errors import DataError, visible
from spira.base.files import hash_file
from spira.base.tables import write_sheet
from spira.clips.arrays import ArrayWriter, read_array
from spira.clips.parallel import n_cores, ordered_map, progress
from spira.clips.recordings import waveforms_path
from spira.clips.shards import SHARD_BYTES, assign_shards, count_shards
from spira.ingest.acceptance import IngestParams, Refusal
from spira.ingest.containers.tags import personal_tags
from spira.ingest.file_names import Located
from spira.ingest.mono import decoder_limits, read_mono, refuse_lost, shared_bytes
from spira.ingest.packed import RawFolder
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Lost
from spira.ingest.sources import Member, Source, as_file, n_bytes
from spira.storage.reads import Read, Span

REJECTS = "rejects.csv"
_NO_FACT = "This is a fault of the machine and no fact about the file, which is not refused: fix it and run again"
_SHOWN = 20  # files in one message


@dataclass(frozen=True)
class Recording:
    """One accepted recording: where its waveform lies, and the file that it came from."""

    file_path: str
    shard: int
    start: int  # samples, in its shard
    n_samples: int
    source_sample_rate: int  # Hz
    container: str  # of the file, as are the next three; see ``headers.Header``
    encoding: str
    n_channels: int | None
    n_bytes: int
    digest: str  # of the waveform: two recordings with one digest are the same sound


class File(NamedTuple):
    """A recording to take in."""

    name: str  # in the table
    shown: str  # its name in a message
    source: Source
    doubt: str  # what a refusal adds where it is not clear which file is meant; "" where it is


@dataclass(frozen=True)
class Job:
    """What all shards of a corpus are made with."""

    sample_rate: int  # Hz; of the waveforms
    ingest: IngestParams
    seconds_key: Literal["max_seconds", "max_noise_seconds"]  # the key of ``ingest`` that limits the length
    programs: ClassVar = ("ffmpeg",)  # its version decides some waveforms, so it must be the same on every machine

    def __call__(self) -> Callable[["Shard", Path], "Stored"]:
        """Makes a shard, under the path that is given with it, where that is not this process's to make."""
        return lambda shard, path: store_shard(self, replace(shard, path=path))

    def reads(self) -> tuple[Read, ...]:
        return ()

    def reads_for(self, asked: "Shard") -> Iterator[Read]:
        spans: dict[Path, list[Span]] = defaultdict(list)
        for file in asked.files:
            if isinstance(file.source, Member):
                spans[file.source.tar].append(file.source.span())
            else:
                yield Read(file.source, shown=file.shown)
        yield from (Read(tar, own) for tar, own in spans.items())


@dataclass(frozen=True)
class Shard:
    """A unit of work: the recordings whose waveforms lie in one file. It and its result pickle small."""

    path: Path  # of the file
    number: int
    files: tuple[File, ...]


Refused = list[tuple[str, Refusal]]


class Stored(NamedTuple):
    """What became of some recordings, by their names in the table."""

    accepted: list[Recording]
    refused: Refused
    tagged: Counter[str]  # files with personal data in their tags, by its kind


_Mono = tuple[Waveform, Recording, set[str]]  # shard and start are filled in later; kinds of personal data in the tags


def shards_by_name(
    folder: RawFolder, files: Located, out: Path, name: Callable[[str], str], n_shards: int | None = None
) -> list[Shard]:
    """The shards of a corpus that have recordings, each of a corpus's files in one.

    Args:
        folder: the corpus's, with what is packed in it.
        files: where they lie in it.
        out: where the shards are to lie.
        name: gives a file's name in every output, by which its shard is chosen.
        n_shards: by default as many as the bytes of the files ask for.
    """
    shown, sources = (
        [name(file_path) for file_path in files.paths],
        [folder.source(path) for path in files.paths.values()],
    )
    if n_shards is None:
        n_shards = count_shards(sum(map(n_bytes, sources)), SHARD_BYTES)
    members: dict[int, list[File]] = defaultdict(list)
    listed = zip(files.paths, shown, sources, assign_shards(shown, n_shards), strict=True)
    for file_path, each, source, number in listed:
        members[number].append(File(file_path, f"{folder.path}/{each}", source, files.doubts.get(file_path, "")))
    return [Shard(waveforms_path(out, number), number, tuple(members[number])) for number in sorted(members)]


def store_shards(job: Job, shards: Sequence[Shard], n_workers: int | None, name: str) -> Stored:
    """Decodes, checks, downmixes and resamples every file, in parallel, and writes each shard once it is complete.

    Its workers go on with the next shard's recordings while one is completed.

    Args:
        name: of the corpus, for the progress.

    Returns:
        The accepted recordings and the refused ones, by name.

    Raises:
        DataError: the machine failed twice at one of them, which is no reason to refuse it.
    """
    sources = [file.source for shard in shards for file in shard.files]
    n_workers = min(n_workers or n_cores(), len(sources))
    with (
        _guard(job, n_workers) as guard,
        closing(progress(ordered_map(guard, sources, n_workers), len(sources), name)) as results,
    ):
        stored = [_write(shard, results) for shard in shards]
    return gathered(stored, name)


def gathered(stored: Sequence[Stored], name: str) -> Stored:
    """What became of all shards: the accepted and the refused recordings, by name. Prints what tags hold."""
    tagged = sum((one.tagged for one in stored), Counter[str]())
    if tagged:
        listed = ", ".join(f"{kind} in {n} files" for kind, n in sorted(tagged.items()))
        print(f"{name}: tags hold personal data: {listed}; they reach no output, and are better taken out of the files")
    return Stored(
        sorted((row for one in stored for row in one.accepted), key=attrgetter("file_path")),
        sorted((row for one in stored for row in one.refused), key=itemgetter(0)),
        tagged,
    )


def store_shard(job: Job, shard: Shard) -> Stored:
    """One shard as ``store_shards`` makes it, in one worker: for a process or a machine that makes it alone."""
    with _guard(job, 1) as guard:
        return _write(shard, map(guard, [file.source for file in shard.files]))


def _guard(job: Job, n_workers: int) -> Guard[Source, _Mono | Refusal]:
    max_seconds: float = getattr(job.ingest, job.seconds_key)
    limits, n_shared = decoder_limits(job.ingest, max_seconds), shared_bytes(max_seconds, job.sample_rate)
    return Guard(partial(_mono, job), limits, n_workers, n_shared)


def _write(shard: Shard, results: Iterator[_Mono | Refusal | Lost | Failed]) -> Stored:
    """Writes one shard. No more of the results are taken than it has files; where all are refused there is no file."""
    stored = Stored([], [], Counter())
    with ArrayWriter(shard.path) as writer:
        for file, result in zip(shard.files, results, strict=False):
            if isinstance(result, Failed):
                tried = "tried twice, the second time with no other file beside it"
                raise DataError(f"{visible(file.shown)}: {result.reason}; {tried}. {_NO_FACT}")
            if isinstance(result, Lost):
                stored.refused.append((file.name, refuse_lost(result)))
            elif isinstance(result, Refusal):
                doubt = f"; {file.doubt}" if file.doubt else ""
                stored.refused.append((file.name, Refusal(result.code, result.reason + doubt)))
            else:
                waveform, recording, kinds = result
                stored.tagged.update(kinds)
                start = writer.append(waveform)
                stored.accepted.append(replace(recording, file_path=file.name, shard=shard.number, start=start))
    if not stored.accepted:
        shard.path.unlink()
    return stored


def _mono(job: Job, source: Source) -> _Mono | Refusal:
    """The waveform of one file, and what the table says of it."""
    with as_file(source) as path:
        mono = read_mono(path, job.sample_rate, job.ingest, job.seconds_key)
        if isinstance(mono, Refusal):
            return mono
        waveform, rate, header, comments = mono
        kinds = personal_tags(path, comments)
    digest = sha256(waveform.data).hexdigest()
    return waveform, Recording("", 0, 0, waveform.size, rate, digest=digest, **vars(header)), kinds


def same_bytes(folder: RawFolder, files: Located, file_paths: Iterable[str]) -> list[list[str]]:
    """Groups of files with the same bytes, a list for each content that occurs more than once.

    Of a packed one its manifest has the hash, which was compared when it was decoded.
    """
    copies: dict[str, list[str]] = defaultdict(list)
    for file_path in file_paths:
        source = folder.source(files.paths[file_path])
        copies[source.sha256 if isinstance(source, Member) else hash_file(source)].append(file_path)
    return [paths for paths in copies.values() if len(paths) > 1]


def drop_waveforms(out: Path, recordings: Sequence[Recording], dropped: Collection[str]) -> list[Recording]:
    """Takes the named recordings out of their shards; returns the others, in the same order, with their new slices.

    Shards that lose nothing stay as they are, and one that loses all is removed.
    """
    kept = [recording for recording in recordings if recording.file_path not in dropped]
    left: dict[int, list[Recording]] = {r.shard: [] for r in recordings if r.file_path in dropped}
    for recording in kept:
        if recording.shard in left:
            left[recording.shard].append(recording)
    starts: dict[str, int] = {}
    for shard, own in sorted(left.items()):
        path = waveforms_path(out, shard)
        samples = read_array(path)
        with ArrayWriter(path) as writer:  # what is read stays mapped until the new one takes its name
            starts |= {r.file_path: writer.append(samples[r.start : r.start + r.n_samples]) for r in own}
        if not own:
            path.unlink()
    return [replace(r, start=starts.get(r.file_path, r.start)) for r in kept]


def remove_others(out: Path, shards: Iterable[int]) -> None:
    """Removes what else an earlier run left, where DVC was not asked to: it had more shards, or was killed."""
    kept = {waveforms_path(out, shard) for shard in shards}
    for path in set(out.glob("waveforms*.npy*")) - kept:
        path.unlink()


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more


def write_rejects(refused: Refused, out: Path, n_files: int, max_rejected: float) -> None:
    """Writes ``out/rejects.csv``, one row a refused file.

    Raises:
        DataError: too many are refused; or one only because a program is missing here. Then nothing is written, for
            DVC would keep it also for a machine that has the program.
    """
    lacking: dict[str, list[str]] = defaultdict(list)
    for path, refusal in sorted(refused, key=itemgetter(0)):
        if refusal.code == "unsupported":
            lacking[refusal.reason].append(visible(path))
    if lacking:
        listed = "; ".join(f"{_listed(paths)}: {reason}" for reason, paths in lacking.items())
        n_lacking = sum(map(len, lacking.values()))
        raise DataError(f"{n_lacking} of {n_files} files: {listed}; or take them out of metadata.csv")
    rows = sorted((file_path, refusal.code, refusal.reason) for file_path, refusal in refused)
    table = pl.DataFrame(rows, schema=["file_path", "code", "reason"], orient="row")
    write_sheet(table.cast(pl.String), out / REJECTS)
    for file_path, code, reason in rows[:_SHOWN]:
        print(f"refused {visible(file_path)}: {code}: {visible(reason)}")
    if len(rows) > _SHOWN:
        print(f"... and {len(rows) - _SHOWN} more: see {out / REJECTS}")
    if len(rows) / n_files > max_rejected:  # not len > max * n, which calls 29 of 100 more than 0.29
        raise DataError(
            f"{out / REJECTS}: {len(rows)} of {n_files} files refused, more than "
            f"ingest.max_rejected={max_rejected} allows; mend or remove them, or allow more"
        )
    if len(rows) == n_files:
        raise DataError(f"{out / REJECTS}: every file was refused")
