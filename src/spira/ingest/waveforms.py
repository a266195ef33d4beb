"""Store the recordings of a folder as one array of mono waveforms at one rate, and list the refused."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import file_digest, sha256
from operator import itemgetter
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spira.base.errors import DataError, visible
from spira.base.tables import write_sheet
from spira.clips.arrays import WAVEFORMS, ArrayWriter, read_array
from spira.clips.parallel import n_cores, ordered_map, progress
from spira.ingest.acceptance import IngestParams, Refusal
from spira.ingest.containers.tags import personal_tags
from spira.ingest.file_names import Located
from spira.ingest.mono import decoder_limits, read_mono, refuse_lost, shared_bytes
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Lost

REJECTS = "rejects.csv"
_NO_FACT = "This is a fault of the machine and no fact about the file, which is not refused: fix it and run again"
_SHOWN = 20  # files in one message


@dataclass(frozen=True)
class Recording:
    """One accepted recording: its slice of the array, and the file that it came from."""

    file_path: str
    start: int  # samples
    n_samples: int
    source_sample_rate: int  # Hz
    container: str  # of the file, as are the next three; see ``headers.Header``
    encoding: str
    n_channels: int | None
    n_bytes: int
    digest: str  # of the waveform: two recordings with one digest are the same sound


Refused = list[tuple[str, Refusal]]


def store_waveforms(
    folder: Path,
    files: Located,
    out: Path,
    *,
    sample_rate: int,
    ingest: IngestParams,
    seconds_key: Literal["max_seconds", "max_noise_seconds"],
    name: Callable[[str], str],
    n_workers: int | None,
) -> tuple[list[Recording], Refused]:
    """Decodes, checks, downmixes and resamples every file, in parallel, into ``out/waveforms.npy``.

    Args:
        seconds_key: the key of ``ingest`` that limits the length.
        name: gives a file's name in a message.

    Returns:
        The accepted recordings and the refused ones, by their names in the table, in its order.

    Raises:
        DataError: the machine failed twice at one of them, which is no reason to refuse it.
    """
    max_seconds: float = getattr(ingest, seconds_key)
    accepted: list[Recording] = []
    refused: Refused = []
    tagged: Counter[str] = Counter()
    work = partial(_mono, folder, sample_rate, ingest, seconds_key)
    n_workers = min(n_workers or n_cores(), len(files.paths))
    limits, n_shared = decoder_limits(ingest, max_seconds), shared_bytes(max_seconds, sample_rate)
    paths = list(files.paths.values())
    with (
        Guard(work, limits, n_workers, n_shared) as guard,
        ArrayWriter(out / WAVEFORMS) as writer,
        closing(progress(ordered_map(guard, paths, n_workers), len(paths), folder.name)) as results,
    ):
        for file_path, result in zip(files.paths, results, strict=True):
            if isinstance(result, Failed):
                where = visible(f"{folder}/{name(file_path)}")
                raise DataError(
                    f"{where}: {result.reason}; tried twice, the second time with no other file beside it. {_NO_FACT}"
                )
            if isinstance(result, Lost):
                refused.append((file_path, refuse_lost(result)))
            elif isinstance(result, Refusal):
                doubt = f"; {files.doubts[file_path]}" if file_path in files.doubts else ""
                refused.append((file_path, Refusal(result.code, result.reason + doubt)))
            else:
                waveform, recording, kinds = result
                tagged.update(kinds)
                accepted.append(replace(recording, file_path=file_path, start=writer.append(waveform)))
    if tagged:
        listed = ", ".join(f"{kind} in {n} files" for kind, n in sorted(tagged.items()))
        print(
            f"{folder}: tags hold personal data: {listed}; they reach no output, and are better taken out of the files"
        )
    return accepted, refused


def _mono(
    folder: Path, sample_rate: int, ingest: IngestParams, seconds_key: str, file_path: str
) -> tuple[NDArray[np.float32], Recording, set[str]] | Refusal:
    """The waveform of one file, and what the table says of it; its ``start`` is filled in later."""
    mono = read_mono(folder / file_path, sample_rate, ingest, seconds_key)
    if isinstance(mono, Refusal):
        return mono
    waveform, rate, header, comments = mono
    digest = sha256(waveform.data).hexdigest()
    recording = Recording(file_path, 0, waveform.size, rate, digest=digest, **asdict(header))
    return waveform, recording, personal_tags(folder / file_path, comments)


def same_bytes(folder: Path, files: Located, file_paths: Iterable[str]) -> list[list[str]]:
    """Groups of files with the same bytes, a list for each content that occurs more than once."""
    copies: dict[str, list[str]] = defaultdict(list)
    for file_path in file_paths:
        with (folder / files.paths[file_path]).open("rb") as file:
            copies[file_digest(file, "sha256").hexdigest()].append(file_path)
    return [paths for paths in copies.values() if len(paths) > 1]


def drop_waveforms(out: Path, kept: Sequence[Recording]) -> list[Recording]:
    """Rewrites ``out/waveforms.npy`` with the kept recordings only, and returns them with their new slices."""
    all_ = read_array(out / WAVEFORMS)
    with ArrayWriter(out / WAVEFORMS) as writer:  # what is read stays mapped until the new one takes its name
        return [replace(r, start=writer.append(all_[r.start : r.start + r.n_samples])) for r in kept]


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
