"""The page that a clinician opens: what it says first, that it needs nothing else, that a browser shows it all."""

import json
import re
import shutil
import zlib
from collections.abc import Iterator
from hashlib import md5
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from browser import CHROMIUM, seen
from evaluated import BASELINE, MODEL_PARAMS, NETWORK, P, facts, predictions
from spira.base.errors import DataError, ParamError, visible
from spira.base.tables import write_sheet
from spira.commands.release_check import release_check
from spira.evaluation.files import read_evaluation
from spira.evaluation.results import Evaluation
from spira.probes.results import ProbeAnswer
from spira.probes.study import Verdict
from spira.report.blocks import Badge, Code, Figure, Section, Table, Unbroken, html, markdown, markdown_line, sentence
from spira.report.cards import BY_A_PERSON, Card, card_of, model_card, people, unwritten
from spira.report.files import read_card, read_plots, read_probes, read_rows, render
from spira.report.page import Report, Sources, make_report
from spira.report.sections import side_by_side_section
from spira.report.sound_pictures import loudest_samples, spectrogram
from spira.report.verdict import verdict
from spira.stages import evaluate, report
from tiny import ROOT

SECTIONS = (
    *(
        "verdict",
        "headline",
        "side-by-side",
        "results",
        "threshold",
        "operating-points",
        "calibration",
        "subgroups",
        "probes",
    ),
    *("worst-clips", "data", "parameters", "lineage"),
)


class Made:
    """What the stage wrote of a small study, in a folder of its own."""

    def __init__(self, folder: Path, corpus: str = "demo") -> None:
        (folder / "data/clips").mkdir(parents=True)
        self.folder, self.at = folder, {name: folder / path for name, path in PATHS.items()}
        params = yaml.safe_load((ROOT / "params.yaml").read_text()) | MODEL_PARAMS | {"corpus": corpus}
        self.at["params"].write_text(yaml.safe_dump(params))
        predictions().write_csv(folder / "predictions.csv")
        self._write_clips()
        evaluate.run(
            corpus,
            P,
            predictions=folder / "predictions.csv",
            clips=self.at["clips"] / "clips.csv",
            metrics=folder / "metrics.json",
            **{name: self.at[name] for name in ("evaluation", "worst", "plots")},
        )
        self.evaluation = read_evaluation(self.at["evaluation"])
        shutil.copy2(ROOT / "tests/support/probes.json", self.at["probes"])
        self.at["subsets"].write_text(SUBSETS)
        self.render()

    def _write_clips(self) -> None:
        table, n = facts(predictions()), 4000
        starts = pl.Series("start", [i * n for i in range(table.height)])
        table.with_columns(starts, shard=pl.lit(0), n_samples=pl.lit(n)).write_csv(self.at["clips"] / "clips.csv")
        t = np.arange(table.height * n) / 16_000
        np.save(self.at["clips"] / "waveforms-000.npy", (0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32))

    def render(self) -> None:
        own = {"card": ROOT / "docs/card.yaml", "requirements": ROOT / "requirements.txt"}
        report.run(**{**own, **self.at})
        self.page, self.twin, self.model, self.data = (
            self.at[name].read_text(encoding="utf-8") for name in ("page", "twin", "model", "data")
        )


SUBSETS = "fold,subset,speakers,patients\nholdout,train,40,20\nholdout,validation,16,8\nholdout,test,20,10\n"
PATHS = {
    "params": "params.yaml",
    "evaluation": "data/evaluation.json",
    "probes": "data/probes.json",
    "plots": "data/plots",
    "worst": "data/worst_clips.csv",
    "clips": "data/clips",
    "subsets": "data/subsets.csv",
    "page": "out/index.html",
    "twin": "out/report.md",
    "model": "out/model.md",
    "data": "out/data.md",
}


def changed(found: Evaluation, keys: tuple[str, ...], value: float) -> Evaluation:
    """The evaluation with another number in one place."""
    tree = json.loads(found.model_dump_json())
    inner = tree
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return Evaluation.model_validate(tree)


def numbers(tree: dict[str, Any], keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Each number and where it stands."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from numbers(value, (*keys, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*keys, key), value


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("page") / "run")


def test_it_needs_nothing_but_itself(made: Made) -> None:
    """No address of anything else, no script; styles, pictures and sounds are inside."""
    assert not re.search(r"https?://|<script|<link(?! rel=\"icon\" href=\"data:,\")|@import", made.page)
    assert set(re.findall(r"src=\"(\w+:\w+/\w+)", made.page)) == {"data:image/png", "data:audio/flac"}


