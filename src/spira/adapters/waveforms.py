"""Recordings of a folder -> one array of mono waveforms at one rate, and what was refused."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import file_digest, sha256
from math import ceil
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spira.adapters.arrays import WAVEFORMS, ArrayWriter, read_array
from spira.adapters.audio import decode
from spira.adapters.file_names import Located
from spira.adapters.guarded import Guard, Limits, Lost
from spira.adapters.tables import write_sheet
from spira.adapters.tags import personal_tags
from spira.adapters.workers import n_cores, ordered_map, progress
from spira.core.audio import IngestParams, Refusal, refuse_samples
from spira.core.resampling import resample, to_mono
from spira.errors import DataError

REJECTS = "rejects.csv"
_MARGIN = 2**12  # bytes; a resampler may round its length up


@dataclass(frozen=True)
class Recording:
    """Where one accepted recording lies in the array, and what it came from."""

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
    max_seconds: float,
    n_workers: int | None,
) -> tuple[list[Recording], Refused]:
    """Decode, check, downmix and resample every file, in parallel, into ``out/waveforms.npy``.

    Returns:
        The accepted recordings and the refused ones, by their names in the table, in its order.
    """
    accepted: list[Recording] = []
    refused: Refused = []
    tagged: Counter[str] = Counter()
    work = partial(_mono, folder, sample_rate, ingest, max_seconds)
    n_workers = min(n_workers or n_cores(), len(files.places))
    limits = Limits(ceil(ingest.max_decode_seconds * max_seconds / 60), ingest.max_decode_megabytes)
    n_shared = 4 * ceil(max_seconds * sample_rate) + _MARGIN
    with Guard(work, limits, n_workers, n_shared) as guard, ArrayWriter(out / WAVEFORMS) as writer:
        places = list(files.places.values())
        results = progress(ordered_map(guard, places, n_workers), len(places), folder.name)
        for file_path, result in zip(files.places, results, strict=True):
            if isinstance(result, Lost):
                refused.append((file_path, Refusal("undecodable", f"its decoder {result.reason}")))
            elif isinstance(result, Refusal):
                doubt = f"; {files.doubts[file_path]}" if file_path in files.doubts else ""
                refused.append((file_path, Refusal(result.code, result.reason + doubt)))
            else:
                waveform, recording, told = result
                tagged.update(told)
                accepted.append(replace(recording, file_path=file_path, start=writer.append(waveform)))
    if tagged:
        kinds = ", ".join(f"{kind} in {n} files" for kind, n in sorted(tagged.items()))
        print(
            f"{folder}: tags hold personal data: {kinds}; they reach no output, and are better taken out of the files"
        )
    return accepted, refused


def _mono(
    folder: Path, sample_rate: int, ingest: IngestParams, max_seconds: float, file_path: str
) -> tuple[NDArray[np.float32], Recording, set[str]] | Refusal:
    """All that is to be known of one file, but where its waveform will lie."""
    decoded = decode(folder / file_path, ingest, max_seconds)
    if isinstance(decoded, Refusal):
        return decoded
    waveform = np.ascontiguousarray(resample(to_mono(decoded.samples), decoded.sample_rate, sample_rate))
    refusal = refuse_samples(waveform, ingest.min_peak)  # channels may cancel out; all sound may lie above Nyquist
    if refusal is not None:
        return Refusal(refusal.code, f"once mono at {sample_rate} Hz: {refusal.reason}")
    digest, header = sha256(waveform.data).hexdigest(), asdict(decoded.header)
    recording = Recording(file_path, 0, waveform.size, decoded.sample_rate, digest=digest, **header)
    return waveform, recording, personal_tags(folder / file_path, decoded.comments)


def same_bytes(folder: Path, files: Located, file_paths: Iterable[str]) -> list[list[str]]:
    """The files that are copies of one another, a list for each content that occurs more than once."""
    copies: dict[str, list[str]] = defaultdict(list)
    for file_path in file_paths:
        with (folder / files.places[file_path]).open("rb") as file:
            copies[file_digest(file, "sha256").hexdigest()].append(file_path)
    return [paths for paths in copies.values() if len(paths) > 1]


def drop_waveforms(out: Path, kept: Sequence[Recording]) -> list[Recording]:
    """Rewrite ``out/waveforms.npy`` without the recordings that are not kept; their new places."""
    all_ = read_array(out / WAVEFORMS)
    with ArrayWriter(out / WAVEFORMS) as writer:  # what is read stays mapped until the new one takes its name
        return [replace(r, start=writer.append(all_[r.start : r.start + r.n_samples])) for r in kept]


def on_one_line(text: str) -> str:
    """What a terminal shows as it is, or its escapes: a name may hold line ends, colours and worse."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def write_rejects(refused: Refused, out: Path, n_files: int, max_rejected: float) -> None:
    """``out/rejects.csv``: one row a refused file; and a DataError where they are too many."""
    rows = sorted((file_path, refusal.code, refusal.reason) for file_path, refusal in refused)
    table = pl.DataFrame(rows, schema=["file_path", "code", "reason"], orient="row")
    write_sheet(table.cast(pl.String), out / REJECTS)
    for file_path, code, reason in rows[:20]:
        print(f"refused {on_one_line(file_path)}: {code}: {on_one_line(reason)}")
    if len(rows) > 20:
        print(f"... and {len(rows) - 20} more: see {out / REJECTS}")
    if len(rows) / n_files > max_rejected:  # not len > max * n, which calls 29 of 100 more than 0.29
        raise DataError(
            f"{out / REJECTS}: {len(rows)} of {n_files} files refused, more than "
            f"ingest.max_rejected={max_rejected} allows; mend or remove them, or allow more"
        )
    if len(rows) == n_files:
        raise DataError(f"{out / REJECTS}: every file was refused")
