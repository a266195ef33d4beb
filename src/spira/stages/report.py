"""report: what was measured and probed -> a page to read, its Markdown twin, a model card and a data card."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from spira.base.params import PARAMS, load, read
from spira.base.stage_process import as_stage
from spira.base.tables import read_json
from spira.clips.recordings import FACTS, clip_facts
from spira.evaluation.files import read_numbers
from spira.evaluation.markdown import html, table
from spira.evaluation.params import EvaluateParams, ReportParams
from spira.report.cards import data_card, model_card
from spira.report.files import (
    base64,
    digests,
    flac,
    packages,
    read_card,
    read_clips,
    read_plots,
    read_rows,
    render,
    write_texts,
)
from spira.report.headline import title
from spira.report.page import Part, parts, verdict
from spira.report.sound_pictures import envelope, peaks_of, spectrogram

HEADLINE = ("auc", "sensitivity", "specificity")


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
    template: Path = Path("docs/page.html"),
    requirements: Path = Path("requirements.txt"),
    page: Path = Path("data/report/index.html"),
    twin: Path = Path("data/report/report.md"),
    of_model: Path = Path("data/report/model_card.md"),
    of_data: Path = Path("data/report/data_card.md"),
) -> None:
    evaluate, settings = load("evaluate", EvaluateParams, path=params), load("report", ReportParams, path=params)
    every, _ = read(params)
    tree, probed, people = read_numbers(evaluation), read_json(probes), read_rows(subsets)
    level, said = verdict(tree, probed, evaluate.threshold_condition)
    made = parts(tree, probed, read_plots(plots), people, every, evaluate)
    made.append(_lineage([evaluation, probes, worst, subsets, card, params, requirements], requirements))
    audible = settings.embed_audio or every["corpus"] == "demo"
    content = {
        "corpus": tree["corpus"],
        "level": level,
        "said": Markup(html(said)),
        "condition": evaluate.threshold_condition,
        "numbers": [_number(tree[evaluate.threshold_condition], name) for name in HEADLINE],
        "confidence": f"{100 * evaluate.confidence:g}",
        "people": "{n_speakers} test speakers, {n_patients} of them patients; {n_clips} clips.".format(**tree["test"]),
        "parts": [_part(part) for part in made],
        "clips": _clips(read_rows(worst, sheet=True), clips, every["sample_rate"], audible=audible),
        "rate": every["sample_rate"],
        "audio": audible,
    }
    by_title = {part.title: part.text for part in made}
    written, told_of = read_card(card), {name: by_title[name] for name in ("Results", "Subgroups", "Calibration")}
    body = "\n\n".join(f"## {part.title}\n\n{part.text.strip()}" for part in made[1:])
    write_texts(
        {
            page: render(template, content),
            twin: f"**{level}**: {said}\n\n{by_title['Results'].strip()}\n\n{body}\n",
            of_model: model_card(written, f"**{level}**: {said}", told_of, every),
            of_data: data_card(written, tree["corpus"], people, _facts(clips), every),
        }
    )


def _part(part: Part) -> dict[str, Any]:
    figures = [{"svg": Markup(figure.svg), "reading": figure.reading} for figure in part.figures]
    name = part.title.lower().replace(" ", "-")
    return {"id": name, "title": part.title, "html": Markup(html(part.text)), "figures": figures}


def _number(of: Mapping[str, float], name: str) -> dict[str, Any]:
    return {"name": title(name), "value": of[name], "lo": of[f"{name}_lo"], "hi": of[f"{name}_hi"]}


def _clips(rows: Sequence[Sequence[str]], folder: Path, rate: int, *, audible: bool) -> list[dict[str, Any]]:
    """Each of the worst clips with its pictures, and its sound where that may be embedded."""
    wrong = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    sounds = read_clips([of["clip_id"] for of in wrong], folder)
    made = []
    for of in wrong:
        name, samples = of["clip_id"], sounds[of["clip_id"]]
        facts = ", ".join(f"{fact} {of[fact]}" for fact in FACTS if of.get(fact))
        told = f"Is a {of['label']}; score {float(of['score']):.3f}, threshold {float(of['threshold']):.3f}. {facts}"
        wave = Markup(envelope(f"Waveform of {name}", peaks_of(samples), samples.size / rate))
        picture, sound = base64(spectrogram(samples, rate)), flac(samples, rate) if audible else ""
        made.append({"name": name, "told": told, "wave": wave, "spectrogram": picture, "audio": sound})
    return made


def _lineage(files: Sequence[Path], requirements: Path) -> Part:
    text = (
        "What this page was made of, by the hash that `dvc.lock` has too; that file names by hash all that these were "
        "made of in turn: recordings, code, models. No file can hold the commit that contains it: "
        "`git log -1 -- dvc.lock` names it.\n\n" + table(["file", "md5"], digests(files)) + "\n\n"
    )
    return Part("Lineage", text + table(["package", "version"], packages(requirements)))


def _facts(clips: Path) -> str:
    """Of each fact, for how many clips it is known."""
    ids = [row[0] for row in read_rows(clips / "clips.csv")[1:]]
    known = {name: np.count_nonzero(cells) for name, cells in _known(ids, clips).items()}
    return table(["fact", "clips for which it is known"], [[name, f"{n} of {len(ids)}"] for name, n in known.items()])


def _known(ids: Sequence[str], clips: Path) -> dict[str, list[bool]]:
    return {name: [bool(cell) for cell in cells] for name, cells in clip_facts(ids, FACTS, clips / "clips.csv").items()}


if __name__ == "__main__":
    with as_stage():
        run()