def test_the_same_inputs_give_the_same_bytes(made: Made) -> None:
    """No clock, no random name."""
    before = md5(made.page.encode()).hexdigest()
    made.render()
    assert md5(made.page.encode()).hexdigest() == before


def test_a_failed_probe_comes_before_any_number(made: Made) -> None:
    """By its name, in the page and in its twin."""
    said = f"Do not trust this result: the probe `background` failed. The AUC of `{NETWORK}`, "
    assert made.twin.startswith(f"**fail**: {said}")
    assert "may reflect something other than breathing." in made.twin.partition("\n")[0]
    assert made.page.index("Do not trust this result") < made.page.index('id="headline"')
    assert 'class="verdict fail"' in made.page


@pytest.mark.parametrize(
    ("verdicts", "lo", "level", "words"),
    [
        (["pass", "pass"], 0.7, "pass", "Every probe that ran passed"),
        (["pass", "warn"], 0.7, "warn", "There is a doubt: the probe `p1` warned"),
        (["fail", "fail"], 0.7, "fail", "the probes `p0`, `p1` failed"),
        (["pass", "pass"], 0.5, "fail", "includes 0.5, which is guessing"),
        (["not run"], 0.7, "warn", "No probe has run"),
    ],
)
def test_the_verdict_is_one_plain_sentence(
    made: Made, verdicts: list[Verdict], lo: float, level: str, words: str
) -> None:
    """What probes and interval decide; nothing that did not run counts as passed."""
    probes = {f"p{i}": ProbeAnswer(question="", verdict=of, rule="", why="") for i, of in enumerate(verdicts)}
    evaluation = changed(made.evaluation, ("models", NETWORK, "conditions", "noisy", "metrics", "auc", "lo"), lo)
    found = verdict(evaluation, probes)
    assert (found.level, words in markdown_line(found.line)) == (level, True)


def test_the_twin_names_no_clip_and_the_page_each_of_the_worst(made: Made) -> None:
    """Git holds the twin and the cards; DVC holds the page."""
    worst = pl.read_csv(made.at["worst"])["clip_id"].to_list()
    assert worst
    assert all(f"<h3>{clip}</h3>" in made.page for clip in worst)
    assert ".wav" not in made.twin + made.model + made.data
    assert "/report/index.html" in (ROOT / "data/.gitignore").read_text().splitlines()


def test_a_voice_is_embedded_only_where_that_was_asked(tmp_path: Path) -> None:
    """Another corpus than the demo has pictures and no sound, until a parameter says so."""
    private = Made(tmp_path / "run", corpus="ward")
    assert "<audio" not in private.page
    assert "The recordings are not embedded" in private.page
    params = private.at["params"]
    params.write_text(params.read_text().replace("embed_audio: false", "embed_audio: true"))
    private.render()
    assert private.page.count("<audio") == pl.read_csv(private.at["worst"]).height
    assert "SYNTHETIC" not in private.twin + private.model + private.data


def test_every_figure_says_how_to_read_it_and_has_units(made: Made) -> None:
    """Models, ROC, precision, calibration, decision and forest: both axes named, and a sentence below."""
    figures = re.findall(r"<figure>(.*?)</figure>", made.page, re.DOTALL)
    assert [re.findall(r'aria-label="([^"]*)"', figure)[0] for figure in figures] == [
        *(
            "AUC by model and condition",
            "ROC curves",
            "Precision and recall",
            "Calibration under noisy",
            "Decision curve under noisy",
        ),
        "AUC by group under noisy",
    ]
    for figure in figures:
        assert re.search(r"<figcaption>[A-Z].{40,}\.</figcaption>", figure)
    named = [re.findall(r">([A-Z][^<>]*)</text>", figure) for figure in figures]
    assert {"False positive rate (1 - specificity)", "True positive rate (sensitivity)"} <= {*named[1]}
    assert {"Recall (sensitivity)", "Precision (positive predictive value)"} <= {*named[2]}
    assert {"Mean score of the bin (predicted probability)", "Share of patients in the bin"} <= {*named[3]}
    assert {"Threshold probability", "Net benefit (true positives per clip)"} <= {*named[4]}
    assert all("AUC" in named[i] for i in (0, 5))
    assert all(figures[0].count(f">{model}</text>") == 3 for model in (NETWORK, BASELINE))


