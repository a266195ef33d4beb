"""The model card and the data card: the numbers of the report, and quotations of what only a person can write.

Source:
    Mitchell et al., "Model cards for model reporting", FAT* 2019; Gebru et al., "Datasheets for datasets", CACM 2021;
    items of TRIPOD+AI: Collins et al., BMJ, 2024.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from spira.base.section import Section as ParamSection
from spira.evaluation.markdown import Marked, inert, table
from spira.report.blocks import Section, markdown

_KEPT = {"last": "the last epoch", "lowest": "the epoch with the lowest validation loss"}
_UNMET = (
    "The baseline is then fitted to the validation speakers too; the threshold is chosen by scores of fits that have "
    "not met them."
)
BY_A_PERSON = Marked("*to be written by a person*")


class Card(ParamSection):
    """docs/card.yaml: text by a person, empty where it is not written yet."""

    corpus: str
    intended_use: str
    out_of_scope_use: str
    clinical_setting: str
    eligibility: str
    label_source: str
    consent: str
    ethics_approval: str
    data_access: str
    funding: str
    conflicts_of_interest: str
    protocol_and_registration: str
    patient_involvement: str
    interpretation: str
    limitations: str
    contact: str


def card_of(card: Card, corpus: str) -> Card:
    """The card where it was written of this corpus; else an empty one, for it says nothing of other people.

    Args:
        corpus: its name in params.yaml.
    """
    return card if card.corpus == corpus else Card(**dict.fromkeys(Card.model_fields, ""))


def unwritten(card: Card) -> list[str]:
    """The names of the empty fields, in their order."""
    return [name for name, value in card.model_dump().items() if not value.strip()]


def model_card(
    card: Card,
    model: str,
    opening: str,
    subsets: Sequence[Sequence[str]],
    sections: Sequence[Section],
    params: Mapping[str, Any],
) -> str:
    """The model card, as Markdown.

    Args:
        card: what a person wrote.
        model: the name of the one that is deployed.
        opening: the first sentences of the report, as Markdown: the verdict, and why this model.
        subsets: the table of subsets, its head first.
        sections: those of the report that the card repeats.
        params: params.yaml.
    """
    parts = [
        "# Model card",
        opening,
        "## The model",
        table(["", ""], _facts(model, params)),
        "## On how many people it was tried",
        " ".join([people(subsets), *([_UNMET] if model in params["models"]["baselines"] else [])]),
        _quoted(card, ("intended_use", "out_of_scope_use", "limitations", "interpretation", "contact")),
        markdown(sections),
        "## TRIPOD+AI",
        "What this repository can answer itself, and what a person must (Collins et al., BMJ 2024).",
        table(["item", "answer"], _tripod(card, model, params)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _facts(model: str, params: Mapping[str, Any]) -> list[list[str]]:
    """What the deployed model is, from the parameters."""
    sound, train, scheme = params["features"]["kind"], params["train"], params["split"]["scheme"]
    rate, seeds, beside = params["sample_rate"], params["seeds"], [*params["models"]["networks"]]
    beside = [name for name in (*beside, *params["models"]["baselines"]) if name != model]
    common = [["model", model], ["trained beside it", ", ".join(beside) or "nothing"]]
    if model in params["models"]["baselines"]:
        return [
            *common,
            ["kind", "a baseline: nothing in it is drawn, so it has no seeds"],
            ["input", f"{sound} of a whole recording at {rate} Hz"],
            ["output", "probability of patient in [0, 1]"],
            ["repetitions", f"one fit a fold, split {scheme}"],
            ["training", "its settings are selected by folds within the training speakers"],
        ]
    return [
        *common,
        ["kind", "a network"],
        ["starts from", params["network"]["init_from"]],
        ["input", f"{sound} of {params['windows']['seconds']:g} s at {rate} Hz"],
        ["output", "probability of patient in [0, 1]: the mean over a recording's windows"],
        ["repetitions", f"{len(seeds)} seeds {seeds}, split {scheme}"],
        ["training", f"{train['optimizer']}, at most {train['max_epochs']} epochs; kept: {_KEPT[train['keep']]}"],
    ]


def people(subsets: Sequence[Sequence[str]]) -> str:
    """One sentence: on how many speakers and patients it was trained, its threshold chosen, and it was tested.

    Of several folds it gives the fewest and the most.

    Args:
        subsets: the table of subsets, its head first.
    """
    rows = [dict(zip(subsets[0], row, strict=True)) for row in subsets[1:]]
    folds = len({row["fold"] for row in rows})

    def size(subset: str) -> str:
        speakers, patients = (
            _span([int(row[column]) for row in rows if row["subset"] == subset]) for column in ("speakers", "patients")
        )
        return f"{speakers} speakers ({patients} patients)"

    where = f"In each of {folds} folds: trained" if folds > 1 else "Trained"
    return f"{where} on {size('train')}, threshold chosen on {size('validation')}, tested on {size('test')}."


def _span(counts: Sequence[int]) -> str:
    fewest, most = min(counts, default=0), max(counts, default=0)
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"


def data_card(
    card: Card,
    corpus: str,
    subsets: Sequence[Sequence[str]],
    facts: Sequence[Sequence[str]],
    params: Mapping[str, Any],
) -> str:
    """The data card, as Markdown.

    Args:
        card: what a person wrote.
        corpus: as ``origin`` names it.
        subsets: the table of subsets, its head first.
        facts: (fact, for how many clips it is known).
        params: params.yaml.
    """
    ingest = params["ingest"]
    accepted = (
        f"Recordings of {ingest['min_seconds']:g} to {ingest['max_seconds']:g} s and at least "
        f"{ingest['min_sample_rate']} Hz, converted to mono at {params['sample_rate']} Hz; what was refused, and why, "
        "is in `data/clips/rejects.csv`."
    )
    quoted = ("clinical_setting", "eligibility", "label_source", "consent", "ethics_approval", "data_access")
    parts = [
        "# Data card",
        f"Corpus: {corpus}.",
        "## Recordings",
        accepted,
        table(["fact", "clips for which it is known"], facts),
        "## How it was split",
        "By speaker: in a fold, each speaker is in one subset only.",
        table(subsets[0], subsets[1:]),
        _quoted(card, (*quoted, "contact")),
    ]
    return "\n\n".join(parts) + "\n"


def _quoted(card: Card, names: Sequence[str]) -> str:
    written = {name: _shown(getattr(card, name)) or BY_A_PERSON for name in names}
    return "\n\n".join(f"## {name.replace('_', ' ').capitalize()}\n\n{text}" for name, text in written.items())


def _shown(text: str) -> str:
    """What a person wrote, as text: it can neither look like our heading nor load a picture from elsewhere."""
    return "\n".join(inert(line, len(text)) for line in text.strip().splitlines())


def _tripod(card: Card, model: str, params: Mapping[str, Any]) -> list[list[str]]:
    def person(name: str) -> str:
        text = getattr(card, name)
        return Marked(inert(text, len(text))) or BY_A_PERSON

    evaluate, split = params["evaluate"], params["split"]
    return [
        ["5 data", "data card; dates, where known, are in the table of clips"],
        ["6a setting", person("clinical_setting")],
        ["6b eligibility", person("eligibility")],
        ["7 data preparation", "data card and the sections `ingest`, `noise` and `features` of the parameters"],
        ["8 outcome", person("label_source")],
        ["9 predictors", f"sound alone: {params['features']['kind']}; the model gets no metadata"],
        ["10 sample size", "as large as the corpus; the intervals show how much it can prove"],
        ["11 missing data", "a recording is used or refused by name; an unknown fact is a group of its own"],
        ["12a how data were used", f"{split['scheme']} by speaker, stratified; nothing is chosen on the test set"],
        ["12c model and its building", f"{model}; every parameter is in the report"],
        [
            "12e measures",
            "AUC, sensitivity, specificity, calibration, net benefit, under each condition of noise",
        ],
        ["13 class imbalance", f"`train.balance` is {params['train']['balance']}"],
        ["14 fairness", f"subgroups by {', '.join(evaluate['subgroups']) or 'no column'}, with gaps and intervals"],
        ["15 output", f"a probability; the threshold is chosen on validation clips by {evaluate['threshold']['rule']}"],
        [
            "16 training against evaluation",
            "one corpus, other speakers; not tested at another site or on another device",
        ],
        ["17 ethical approval", person("ethics_approval")],
        ["18a funding", person("funding")],
        ["18b conflicts of interest", person("conflicts_of_interest")],
        ["18c, d protocol and registration", person("protocol_and_registration")],
        ["18e data", person("data_access")],
        ["18f code", "this repository at this commit"],
        ["19 patient and public involvement", person("patient_involvement")],
        ["20 participants", "data card"],
        ["22 model specification", "`data/models`: weights, and `model.json` with all that is needed to use them"],
        ["23a performance", "Results, with intervals over resampled speakers"],
        ["23b heterogeneity", "Subgroups"],
        ["25 interpretation", person("interpretation")],
        ["26 limitations", person("limitations")],
        ["27 usability", person("intended_use")],
    ]
