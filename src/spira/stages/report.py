"""report: what was measured and probed -> a page to read, its Markdown twin, a model card and a data card."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spira.base.params import PARAMS, load, read
from spira.base.stage_process import as_stage
from spira.clips.recordings import FACTS, clip_facts
from spira.evaluation.files import read_evaluation
from spira.evaluation.params import EvaluateParams, ReportParams
from spira.report.cards import card_of, data_card, model_card
from spira.report.files import (
    base64,
    flac,
    md5_sums,
    packages,
    read_card,
    read_clips,
    read_plots,
    read_probes,
    read_rows,
    render,
    write_texts,
)
from spira.report.page import Sources, make_report
from spira.report.sound_pictures import envelope, loudest_samples, spectrogram


class ClipPicture(NamedTuple):
    """One of the worst clips as the page shows it."""

    name: str
    caption: str
    waveform: str  # SVG
    spectrogram: str  # PNG, as base64
    sound: str  # FLAC, as base64; empty where it must not be embedded


def run(
    *,
    params: Path = PARAMS,
    evaluation: Path = Path("data/evaluation.json"),
    probes: Path = Path("data/probes.json"),
    plots: Path = Path("data/plots"),
    worst: Path = Path("data/worst_clips.csv"),
    clips: Path = Path("data/clips"),
    subsets: Path = Path("data/subsets_summary.csv"),
    card: Path = Path("docs/card.yaml"),
    requirements: Path = Path("requirements.txt"),
    page: Path = Path("data/report/index.html"),
    twin: Path = Path("data/report/report.md"),
    model: Path = Path("data/report/model_card.md"),
    data: Path = Path("data/report/data_card.md"),
) -> None:
    evaluate, settings = load("evaluate", EvaluateParams, path=params), load("report", ReportParams, path=params)
    all_params, _ = read(params)
    found, people = read_evaluation(evaluation), read_rows(subsets)
    files = [evaluation, probes, worst, subsets, card, params, requirements]
    sources = Sources(
        evaluation=found,
        probes=read_probes(probes, found.models),
        plots=read_plots(plots),
        subsets=people,
        params=all_params,
        files=md5_sums(files),
        packages=packages(requirements),
    )
    report = make_report(sources, evaluate)
    audio, sample_rate = settings.embed_audio or all_params["corpus"] == "demo", all_params["sample_rate"]
    content = {
        "report": report,
        "evaluation": found,
        "confidence": evaluate.confidence,
        "sample_rate": sample_rate,
        "audio": audio,
        "clips": _pictures(read_rows(worst, sheet=True), clips, sample_rate, audio=audio),
    }
    written = card_of(read_card(card), all_params["corpus"])
    repeated = [report.side_by_side, report.results, report.subgroups, report.calibration]
    write_texts(
        {
            page: render(content),
            twin: report.markdown(),
            model: model_card(written, found.deployed, report.opening, people, repeated, all_params),
            data: data_card(written, found.corpus, people, _known_facts(clips), all_params),
        }
    )


def _pictures(rows: Sequence[Sequence[str]], folder: Path, rate: int, *, audio: bool) -> list[ClipPicture]:
    """Each of the worst clips with its pictures, and its sound where that may be embedded."""
    worst = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    sounds = read_clips([row["clip_id"] for row in worst], folder)
    pictures = []
    for row in worst:
        name, samples = row["clip_id"], sounds[row["clip_id"]]
        facts = ", ".join(f"{fact} {row[fact]}" for fact in FACTS if row.get(fact))
        scores = f"score {float(row['score']):.3f}, threshold {float(row['threshold']):.3f}"
        wave = envelope(f"Waveform of {name}", loudest_samples(samples), samples.size / rate)
        sound = flac(samples, rate) if audio else ""
        caption = f"{row['label'].capitalize()}; {scores}. {facts}"
        pictures.append(ClipPicture(name, caption, wave, base64(spectrogram(samples, rate)), sound))
    return pictures


def _known_facts(clips: Path) -> list[list[str]]:
    """Each fact, and for how many clips it is known."""
    names = [row[0] for row in read_rows(clips / "clips.csv")[1:]]
    facts = clip_facts(names, FACTS, clips / "clips.csv")
    return [[fact, f"{sum(map(bool, cells))} of {len(names)}"] for fact, cells in facts.items()]


if __name__ == "__main__":
    with as_stage():
        run()