def test_every_picture_is_inside_the_page_and_in_its_colours(made: Made) -> None:
    """Light, dark and print: each colour is a variable of the style; no two elements share an id; each is small."""
    drawn = re.findall(r"<svg .*?</svg>", made.page, re.DOTALL)
    assert len(drawn) > 5
    assert max(len(one) for one in drawn) < 60_000
    colours = {colour for one in drawn for colour in re.findall(r'(?:fill|stroke)="([^"]*)"', one)} - {"none"}
    style = made.page.partition("</style>")[0]
    assert all(style.count(f"{colour[4:-1]}: #") >= 2 for colour in colours), colours
    assert len(ids := re.findall(r' id="([^"]*)"', made.page)) == len({*ids})
    assert all('role="img" aria-label="' in one for one in drawn)


def test_a_line_is_shown_as_it_is_meant_in_html_and_in_markdown() -> None:
    """A tag is text, a bar in a cell is no cell, verdicts are badges, an estimate stays whole, names are code."""
    line = ("a <b> ", Code("x"), " is | ", Badge("fail"), ": ", Unbroken("0.5 [0.1, 0.9]"))
    assert html(line) == (
        'a &lt;b&gt; <code>x</code> is | <strong class="badge fail">fail</strong>: '
        '<span class="estimate">0.5 [0.1, 0.9]</span>'
    )
    assert markdown_line(line) == "a &lt;b> `x` is \\| **fail**: 0.5 [0.1, 0.9]"
    section = Section("s", "Title", [line, Table(["a"], [[line]]), Table(["a"], [], "Nothing.")])
    row = f"| {markdown_line(line)} |"
    assert markdown([section]) == f"## Title\n\n{markdown_line(line)}\n\n| a |\n| --- |\n{row}\n\nNothing."


@given(st.text())
def test_any_text_is_that_text_on_the_page(text: str) -> None:
    """Somebody else's words that look like a verdict, code, a tag or an entity are shown character by character."""
    for words in (text, f"**pass** `<b>` &amp; @x {text}"):
        assert unescape(html(words)) == visible(words)
        assert not re.search("<(?!/?(code|span))", html(sentence(words)))
    assert sentence("`a` is 0.5 [-0.1, 0.9]") == (Code("a"), " is ", Unbroken("0.5 [-0.1, 0.9]"))


