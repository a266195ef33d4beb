"""Our stages beside version 1's procedure and what a user would pick instead: `make bench-speed`, `make bench-quick`.

Every side of a comparison works on the same recordings of the demo corpus, in a process of its own, so that its peak
memory is its own; sides take turns (A B A B ...), so that a busy machine slows all of them alike. Ratios of
medians are what counts; seconds depend on the machine, which is written beside them.
"""

import argparse
import importlib.util
import json
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import cast

import numpy as np
import polars as pl
import soundfile
import torch
from torch.utils.data import DataLoader, Dataset

from measuring import unsettled
from spira.base.arithmetic import processor, variables
from spira.base.params import load
from spira.clips.parallel import n_cores, ordered_map
from spira.clips.recordings import read_waveforms
from spira.encoders.params import EmbeddingParams
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams
from spira.features.spectra import Frames
from spira.features.store import read_windows
from spira.ingest.acceptance import IngestParams
from spira.ingest.resampling import resample, to_mono
from spira.models.build import build, with_cpu_kernels
from spira.models.device import prepare
from spira.models.params import NetworkParams
from spira.stages import featurize, ingest, ingest_noise
from spira.training.loop import train_epochs
from spira.training.params import TrainParams
from version_1 import Features, SpiraConvV2, windows
from version_1 import learn as learn_as_version_1

