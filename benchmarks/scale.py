"""How time, memory and the number of files grow with the number of clips, stage by stage: `make bench-scale`.

Corpora of clips whose content is repeated but for two samples, so that none is a copy of another: of 1 s, or of
`--seconds 0.2` where there are to be a million; each in a file, or `--packed` in tar shards. Each stage is a process of
its own: processor seconds are its own and its workers', which a busy machine changes little; memory
is the most that they held together, looked at every 200 ms. Pages of mapped files are counted apart: the system takes
them back where it needs them.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from shutil import rmtree, which
from time import perf_counter, sleep

import numpy as np
import psutil
import yaml

from measuring import children_seconds
from spira.clips import shards

RATE = 16_000
SIZES = (1000, 4000, 16_000)
SEEDS = (1,)
ONE_MORE = "featurize, one clip more"
STAGES = ("ingest", "split", "featurize", "predict", "dvc status", ONE_MORE)
OUTS = {"ingest": "clips", "split": "subsets.csv", "featurize": "features", "predict": "predictions.csv"}
Measured = dict[str, float]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--clips", type=int, nargs="+", default=SIZES, help="sizes of the corpora")
    p.add_argument("--stages", nargs="+", default=STAGES)
    p.add_argument("--seconds", type=float, default=1.0, help="of each clip")
    p.add_argument("--packed", action="store_true", help="the corpus is in tar shards, as `spira pack` makes them")
    p.add_argument("--folder", type=Path, help="keep what is made here, and go on from what is there")
    p.add_argument("--out", type=Path, help="write the figures here, as JSON")
    p.add_argument("--stage", help=argparse.SUPPRESS)
    p.add_argument("--shard-bytes", type=int, default=shards.SHARD_BYTES, help=argparse.SUPPRESS)
    asked = p.parse_args()
    if asked.stage:
        shards.SHARD_BYTES = asked.shard_bytes  # before the stage is imported: a small corpus has several, too
        os.environ["DVC_ROOT"] = str(asked.folder)  # as DVC sets it: a stage keeps there what its next run can use
        run_stage(asked.stage, asked.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        top = asked.folder or Path(temporary)
        found = {n: measured(top / str(n), n, asked) for n in asked.clips}
    show(found)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def measured(at: Path, n: int, asked: argparse.Namespace) -> dict[str, Measured]:
    """What each stage takes of a corpus of n clips, `dvc status` once all are done, and then one clip more."""
    found = {} if (at / "data/raw/many").exists() else bring(at, n, asked.seconds, packed=asked.packed)
    run_stage("ingest_noise", at)
    for stage in asked.stages:
        if stage == "dvc status":
            found[stage] = status(at)
            continue
        if stage == ONE_MORE:
            add_clip(at, n)
        name = stage.partition(",")[0]
        found[stage] = measure_stage(name, at)
        found[stage] |= held(at / "data" / OUTS[name])
    return found


def bring(at: Path, n: int, seconds: float, *, packed: bool) -> dict[str, Measured]:
    """Writes the corpus and the noise; returns what packing took, where the corpus is packed."""
    corpus, found = at / "data/raw/many", dict[str, Measured]()
    write_corpus(at / "loose", n, seconds)
    if packed:
        command = [sys.executable, "-m", "spira", "pack", str(at / "loose"), str(corpus)]
        found["pack"] = measure_process(command) | held(corpus)
        rmtree(at / "loose")
    else:
        corpus.parent.mkdir(parents=True)
        (at / "loose").rename(corpus)
    write_noise(at / "data/raw/hiss")
    return found


def held(out: Path) -> Measured:
    """The number of files of an output, and what they hold."""
    files = [file for file in out.rglob("*") if file.is_file()] or [out]
    return {"files": len(files), "out_mb": sum(file.stat().st_size for file in files) / 2**20}


def measure_stage(stage: str, at: Path) -> Measured:
    """As DVC has it run: what the stage left before is gone but for what it keeps in `.ckpt`."""
    out = at / "data" / OUTS[stage]
    if out.is_dir():
        rmtree(out)
    return measure_process([sys.executable, __file__, "--stage", stage, "--folder", str(at)])


def add_clip(at: Path, n: int) -> None:
    """Through ingest and split; its name is before all others, so that each of them has another place."""
    import soundfile

    corpus, name = at / "data/raw/many", f"!{n}.wav"
    soundfile.write(corpus / name, 0.1 * np.random.default_rng(n).standard_normal(RATE), RATE, subtype="PCM_16")
    with (corpus / "metadata.csv").open("a", encoding="utf-8") as table:
        table.write(f"{name},patient,s1\n")
    for stage in ("ingest", "split"):
        measure_stage(stage, at)


def measure_process(command: list[str], where: Path | None = None) -> Measured:
    """Processor seconds of a command and its workers, and the most megabytes that they held together."""
    start, before, own, mapped = perf_counter(), children_seconds(), 0.0, 0.0
    process = subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        held = memory_of_tree(process.pid)
        own, mapped = max(own, held[0]), max(mapped, held[1])
        sleep(0.2)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with status {process.returncode}")
    spent = children_seconds() - before
    return {"processor_seconds": spent, "seconds": perf_counter() - start, "own_mb": own, "mapped_mb": mapped}


def memory_of_tree(pid: int) -> tuple[float, float]:
    """Megabytes of a process and its children: their own, and pages of files, which the system may take back."""
    kilobytes = [0, 0]
    with suppress(OSError, psutil.NoSuchProcess):
        for one in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))):
            lines = Path(f"/proc/{one}/status").read_text(encoding="ascii").splitlines()
            rows = dict(line.split(":", 1) for line in lines)
            for i, name in enumerate(("RssAnon", "RssFile")):
                kilobytes[i] += int(rows.get(name, "0 kB").split()[0])
    return kilobytes[0] / 1024, kilobytes[1] / 1024


def write_corpus(folder: Path, n: int, seconds: float = 1.0) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    contents = [(3000 * rng.standard_normal(round(seconds * RATE))).astype("<i2") for _ in range(16)]
    rows = ["file_path,label,speaker_id"]
    for i in range(n):
        samples = contents[i % 16].copy()
        samples[:2] = i % 30_000 - 15_000, i // 30_000  # so that it is no copy
        form = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", samples.nbytes)
        wave = struct.pack("<4sI4s", b"RIFF", 36 + samples.nbytes, b"WAVE") + form + samples.tobytes()
        name = f"{i // 1000:03}/{i:07}.wav"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(wave)
        rows.append(f"{name},{('control', 'patient')[i % 2]},s{i // 4 * 2 + i % 2}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_noise(folder: Path) -> None:
    import soundfile

    folder.mkdir(parents=True)
    for i in range(3):
        hiss = 0.05 * np.random.default_rng(i).standard_normal(20 * RATE)
        soundfile.write(folder / f"{i}.wav", hiss, RATE, subtype="PCM_16")
    (folder / "metadata.csv").write_text("file_path\n0.wav\n1.wav\n2.wav\n", encoding="utf-8")


def run_stage(stage: str, at: Path) -> None:
    """A stage as `dvc repro` runs it, but for short clips and windows, one noisy view, and untrained models."""
    from spira.base.params import load
    from spira.ingest.acceptance import IngestParams

    data = at / "data"
    if stage in ("ingest", "ingest_noise"):
        from spira.stages import ingest, ingest_noise

        p = load("ingest", IngestParams).model_copy(update={"min_seconds": 0.1})
        if stage == "ingest":
            ingest.run(RATE, p, corpus=data / "raw/many", out=data / "clips")
        else:
            ingest_noise.run(RATE, p, noise_corpus=data / "raw/hiss", out=data / "noise")
    elif stage == "split":
        from spira.split.holdout import SplitParams
        from spira.stages import split

        paths = {"subsets": data / "subsets.csv", "folds": data / "folds", "summary": data / "subsets_summary.csv"}
        split.run(RATE, load("split", SplitParams), clips=data / "clips/clips.csv", **paths)
    else:
        with_tensors(stage, data)


def with_tensors(stage: str, data: Path) -> None:
    import torch

    from spira.base.params import load
    from spira.encoders.params import EmbeddingParams
    from spira.features.noise import NoiseParams
    from spira.features.params import FeatureParams, WindowParams, frame_shape
    from spira.models.build import build
    from spira.models.params import CpuKernels, ModelsParams, NetworkParams
    from spira.models.store import save_model
    from spira.predictions.params import PredictParams
    from spira.stages import featurize, predict

    features, windows = load("features", FeatureParams), WindowParams(seconds=1.0, step_seconds=1.0)
    embedding, subsets = load("embedding", EmbeddingParams), data / "subsets.csv"
    if stage == "featurize":
        noise = load("noise", NoiseParams).model_copy(update={"views": 1})
        clips, noises, out = (data / name for name in ("clips", "noise", "features"))
        sections = RATE, features, embedding, windows, noise
        featurize.run(*sections, clips=clips, noises=noises, subsets=subsets, out=out)
        return
    shape = frame_shape(features, embedding, RATE)
    network, n_frames = load("network", NetworkParams), windows.frames(RATE, shape)[0]
    for seed in SEEDS:
        torch.manual_seed(seed)
        net = build("pooled_cnn", network, n_frames, shape.n_features)
        facts = {"model": "pooled_cnn", "network": network.model_dump(), "n_frames": n_frames}
        facts |= {"n_features": features.n_features(RATE)}
        save_model(net.state_dict(), facts, data / f"models/pooled_cnn/holdout/{seed}")
    predict.run(
        ModelsParams(networks=("pooled_cnn",), baselines=()),
        SEEDS,
        RATE,
        features,
        embedding,
        windows,
        load("predict", PredictParams),
        load("cpu_kernels", CpuKernels),
        subsets=subsets,
        trained=data / "models",
        validation=data / "features/validation",
        test=data / "features/test",
        out=data / "predictions.csv",
    )


def status(at: Path) -> Measured:
    """`dvc status` of a repository that holds the corpus and every output, with nothing changed; the second run."""
    from spira.repository.git import environment_without_git

    names = ["raw/many", "noise", "folds", *OUTS.values()]
    outs = [f"data/{name}" for name in names if (at / "data" / name).exists()]
    stages = {Path(out).stem: {"cmd": "true", "outs": [out]} for out in outs}
    (at / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    new = [] if (at / ".dvc").exists() else ["git init -q", "dvc init -q", "dvc config cache.type hardlink,copy"]
    for words in (*new, "dvc commit -q -f"):
        tool, *rest = words.split()
        subprocess.run([which(tool) or tool, *rest], cwd=at, env=environment_without_git(), check=True)
    measure_process([which("dvc") or "dvc", "status", "-q"], at)
    found = [held(at / out) for out in outs]
    total = {name: sum(one[name] for one in found) for name in ("files", "out_mb")}
    return measure_process([which("dvc") or "dvc", "status", "-q"], at) | total


def show(found: dict[int, dict[str, Measured]]) -> None:
    head = "| | clips | processor s | s | ms a clip | MB of its own | MB of files mapped | files | MB |"
    print(f"{os.cpu_count()} cores\n\n{head}\n{'|---' * head.count('| ')}|")
    for stage in next(iter(found.values())):
        for n, stages in found.items():
            of = stages[stage]
            took = f"{of['processor_seconds']:.1f} | {of['seconds']:.1f} | {1000 * of['processor_seconds'] / n:.2f}"
            print(f"| {stage} | {n} | {took} | {of['own_mb']:.0f} | {of['mapped_mb']:.0f} | ", end="")
            print(f"{of['files']:.0f} | {of['out_mb']:.0f} |")


if __name__ == "__main__":
    main()