def test_every_number_on_the_page_comes_from_the_evaluation(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number is moved in turn, and the Markdown twin changes; of every seventh the page is rendered, and changes.

    Not shown: spreads over seeds but the threshold's, validation's AUC but in a sentence, other conditions' predictive
    values, of the ensemble all but its AUC, and of a model that is not deployed all but the first table and its number
    of trainings. Figures are left out, for a drawing of each would take minutes.
    """
    for name in ("models", "roc", "precision", "calibration", "decision", "forest"):
        monkeypatch.setattr(f"spira.report.sections.{name}_figure", lambda *_: Figure("", ""))
    evaluation, plots = made.evaluation, read_plots(made.at["plots"])
    probes = read_probes(made.at["probes"], evaluation.models)

    def full_report(found: Evaluation) -> Report:
        return make_report(Sources(found, probes, plots, [["fold"]], {}, [], []), P)

    def page(found: Evaluation) -> str:
        own = {"confidence": 0.95, "sample_rate": 16000, "audio": False, "clips": []}
        return render({"report": full_report(found), "evaluation": found, **own})

    before, page_before = full_report(evaluation).markdown(), page(evaluation)
    for i, (keys, value) in enumerate(numbers(json.loads(evaluation.model_dump_json()))):
        hidden = (keys[-1] == "sd" and keys[2] != "threshold") or keys[-1] == "validation_auc"
        hidden |= "predictive_values" in keys and "noisy" not in keys
        hidden |= "ensemble" in keys and "auc" not in keys
        if keys[:2] == ("models", BASELINE):
            shown = "metrics" in keys and "subgroups" not in keys and {"auc", "sensitivity", "specificity"} & {*keys}
            hidden |= not shown and keys[-1] != "n_seeds"
        if hidden and i % 5:  # that nothing else is shown is checked of some
            continue
        moved = changed(evaluation, keys, value + 1)
        assert (full_report(moved).markdown() == before) == hidden, keys
        if i % 7 == 0:
            assert (page(moved) == page_before) == hidden, keys


def test_a_probe_file_of_another_form_is_a_sentence(tmp_path: Path) -> None:
    """Where it differs first, and the command that renews it."""
    path = tmp_path / "p.json"
    path.write_text('{"corpus": "c", "models": {"m": {"verdict": "pass", "probes": {"a": {"verdict": "perhaps"}}}}}')
    with pytest.raises(DataError, match=r"p\.json: models\.m\.probes\.a\.question: Field .*: dvc repro probe$"):
        read_probes(path, ["m"])
    path.write_text('{"corpus": "c", "models": {"m": {"verdict": "pass", "probes": {}}}}')
    with pytest.raises(DataError, match=r"models that were evaluated, m, n, got m; dvc repro probe$"):
        read_probes(path, ["m", "n"])


def test_a_card_cannot_pose_as_ours() -> None:
    """What a person wrote there has no heading, picture or mention, keeps its lines, and is whole."""
    words = "# Results\n\n**pass** ![x](https://evil.example) @everyone\n| a | b |\n" + "long " * 400
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    card = Card(**dict.fromkeys(Card.model_fields, words))
    text = model_card(card, NETWORK, "said", [line.split(",") for line in SUBSETS.split()], [], params | MODEL_PARAMS)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert "# Results" not in heads
    assert heads.count("## Limitations") == 1
    assert not any(active in text for active in ("**pass**", "](", "@", "://"))
    assert "\\| a \\| b \\|\n" in text
    assert ("long " * 400).strip() in text


def test_a_clip_is_found_whose_name_a_spreadsheet_would_run(tmp_path: Path) -> None:
    """The table of the worst clips is for people; the page reads it as it was before."""
    write_sheet(pl.DataFrame({"clip_id": ["=a.wav", "b.wav"], "score": [-0.5, 0.5]}), tmp_path / "worst.csv")
    assert read_rows(tmp_path / "worst.csv", sheet=True)[1:] == [["=a.wav", "-0.5"], ["b.wav", "0.5"]]
    assert "\n'=a.wav," in (tmp_path / "worst.csv").read_text()


def test_a_spectrogram_shows_a_tone_where_it_sounds() -> None:
    """4 kHz of 8 is half-way up; silence before it is black; the file is a PNG of 64 rows."""
    t = np.arange(16_000) / 16_000
    samples = np.where(t > 0.5, 0.5 * np.sin(2 * np.pi * 4000 * t), 0.0)
    assert loudest_samples(samples)[:100].max() == 0
    assert loudest_samples(samples)[-1] == pytest.approx(0.5, abs=0.01)
    content = spectrogram(samples, 16_000)
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    packed = zlib.decompress(content[content.index(b"IDAT") + 4 : -16])
    rows = np.frombuffer(packed, np.uint8).reshape(height, width + 1)
    assert height == 64
    assert abs(int(np.argmax(rows[:, 3 * width // 4])) - 32) <= 1
    assert rows[:, 1 : width // 4].max() == 0


@pytest.mark.ml_test_score("Infrastructure 4", manual=True)
def test_what_only_a_person_can_write_is_marked_and_stops_a_release(made: Made, tmp_path: Path) -> None:
    """Every empty field by name; a card that is written of this corpus is quoted and passes, but never the demo's."""
    committed = read_card(ROOT / "docs/card.yaml")
    assert unwritten(committed) == []
    assert BY_A_PERSON not in made.model + made.data
    assert committed.out_of_scope_use.split("\n")[0] in made.model
    with pytest.raises(DataError, match=r"demo \(SYNTHETIC speech: no medical meaning\): cannot be released"):
        release_check(ROOT / "docs/card.yaml", "demo")
    with pytest.raises(
        DataError, match=r"must write corpus, intended_use, .*contact before .*the card is of the corpus demo"
    ):
        release_check(ROOT / "docs/card.yaml", "mine")
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | MODEL_PARAMS
    assert BY_A_PERSON in model_card(
        card_of(committed, "mine"), NETWORK, "said", [line.split(",") for line in SUBSETS.split()], [], params
    )
    fields = list(Card.model_fields)
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(dict.fromkeys(fields, "mine")))
    release_check(tmp_path / "card.yaml", "mine")
    assert unwritten(Card(**dict.fromkeys(fields, " "))) == fields
    (tmp_path / "card.yaml").write_text("contact: ''\nintended: x\n")
    with pytest.raises(ParamError, match=r"card\.yaml:2: intended: unknown parameter; did you mean 'intended_use'"):
        release_check(tmp_path / "card.yaml", "mine")


def test_the_cards_have_the_report_s_numbers(made: Made) -> None:
    """Both models' rows word for word, which one is deployed and why, and the items of TRIPOD+AI."""
    rows = [line for line in made.twin.splitlines() if line.startswith("| noisy |")]
    assert len(rows) > 3
    assert all(row in made.model for row in rows[:3])
    assert made.evaluation.deployed_because in made.model
    assert f"| trained beside it | {BASELINE} |" in made.model
    assert "| 12e measures |" in made.model
    assert "| 18a funding | None for the demo. |" in made.model
    assert "| age | 56 of 72 |" in made.data