RAW, NOISE = Path("data/raw/demo"), Path("data/raw/demo_noise")
RATE = 16_000
BATCH = 38  # windows
Tables = dict[str, dict[str, dict[str, float]]]  # by table and side, its figures
Seconds = tuple[float, float]  # taken, and of sound (or the number of windows) worked through


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--quick", action="store_true", help="fewer recordings and rounds")
    p.add_argument("--out", type=Path, help="write the figures here, as JSON")
    p.add_argument("--against", type=Path, help="exit with 1 where ours has fallen far behind these figures, as JSON")
    p.add_argument("--table", help="the one whose name has this in it")
    p.add_argument("--side", help=argparse.SUPPRESS)
    p.add_argument("--at", type=Path, help=argparse.SUPPRESS)
    asked = p.parse_args()
    if asked.side:
        took, amount = SIDES[asked.side](asked.at)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": took, "amount": amount, "peak_mb": peak}, allow_nan=False))
        return
    for side, package in PEERS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{side}: left out, for {package} is not installed; the extra `peers` has it")
            MFCC.remove(side)
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        set_up(at, n_clips=20 if asked.quick else 90)
        tables = {name: sides for name, sides in TABLES.items() if not asked.table or asked.table in name}
        found = {name: compared(sides, at, rounds=2 if asked.quick else 5) for name, sides in tables.items()}
    for name, rows in found.items():
        head = f"| | {UNITS[name]}, median | fastest to slowest | times the first | peak MB |"
        print(f"\n{name}\n\n{head}\n|---|---|---|---|---|")
        for side, of in rows.items():
            cells = f"{of['rate']:.1f} | {of['low']:.1f} to {of['high']:.1f} | {of['ratio']:.1f} | {of['peak_mb']:.0f}"
            print(f"| {side} | {cells} |")
    if asked.against:
        lost = list(fallen(found, json.loads(asked.against.read_text(encoding="utf-8"))["found"]))
        print("".join(f"\n{line}" for line in lost) or "\nno slower and no larger than it was")
        sys.exit(bool(lost))
    if asked.out:
        asked.out.write_text(
            json.dumps({"machine": machine(), "found": found}, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )


def fallen(found: Tables, before: Tables) -> Iterator[str]:
    """What is half as fast beside the first side of its table as it was, or takes half as much memory again.

    Fewer recordings, another machine and its neighbours move a ratio by less. Ours is a table's last side.
    """
    for name, sides in found.items():
        ours = list(sides)[-1]
        now, then = sides[ours], before[name][ours]
        if now["ratio"] < then["ratio"] / 2:
            yield f"{name}: {ours}: {now['ratio']:.1f} times the first, and was {then['ratio']:.1f}"
        if now["peak_mb"] > 1.5 * then["peak_mb"]:
            yield f"{name}: {ours}: {now['peak_mb']:.0f} MB, and was {then['peak_mb']:.0f}"


def set_up(at: Path, n_clips: int) -> None:
    """A corpus of some clips, ingested, and split so that all are for training."""
    table = pl.read_csv(RAW / "metadata.csv").sort("file_path").gather_every(320 // n_clips).head(n_clips)
    corpus = at / "corpus"
    corpus.mkdir()
    for name in table["file_path"]:
        (corpus / name).symlink_to((RAW / name).resolve())
    table.write_csv(corpus / "metadata.csv")
    long_recordings(at / "long_corpus", table)
    p = load("ingest", IngestParams)
    ingest.run(RATE, p, corpus=corpus, out=at / "clips")
    ingest.run(RATE, p, corpus=at / "long_corpus", out=at / "long_clips")
    ingest_noise.run(RATE, p, noise_corpus=NOISE, out=at / "noise")
    rows = pl.read_csv(at / "long_clips" / "clips.csv").select("clip_id", "speaker_id", "label")
    rows.with_columns(fold=pl.lit("holdout"), subset=pl.lit("train")).write_csv(at / "subsets.csv")


def long_recordings(corpus: Path, table: pl.DataFrame) -> None:
    """Of SPIRA's length, each repeated until it lasts 10 or 11 s: 90 of them have 675 windows of 4 s, one every second.

    The demo's are shorter.
    """
    corpus.mkdir()
    for i, name in enumerate(table["file_path"]):
        samples, rate = soundfile.read(RAW / name, dtype="int16")
        soundfile.write(corpus / name, np.resize(samples, (10 + i % 2) * rate), rate, subtype="PCM_16")
    table.write_csv(corpus / "metadata.csv")


def compared(sides: list[str], at: Path, rounds: int) -> dict[str, dict[str, float]]:
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            command = [sys.executable, __file__, "--side", side, "--at", str(at)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(side))
            taken[side].append(json.loads(done.stdout.splitlines()[-1]))
    rates = {side: [one["amount"] / one["seconds"] for one in ones] for side, ones in taken.items()}
    return {
        side: {
            "rate": median(rates[side]),
            "low": min(rates[side]),
            "high": max(rates[side]),
            "ratio": median(rates[side]) / median(rates[sides[0]]),
            "peak_mb": median(one["peak_mb"] for one in taken[side]),
        }
        for side in sides
    }


def environment(side: str) -> dict[str, str]:
    """Of a side's process: ours computes as a stage does, and everybody else by the widest vectors that there are."""
    return unsettled() | (variables("native" if "native" in side else "portable") if side.startswith("our") else {})


def timed(work: Callable[[], float]) -> Seconds:
    start = perf_counter()
    amount = work()
    return perf_counter() - start, amount


def epoch_of_version_1(at: Path, n_at_once: int) -> Seconds:
    """Decoding, resampling, noise, MFCC and network, for every clip; so many clips a batch."""
    table = pl.read_csv(at / "long_corpus" / "metadata.csv")
    labelled = table.select("file_path", "label").rows()
    clips = [(at / "long_corpus" / path, int(label == "patient")) for path, label in labelled]
    features = Features([NOISE / name for name in pl.read_csv(NOISE / "metadata.csv")["file_path"]])
    net = SpiraConvV2()
    torch.optim.Adam(net.parameters())  # the first imports torch's compiler, for 2 s; a training does so once
    return timed(lambda: learn_as_version_1(net, features, clips, n_at_once))


def epoch_of_ours(at: Path) -> Seconds:
    """Fresh noise and features for every clip, and the network; decoding was done once, by ingest.

    A batch has as many windows as version 1's has in five clips, 37.5 in the mean, and a micro-batch is a core's share.
    """
    device = prepare("cpu", seed=0)
    net = with_cpu_kernels(build("spiraconv_v2", load("network", NetworkParams), 401, 40), "compiled")
    noise = load("noise", NoiseParams).model_copy(update={"views": 1})
    every_second = WindowParams(seconds=4.0, step_seconds=1.0)
    features, n_threads = load("features", FeatureParams), torch.get_num_threads()
    sizes = {"batch_size": BATCH, "micro_batch_size": -(-BATCH // n_threads)}
    p = load("train", TrainParams).model_copy(update={"max_epochs": 1, **sizes})
    for slow in ("spira.models.cpu.kernels", "torchaudio.functional"):
        importlib.import_module(slow)  # as version 1's optimizer, above: a training does so once

    def work() -> float:
        with tempfile.TemporaryDirectory() as out:
            featurize.run(
                RATE,
                features,
                load("embedding", EmbeddingParams),
                every_second,
                noise,
                clips=at / "long_clips",
                noises=at / "noise",
                subsets=at / "subsets.csv",
                out=Path(out),
            )
            torch.set_num_threads(n_threads)  # featurize took one, as a process of its own may
            clips = pl.read_csv(at / "subsets.csv")["clip_id"].to_list()
            windows, table = read_windows(Path(out, "train"), "noisy", clips, length=401, step=100, device=device)
            list(train_epochs(net, windows, p, seed=0, names=table["clip_id"].to_list()))
            return len(windows)

    return timed(work)


def waveforms(at: Path) -> list[np.ndarray]:
    return [np.array(clip) for clip in read_waveforms(pl.read_csv(at / "clips" / "clips.csv"), at / "clips")]


def featured(at: Path, render: Callable[[np.ndarray], object], *, in_threads: bool = False) -> Seconds:
    """Minutes of sound; the first clip, which sets tables up, is not timed."""
    clips = waveforms(at)
    render(clips[0])
    if in_threads:
        torch.set_num_threads(1)

    def work() -> float:
        for _ in ordered_map(render, clips) if in_threads else map(render, clips):
            pass
        return sum(clip.size for clip in clips) / RATE / 60

    return timed(work)


def features_by_window(at: Path) -> Seconds:
    mfcc = Features([]).mfcc
    return featured(at, lambda clip: [mfcc(window) for window in windows(torch.from_numpy(clip))])


def features_by_librosa(at: Path) -> Seconds:
    import librosa

    stft = {"n_fft": 1200, "win_length": 400, "hop_length": 160, "n_mels": 40, "htk": True, "norm": None}
    return featured(at, lambda clip: librosa.feature.mfcc(y=clip, sr=RATE, n_mfcc=40, **stft))


def features_by_torchaudio(at: Path) -> Seconds:
    mfcc = Features([]).mfcc
    return featured(at, lambda clip: mfcc(torch.from_numpy(clip)))


def features_by_torchaudio_in_threads(at: Path) -> Seconds:
    mfcc = Features([]).mfcc
    return featured(at, lambda clip: mfcc(torch.from_numpy(clip)), in_threads=True)


def features_by_torchaudio_in_a_data_loader(at: Path) -> Seconds:
    """A process a core, one thread in each; begun, and fed the clips once, before the clock is."""
    clips, mfcc = [torch.from_numpy(clip) for clip in waveforms(at)], Features([]).mfcc
    loader: DataLoader[torch.Tensor] = DataLoader(
        cast("Dataset[torch.Tensor]", clips),
        batch_size=None,
        num_workers=n_cores(),
        collate_fn=mfcc,
        persistent_workers=True,
    )

    def work() -> float:
        for _ in loader:
            pass
        return sum(len(clip) for clip in clips) / RATE / 60

    work()
    return timed(work)


def ffts_alone(at: Path) -> Seconds:
    """The real FFT of as many frames, in blocks as ours are, and nothing else: what no way of ours is faster than."""
    frames = Frames(load("features", FeatureParams), RATE)
    block = torch.rand(128, frames.size)

    def render(clip: np.ndarray) -> None:
        n_frames = 1 + clip.size // frames.p.hop_length
        for start in range(0, n_frames, len(block)):
            torch.fft.rfft(block[: n_frames - start])

    return featured(at, render, in_threads=True)


def features_of_ours(at: Path) -> Seconds:
    frames = Frames(load("features", FeatureParams), RATE)
    return featured(at, lambda clip: frames(torch.from_numpy(clip)), in_threads=True)


def features_by_speechbrain(at: Path) -> Seconds:
    from speechbrain.lobes.features import MFCC

    mfcc = MFCC(deltas=False, context=False, sample_rate=RATE, n_fft=1200, n_mels=40, n_mfcc=40)
    return featured(at, lambda clip: mfcc(torch.from_numpy(clip)[None]))


def features_by_opensmile(at: Path) -> Seconds:
    import opensmile

    level = opensmile.FeatureLevel.LowLevelDescriptors
    smile = opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level)
    return featured(at, lambda clip: smile.process_signal(clip, RATE))


def read_alone(at: Path) -> Seconds:
    """libsndfile and the SoX resampler on all cores, no question asked; and the samples on disk."""
    corpus = at / "long_corpus"

    def waveform(name: str) -> np.ndarray:
        samples, rate = soundfile.read(corpus / name, dtype="float32", always_2d=True)
        return resample(to_mono(samples), rate, RATE)

    def work() -> float:
        n_samples = 0
        with tempfile.TemporaryFile() as file:
            for samples in ordered_map(waveform, pl.read_csv(corpus / "metadata.csv")["file_path"].to_list()):
                file.write(np.ascontiguousarray(samples).data)
                n_samples += samples.size
        return n_samples / RATE / 60

    return timed(work)


def read_by_torchaudio(at: Path) -> Seconds:
    """The same with torchaudio's resampler, whose filters are made anew for each rate of a process."""
    from torchaudio.transforms import Resample

    torch.set_num_threads(1)
    corpus, filters = at / "long_corpus", {}

    def waveform(name: str) -> np.ndarray:
        samples, rate = soundfile.read(corpus / name, dtype="float32", always_2d=True)
        if rate not in filters:
            filters[rate] = Resample(rate, RATE)
        made: np.ndarray = filters[rate](torch.from_numpy(to_mono(samples))).numpy()
        return made

    names = pl.read_csv(corpus / "metadata.csv")["file_path"].to_list()
    return timed(lambda: sum(samples.size for samples in ordered_map(waveform, names)) / RATE / 60)


def ingest_of_ours(at: Path) -> Seconds:
    """Each file in a guarded process, checked, its tags looked at, its digest taken."""
    n_minutes = float(pl.read_csv(at / "long_clips" / "clips.csv")["n_samples"].sum()) / RATE / 60

    def work() -> float:
        with tempfile.TemporaryDirectory() as out:
            ingest.run(RATE, load("ingest", IngestParams), corpus=at / "long_corpus", out=Path(out))
        return n_minutes

    return timed(work)


def machine() -> dict[str, object]:
    return {"cpu": processor(), "cores": n_cores(), "system": platform.platform(terse=True), "torch": torch.__version__}


SIDES: dict[str, Callable[[Path], Seconds]] = {
    "version 1, 30 clips a batch": partial(epoch_of_version_1, n_at_once=30),
    "version 1, 5 clips a batch": partial(epoch_of_version_1, n_at_once=5),
    "ours, native": epoch_of_ours,
    "ours": epoch_of_ours,
    "decoder and resampler alone": read_alone,
    "decoder, and torchaudio's resampler": read_by_torchaudio,
    "our ingest": ingest_of_ours,
    "version 1, window by window": features_by_window,
    "librosa, file by file": features_by_librosa,
    "SpeechBrain, clip by clip": features_by_speechbrain,
    "openSMILE, clip by clip; its own features": features_by_opensmile,
    "torchaudio, clip by clip": features_by_torchaudio,
    "torchaudio, a clip a thread": features_by_torchaudio_in_threads,
    "torchaudio, in a DataLoader": features_by_torchaudio_in_a_data_loader,
    "the FFT of each frame alone, a clip a thread": ffts_alone,
    "our frames, native, a clip a thread": features_of_ours,
    "our frames, a clip a thread": features_of_ours,
}
PEERS = {"SpeechBrain, clip by clip": "speechbrain", "openSMILE, clip by clip; its own features": "opensmile"}
MFCC = [
    "version 1, window by window",
    "librosa, file by file",
    *PEERS,
    "torchaudio, clip by clip",
    "torchaudio, a clip a thread",
    "torchaudio, in a DataLoader",
    "the FFT of each frame alone, a clip a thread",
    "our frames, native, a clip a thread",
    "our frames, a clip a thread",
]
TABLES = {
    "A training epoch with version 1's settings: fresh noise, features, SpiraConvV2": [
        "version 1, 30 clips a batch",
        "version 1, 5 clips a batch",
        "ours, native",
        "ours",
    ],
    "Recordings to 16 kHz mono, on all cores": [
        "decoder and resampler alone",
        "decoder, and torchaudio's resampler",
        "our ingest",
    ],
    "MFCC of 16 kHz waveforms": MFCC,
}
UNITS = dict(zip(TABLES, ("windows a second", *["minutes of sound a second"] * 2), strict=True))

if __name__ == "__main__":
    main()
