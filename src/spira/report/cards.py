"""The same numbers as the page's, told as a model card and a data card; what only a person can write is quoted.

Source:
    Mitchell et al., "Model cards for model reporting", FAT* 2019; Gebru et al., "Datasheets for datasets", CACM 2021;
    items of TRIPOD+AI: Collins et al., BMJ, 2024.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from spira.base.section import Section
from spira.evaluation.markdown import Marked, inert, table

BY_A_PERSON = Marked("*to be written by a person*")


class Card(Section):
    """docs/card.yaml: text, empty where nobody has written it yet."""

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


def unwritten(card: Card) -> list[str]:
    """The fields that are empty, in their order."""
    return [name for name, value in card.model_dump().items() if not value.strip()]


def model_card(card: Card, said: str, told: Mapping[str, str], params: Mapping[str, Any]) -> str:
    """The model card.

    Args:
        said: the verdict, one sentence.
        told: by title, parts of the report that the card repeats.
        params: params.yaml.
    """
    model, train = params["model"], params["train"]
    built = [
        ["model", model["kind"]],
        ["starts from", model["init_from"]],
        ["input", f"{params['features']['kind']} of {params['windows']['seconds']:g} s at {params['sample_rate']} Hz"],
        ["output", "probability of patient in [0, 1]: the mean over a recording's windows"],
        ["trainings", f"{len(params['seeds'])} seeds {params['seeds']}, split {params['split']['scheme']}"],
        ["learning", f"{train['optimizer']}, at most {train['max_epochs']} epochs; the lowest validation loss wins"],
    ]
    of_people = ("intended_use", "out_of_scope_use", "limitations", "interpretation", "contact")
    sections = [
        "# Model card",
        said,
        "## The model",
        table(["", ""], built),
        _quoted(card, of_people),
        *(f"## {title}\n\n{text.strip()}" for title, text in told.items()),
        "## TRIPOD+AI",
        "What the artifact itself can answer, and what a person must (Collins et al., BMJ 2024).",
        table(["item", "answer"], _tripod(card, params)),
    ]
    return "\n\n".join(sections) + "\n"


def data_card(card: Card, corpus: str, subsets: Sequence[Sequence[str]], facts: str, params: Mapping[str, Any]) -> str:
    """The data card.

    Args:
        corpus: as ``origin`` says it.
        subsets: the table of subsets, its head first.
        facts: what is known of how many clips, a table.
        params: params.yaml.
    """
    ingest = params["ingest"]
    taken = (
        f"Recordings of {ingest['min_seconds']:g} to {ingest['max_seconds']:g} s and at least "
        f"{ingest['min_sample_rate']} Hz, made mono at {params['sample_rate']} Hz; what was refused, and why, is in "
        "`data/clips/rejects.csv`."
    )
    of_people = ("clinical_setting", "eligibility", "label_source", "consent", "ethics_approval", "data_access")
    sections = [
        "# Data card",
        f"Corpus: {corpus}.",
        "## What was taken",
        taken,
        facts,
        "## How it was split",
        "By speaker: nobody is in two subsets of a fold.",
        table(subsets[0], subsets[1:]),
        _quoted(card, (*of_people, "contact")),
    ]
    return "\n\n".join(sections) + "\n"


def _quoted(card: Card, names: Sequence[str]) -> str:
    written = {name: _shown(getattr(card, name)) or BY_A_PERSON for name in names}
    return "\n\n".join(f"## {name.replace('_', ' ').capitalize()}\n\n{text}" for name, text in written.items())


def _shown(text: str) -> str:
    """What a person wrote, inert: it can neither pose as a heading of ours nor bring a picture from elsewhere."""
    return "\n".join(inert(line, len(text)) for line in text.strip().splitlines())


def _tripod(card: Card, params: Mapping[str, Any]) -> list[list[str]]:
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
        ["9 predictors", f"sound alone: {params['features']['kind']}; no metadata reaches the model"],
        ["10 sample size", "as large as the corpus; the intervals say how far it reaches"],
        ["11 missing data", "a recording is used or refused by name; unknown facts are a group of their own"],
        ["12a how data were used", f"{split['scheme']} by speaker, stratified; the test set chooses nothing"],
        ["12c model and its building", f"{params['model']['kind']}; every parameter is in the report"],
        [
            "12e measures",
            "AUC, sensitivity, specificity, calibration, net benefit, under each condition of noise",
        ],
        ["13 class imbalance", f"`train.balance` is {params['train']['balance']}"],
        ["14 fairness", f"subgroups by {', '.join(evaluate['subgroups']) or 'no column'}, with gaps and intervals"],
        ["15 output", f"a probability; the threshold is chosen on validation by {evaluate['threshold']['rule']}"],
        ["16 training against evaluation", "one corpus, other speakers; another site or device has not been tried"],
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