def test_the_card_says_on_how_few_people_it_was_tried(made: Made) -> None:
    """Speakers and patients of every subset; of several folds the fewest and the most; and what a baseline is."""
    said = "Trained on 40 speakers (20 patients), threshold chosen on 16 speakers (8 patients), tested on 20 speakers"
    assert f"{said} (10 patients).\n" in made.model
    head, *rows = [line.split(",") for line in SUBSETS.split()]
    other = [["2", name, str(int(n) + 2), patients] for _, name, n, patients in rows]
    assert people([head, *([["1", *row[1:]] for row in rows]), *other]).startswith(
        "In each of 2 folds: trained on 40 to 42 speakers (20 patients), threshold chosen on 16 to 18"
    )
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | MODEL_PARAMS
    card = Card(**dict.fromkeys(Card.model_fields, ""))
    text = model_card(card, BASELINE, "said", [head, *rows], [], params)
    assert "(10 patients). The baseline is then fitted to the validation speakers too; the threshold" in text
    assert "| kind | a baseline: nothing in it is drawn, so it has no seeds |" in text
    assert f"| trained beside it | {NETWORK} |" in text


def test_each_model_has_its_verdicts_and_the_deployed_one_its_reasons(made: Made) -> None:
    """A column a model; and whose numbers stand in every section below is in its heading."""
    rows = [line for line in made.twin.splitlines() if line.startswith(("| probe |", "| background |"))]
    assert rows[0] == f"| probe | {NETWORK} | {BASELINE} | question | why ({NETWORK}) | rule |"
    assert rows[1].startswith("| background | **fail** | **warn** | ")
    assert "The first and last 0.2 s reach" in rows[1]
    assert "and the model a higher one" not in made.page
    for name in ("Results", "Threshold", "Operating points", "Calibration", "Subgroups"):
        assert f"\n## {name}: `{NETWORK}`\n" in made.twin
        assert f"<h2>{name}: <code>{NETWORK}</code></h2>" in made.page
    assert f"<h2>Worst clips: <code>{NETWORK}</code></h2>" in made.page


@pytest.mark.parametrize(
    ("lo", "hi", "over_trainings", "answer"),
    [
        (-0.1, 0.2, True, "**No evidence of a difference**"),
        (0.1, 0.2, True, f"**{NETWORK} is better**"),
        (-0.2, -0.1, True, f"**{BASELINE} is better**"),
        (0.1, 0.2, False, "**No verdict**"),
    ],
)
def test_the_difference_is_a_sentence_that_begins_with_the_answer(
    made: Made, lo: float, hi: float, over_trainings: bool, answer: str
) -> None:
    """An interval about 0, one on either side of it, and one over speakers alone; the number is the baseline's less."""
    tree = json.loads(made.evaluation.model_dump_json())
    middle = (lo + hi) / 2
    less = {"difference": middle, "lo": lo, "hi": hi, "over_trainings": over_trainings}
    tree["differences"][NETWORK][BASELINE]["noisy"] = less
    first = side_by_side_section(Evaluation.model_validate(tree), P).blocks[0]
    assert not isinstance(first, Table)
    numbers = f"{-middle:+.3f} [{-hi:+.3f}, {-lo:+.3f}] under `noisy`"
    said = f"{answer}: the AUC of `{BASELINE}` less that of `{NETWORK}` is {numbers}"
    assert markdown_line(first).startswith(said)


def test_the_lineage_is_what_was_read(made: Made) -> None:
    """Each file's hash as dvc.lock has it, and the versions that computed."""
    for name in ("evaluation", "probes", "worst"):
        assert md5(made.at[name].read_bytes()).hexdigest() in made.twin
    assert f"| numpy | {np.__version__} |" in made.twin
    assert "git log -1 -- dvc.lock" in made.twin


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_a_browser_shows_all_of_it(made: Made, width: int, dark: bool) -> None:
    """No error, nothing asked of the network, every section and picture there, no sideways scrolling."""
    shown = seen(made.at["page"], width, dark=dark)
    assert shown.complaints == []
    assert shown.requested == [made.at["page"].resolve().as_uri()]
    assert tuple(name for name, _ in shown.facts["sections"]) == SECTIONS
    assert all(height > 60 for _, height in shown.facts["sections"])
    assert (shown.facts["overflow"], shown.facts["broken"]) == (0, 0)
    levels = [int(value) for value in re.findall(r"\d+", shown.facts["background"])]
    assert (max(levels) < 60) == dark
    assert shown.png.startswith(b"\x89PNG")
