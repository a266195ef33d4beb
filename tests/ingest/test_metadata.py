"""Tables that people filled in: what is there is read or refused, and what is not there is counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import probe_studies as benchmark
from bad_audio import P as INGEST
from sounds import encoded, tones
from spira.base.errors import DataError
from spira.base.params import load
from spira.clips.cells import is_unknown, read_dates, read_numbers
from spira.encoders.params import EmbeddingParams
from spira.evaluation.subgroups import group_names
from spira.features.params import FeatureParams
from spira.ingest.corpus import read_corpus
from spira.probes.background import BackgroundParams
from spira.probes.matched_pairs import matched_pairs
from spira.probes.shortcut_models import encoder, typed
from spira.probes.study import ProbeParams
from spira.split.holdout import SplitParams
from spira.stages import ingest, probe, split
from tiny import ROOT, evaluate_params

PROBE = load("probe", ProbeParams, path=ROOT / "params.yaml").model_copy(update={"n_resamples": 100, "n_shuffles": 3})
Writer = Callable[[str], str]


def read(folder: Path, table: str) -> pl.DataFrame:
    folder.mkdir(exist_ok=True)
    (folder / "metadata.csv").write_text(table, encoding="utf-8")
    return read_corpus(folder)


def column(folder: Path, name: str, *cells: str, delimiter: str = ",") -> list[str]:
    """What becomes of a column of such cells."""
    rows = [f'{i:02}.wav{delimiter}patient{delimiter}"{cell}"' for i, cell in enumerate(cells)]
    return read(folder, "\n".join([delimiter.join(["file_path", "label", name]), *rows]) + "\n")[name].to_list()


def refusal(folder: Path, name: str, *cells: str, delimiter: str = ",") -> str:
    with pytest.raises(DataError) as error:
        column(folder, name, *cells, delimiter=delimiter)
    return str(error.value).replace(f"{folder}/", "")


# ---------------------------------------------------------------------------------------------------------------------
# Case A1, numbers and dates
# ---------------------------------------------------------------------------------------------------------------------


def in_brazil(iso: str) -> str:
    return "/".join(reversed(iso.split("-")))


def planted(folder: Path, delimiter: str, age: Writer, date: Writer) -> Path:
    """80 people: patients of 60 to 90, recorded in June; controls of 20 to 49, in July."""
    folder.mkdir()
    rows = [["file_path", "label", "speaker_id", "age", "recorded_on", "split"]]
    for i in range(80):
        patient, place = i % 2 == 1, i // 2
        years, day = (60 if patient else 20) + place % 30, f"2020-{'06' if patient else '07'}-{place % 28 + 1:02}"
        label, subset = ("control", "patient")[patient], ("train", "train", "validation", "test")[place % 4]
        rows.append([f"{i:02}.wav", label, f"s{i:02}", age(f"{years}.2"), date(day), subset])
        sound = tones(8000 + 50 * i)
        (folder / f"{i:02}.wav").write_bytes(encoded(sound, 8000, "WAV", "PCM_16"))
    (folder / "metadata.csv").write_text("".join(f"{delimiter.join(row)}\n" for row in rows), encoding="utf-8")
    return folder


def write_scores(folder: Path, subsets: Path, clips: Path) -> None:
    """Of two models that know nothing, a network and a baseline, for the validation and the test clips."""
    people = pl.read_csv(clips).join(pl.read_csv(subsets), on="clip_id").filter(pl.col("subset") != "train")
    rng, wanted = np.random.default_rng(0), ("fold", "subset", "clip_id", "speaker_id", "label")
    for name, conditions in (("predictions", ("clean", "noisy")), ("altered", ("louder",))):
        parts = [
            people.select(
                *wanted,
                model=pl.lit(model),
                condition=pl.lit(condition),
                seed=pl.lit(seed),
                score=pl.Series(rng.uniform(size=len(people))),
            )
            for model, seed in (("pooled_cnn", 1), ("pooled_cnn", 2), ("statistics", 0))
            for condition in conditions
        ]
        pl.concat(parts).write_csv(folder / f"{name}.csv")


def probed(folder: Path, corpus: Path) -> dict[str, dict[str, object]]:
    """What the stages from ``ingest`` to ``probe`` find."""
    p = load("split", SplitParams, path=ROOT / "params.yaml").model_copy(update={"min_speakers": 1})
    outs = {"subsets": folder / "subsets.csv", "folds": folder / "folds", "summary": folder / "summary.csv"}
    ingest.run(16_000, INGEST, corpus=corpus, out=folder / "clips")
    split.run(16_000, p, clips=folder / "clips/clips.csv", **outs)
    write_scores(folder, outs["subsets"], folder / "clips/clips.csv")
    run_probe(folder)
    found: dict[str, dict[str, dict[str, Any]]] = json.loads((folder / "probes.json").read_text())
    network, baseline = (found["models"][model]["probes"] for model in ("pooled_cnn", "statistics"))
    for name in ("metadata", "level"):
        assert network[name]["auc"] == baseline[name]["auc"]  # of one fit
        assert network[name]["model_auc"] != baseline[name]["model_auc"]
    return dict(network)


def run_probe(folder: Path) -> None:
    probe.run(
        "mine",
        16_000,
        load("features", FeatureParams, path=ROOT / "params.yaml"),
        load("embedding", EmbeddingParams, path=ROOT / "params.yaml"),
        load("background", BackgroundParams, path=ROOT / "params.yaml"),
        PROBE,
        clips=folder / "clips",
        subsets=folder / "subsets.csv",
        predictions=folder / "predictions.csv",
        altered=folder / "altered.csv",
        probes=folder / "probes.json",
        report=folder / "probes.md",
        pairs=folder / "pairs.csv",
        similar=folder / "similar.csv",
    )


@pytest.mark.usefixtures("any_size")
def test_a1_two_perfect_shortcuts_are_found_however_a_spreadsheet_writes_them(tmp_path: Path) -> None:
    """Commas in numbers, days first, semicolons: the bytes of ISO's spelling, and both probes fail the model."""
    iso = planted(tmp_path / "iso", ",", str, str)
    brazil = planted(tmp_path / "brazil", ";", lambda age: age.replace(".", ","), lambda day: in_brazil(day) + " 00:00")
    ingest.run(16_000, INGEST, corpus=iso, out=tmp_path / "clips")
    found = probed(tmp_path / "brazil", brazil)
    tables = [(folder / "clips/clips.csv").read_bytes() for folder in (tmp_path, tmp_path / "brazil")]
    assert tables[0] == tables[1]
    for name in ("metadata", "recording_date"):
        assert found[name]["verdict"] == "fail", found[name]
        assert found[name]["auc"] == 1
    why = "`sex` is unknown for 80 of 80 clips; `site` is unknown for 80 of 80 clips; a simple model of age alone "
    assert why in str(found["metadata"])

    altered = tmp_path / "brazil/altered.csv"
    pl.read_csv(altered).filter(model="statistics").write_csv(altered)
    with pytest.raises(
        DataError, match=r"altered\.csv: expected .* models pooled_cnn, statistics, got statistics; run"
    ):
        run_probe(tmp_path / "brazil")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("34,2", "34.2"), ("34.2", "34.2"), ("34", "34"), ("034", "034"), ("34.0", "34.0"), ("+34", "34")),
        *((",5", "0.5"), ("3,42E+01", "34.2"), ("34\u200b", "34"), ("３４", "34"), ("150", "150"), ("0", "0")),
    ],
)
def test_a1_a_number_is_read_in_any_spelling(written: str, value: str, tmp_path: Path) -> None:
    """And stays as it is written where that is plain, so that a table that was good keeps its bytes."""
    assert column(tmp_path, "age", written) == [value]


@pytest.mark.parametrize(
    "written", ["34 anos", "sessenta", "1.234,5", "151", "-1", "999", "1954", "60-69", "90+", "1_0", "inf", "34.2.1"]
)
def test_a1_what_is_no_age_is_refused_with_its_line(written: str, tmp_path: Path) -> None:
    """Also the numbers by which other programs mean that there is none."""
    expected = "age must be a number of years from 0 to 150, such as 34.5, or blank"
    assert refusal(tmp_path, "age", "40", written, written) == f"metadata.csv:3: {expected}, got {written!r} (2 rows)"


def test_a1_oxygen_is_read_as_an_age_is(tmp_path: Path) -> None:
    """With its own limits."""
    assert column(tmp_path, "spo2", "97,5", "NA") == ["97.5", ""]
    for written in ("101", "0.97", "0,97", "1", "0", "97%"):  # a share is no percentage
        said = refusal(tmp_path, "spo2", "98", written)
        expected = "spo2 must be a number of percent from 30 to 100, such as 97, or blank"
        assert said == f"metadata.csv:3: {expected}, got {written!r}"


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (
            ["2020-07-11", "2020-7-1", "2020/07/11", "20200711"],
            ["2020-07-11", "2020-07-01", "2020-07-11", "2020-07-11"],
        ),
        (["2020-07-11T08:15:00Z", "2020-07-11 08:15"], ["2020-07-11T08:15:00Z", "2020-07-11 08:15"]),
        (["11/07/2020", "13/07/2020"], ["2020-07-11", "2020-07-13"]),
        (["07/11/2020 00:00", "07/13/2020 1:05 PM"], ["2020-07-11", "2020-07-13"]),
        (["11-7-2020", "31-7-2020", ""], ["2020-07-11", "2020-07-31", ""]),
        (["11.07.2020", "2020-07-13"], ["2020-07-11", "2020-07-13"]),
        (["07/07/2020", "08/08/2020"], ["2020-07-07", "2020-08-08"]),
    ],
)
def test_a1_a_date_is_read_where_the_column_leaves_no_doubt(cells: list[str], days: list[str], tmp_path: Path) -> None:
    """By its year in front, by a day over 12 anywhere in the column, by points; Excel's midnight is no trouble."""
    assert column(tmp_path, "recorded_on", *cells) == days


def test_a1_a_column_that_may_be_read_both_ways_is_refused_and_says_what_to_write(tmp_path: Path) -> None:
    """Unless the sheet has semicolons: whose numbers have commas, writes days first."""
    said = refusal(tmp_path, "recorded_on", "07/07/2020", "11/07/2020")
    assert said == (
        "metadata.csv:3: recorded_on may be day or month first, and no date of the column decides: write 2020-07-11 or "
        "2020-11-07, got '11/07/2020'"
    )
    assert column(tmp_path, "recorded_on", "07/07/2020", "11/07/2020", delimiter=";") == ["2020-07-07", "2020-07-11"]
    assert column(tmp_path, "recorded_on", "07/11/2020", "07/13/2020", delimiter=";") == ["2020-07-11", "2020-07-13"]


@pytest.mark.parametrize(
    "written", ["11/07/20", "yesterday", "2020-02-30", "31/02/2020", "44023", "0000-00-00", "11/jul/2020", "2020"]
)
def test_a1_what_is_no_date_is_refused_with_its_line(written: str, tmp_path: Path) -> None:
    """Years of two digits and a spreadsheet's day numbers too: which day that is, nobody can tell for certain."""
    said = refusal(tmp_path, "recorded_on", "2020-07-11", "", written)
    assert said == f"metadata.csv:4: recorded_on must be a date such as 2020-07-31, or blank, got {written!r}"


def test_a1_days_and_months_first_in_one_column_are_refused(tmp_path: Path) -> None:
    """At the date that the others contradict: what opened the table has read some dates the other way round."""
    said = refusal(tmp_path, "recorded_on", "13/07/2020", "14/07/2020", "07/15/2020")
    assert said.startswith(
        "metadata.csv:4: recorded_on must be a date such as 2020-07-31, or blank, and other dates of "
    )
    assert said.endswith("the column are day first, got '07/15/2020'")


def test_a1_no_date_is_to_be_written_that_there_is_not(tmp_path: Path) -> None:
    """Where as many dates are day first as month first, each is separated from those that may be both."""
    said = refusal(tmp_path, "recorded_on", "13/07/2020", "07/14/2020", "05/06/2020").splitlines()
    assert [line.partition(", ")[0] for line in said] == [
        "metadata.csv:3: recorded_on must be a date such as 2020-07-31",
        "metadata.csv:4: recorded_on may be day or month first",
    ]
    assert "None" not in "".join(said)


def test_a1_every_value_that_cannot_be_read_is_reported_once_by_line(tmp_path: Path) -> None:
    """Of all columns at once, in the order of the lines, twenty at most."""
    table = "file_path,label,age,recorded_on\n" + "".join(f"{i}.wav,1,{i % 30}y,day {i % 2}\n" for i in range(60))
    with pytest.raises(DataError) as error:
        read(tmp_path, table)
    said = str(error.value).splitlines()
    assert [line.rpartition(": ")[0].rpartition(":")[2] for line in said[:3]] == ["2", "2", "3"]
    assert len(said) == 21
    assert said[-1] == "... and 12 more"


def test_a1_no_later_reader_takes_what_it_cannot_read_for_absent() -> None:
    """Probes say how many cells that are; groups, pairs and models refuse."""
    case = benchmark.plain(np.random.default_rng(0))
    n = len(case.study.speakers)
    for name, probes in (("age", ("metadata", "matched")), ("recorded_on", ("recording_date",))):
        bad = case.with_columns(**{name: ["see notes"] * n})
        for one in probes:
            found = benchmark.ask(one, bad, PROBE)
            assert found.verdict == "not run"
            assert found.why.startswith(f"not run: {n} of {n} cells cannot be read: {name} must be")
    with pytest.raises(DataError, match="age must be a number"):
        group_names("age", ["forty"], evaluate_params())
    with pytest.raises(DataError, match="age must be a number"):
        typed({"age": ["40", "12a"]})
    with pytest.raises(DataError, match="age must be a number"):
        matched_pairs(case.with_columns(age=["forty"] * n).study, [], 5)


# ---------------------------------------------------------------------------------------------------------------------
# Cases A2 and A3, what is unknown
# ---------------------------------------------------------------------------------------------------------------------

UNKNOWN = """NA|na|N/A|n/a|N.A.|NaN|None|NULL|null|unknown|Unknown|UNK|-|--|—|.|?|???|#N/A|#REF!|<NA>|(missing)
desconhecido|Desconhecida|Não informado|não informada|NAO INFORMADO|nao_informado|ignorado|sem dados|Sem  informação
n/d|S/I|s/ inf|S/Inf.|sem info|NI|N.I.|não sei|não declarado|prefiro não dizer|a confirmar|TBD|pendente|sem id|anônimo
(blank)|#ERRO!|#¡VALOR!|#CALC!|#NOME?""".replace("\n", "|").split("|")


@pytest.mark.parametrize("written", [*UNKNOWN, "", "\u200b"])
def test_a3_a_marker_of_a_missing_value_is_unknown(written: str) -> None:
    """In any case, in Portuguese too."""
    assert is_unknown(written)


@pytest.mark.parametrize(
    "written",
    ["0", "F", "M", "HC", "Nara", "NA01", "name", "REF", "Santa Casa", "x", "7", "no", "北", "Nina", "#7", "infra"],
)
def test_a3_what_says_something_is_not_unknown(written: str) -> None:
    """However short it is."""
    assert not is_unknown(written)


@pytest.mark.parametrize("written", ["NA", "nan", "None", "NULL", "unknown", "não informado"])
def test_a3_people_of_unknown_id_are_no_one_person(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight are eight, as where the field is blank; the value, its rows and what follows are said."""
    rows = [f"{i:02}.wav,{i % 2},{written if i < 8 else f's{i}'}\n" for i in range(24)]
    table = read(tmp_path, "file_path,label,speaker_id\n" + "".join(rows))
    assert table["speaker_id"].n_unique() == 24
    assert table["speaker_id"][0] == "file:00.wav"
    said = capsys.readouterr().out
    assert f"metadata.csv: taken for unknown: speaker_id {written!r} (8 rows)" in said
    assert "8 of 24 rows have no speaker_id; each counts as a speaker of its own" in said


def test_a3_one_list_of_markers_serves_every_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But the two that are required, in which nothing may be missing."""
    names = ("sex", "age", "site", "device", "recorded_on", "spo2", "task", "split")
    table = read(tmp_path, f"file_path,label,{','.join(names)}\nna,1{',NA' * len(names)}\n")
    assert table.select(names).row(0) == ("",) * len(names)
    assert table["file_path"].to_list() == ["na"]
    assert "taken for unknown: sex 'NA', age 'NA', site 'NA', device 'NA', recorded_on 'NA'" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"label must be patient or control .*, got 'NA'$"):
        read(tmp_path, "file_path,label\na.wav,NA\n")


def test_a2_one_unknown_age_is_one_unknown_age() -> None:
    """The others stay numbers, and the probe still fails, and says what share it did not see."""
    for marker in ("NA", ""):
        x = encoder().fit_transform(typed({"age": ["30", marker, "50"]}))
        assert x.tolist() == [[30, 0], [40, 1], [50, 0]]
    case = benchmark.PLANTED["metadata"](np.random.default_rng(1), PROBE)
    whole = benchmark.ask("metadata", case, PROBE)
    ages = ["NA", *case.study.columns["age"][1:]]
    found = benchmark.ask("metadata", case.with_columns(age=ages), PROBE)
    assert whole.verdict == found.verdict == "fail"
    assert found.why.startswith(
        f"`age` is unknown for 1 of {len(ages)} clips; a simple model of sex, age and site alone separates "
    )


@pytest.mark.parametrize(("n_unknown", "verdict"), [(0, "pass"), (1, "pass"), (120, "not run"), (239, "not run")])
def test_a2_a_probe_that_saw_too_little_is_not_run(n_unknown: int, verdict: str) -> None:
    """Of ages that tell nothing: half unknown could hide as much as they hold, and is no pass; all but one is none."""
    case = benchmark.plain(np.random.default_rng(3))
    order = np.random.default_rng(0).permutation(240)
    ages = np.array(case.study.columns["age"])
    ages[order[:n_unknown]] = "?"
    found = benchmark.ask("metadata", case.with_columns(age=ages.tolist()), PROBE)
    assert found.verdict == verdict, found.why
    assert (f"`age` is unknown for {n_unknown} of 240 clips" in found.why) == (n_unknown > 0)


@pytest.mark.parametrize("in_test", [True, False])
def test_a2_what_is_unknown_of_one_side_only_is_not_cleared(in_test: bool) -> None:
    """Dates of the test clips alone, or of the training clips alone: no training clip has one, or no test clip."""
    case = benchmark.plain(np.random.default_rng(0))
    test = np.isin(np.arange(240), case.study.test_clips)
    days = np.where(test == in_test, "não informado", case.study.columns["recorded_on"])
    found = benchmark.ask("recording_date", case.with_columns(recorded_on=days.tolist()), PROBE)
    assert found.verdict == "not run"
    assert f"`recorded_on` is unknown for {(test == in_test).sum()} of 240 clips; " in found.why


def test_a2_a_site_that_is_spelled_otherwise_in_the_test_set_is_not_cleared() -> None:
    """No model was trained on the word of a test clip: it may separate the classes, and the probe cannot say."""
    case = benchmark.plain(np.random.default_rng(0))
    test = np.isin(np.arange(240), case.study.test_clips)
    sites = np.where(case.study.labels == 1, "ward", "home")
    found = {}
    for name, words in (("same", sites), ("other", np.where(test, np.char.add(sites, " 2"), sites))):
        found[name] = benchmark.ask("metadata", case.with_columns(site=words.tolist()), PROBE)
    assert found["same"].verdict == "fail"
    assert found["other"].verdict == "not run", found["other"].why
    n = test.sum()
    assert found["other"].why.startswith(
        f"`site` has a value that no training clip has in {n} of {n} test clips; a simple model of sex"
    )


def test_a2_a_column_without_one_known_value_is_counted() -> None:
    """In each of the three probes that need it."""
    bare = benchmark.plain(np.random.default_rng(0)).with_columns(age=["NA"] * 240, recorded_on=[""] * 240)
    why = {probe: benchmark.ask(probe, bare, PROBE).why for probe in ("recording_date", "matched", "metadata")}
    assert why["recording_date"] == "not run: `recorded_on` is unknown for 240 of 240 clips"
    assert why["matched"] == "not run: `age` is unknown for 240 of 240 clips"
    assert why["metadata"].startswith("`age` is unknown for 240 of 240 clips; a simple model of sex and site ")


def test_a2_who_is_in_no_pair_is_counted() -> None:
    """Where pairs are too few, and where they are enough."""
    case = benchmark.plain(np.random.default_rng(0))
    for n_unknown, start in ((30, "`age` is unknown for 30 of 240 clips; among"), (239, "not run: 0 matched pairs")):
        ages = ["unknown"] * n_unknown + list(case.study.columns["age"][n_unknown:])
        found = benchmark.ask("matched", case.with_columns(age=ages), PROBE)
        assert found.why.startswith(start)
        assert f"`age` is unknown for {n_unknown} of 240 clips" in found.why


def test_a2_the_split_says_whose_age_and_sex_are_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And refuses what is no age, with what to do."""
    rows = [f'{i}.wav,{i % 2},s{i},{"F" if i else ""},{"?" if i < 3 else 50},"",8000' for i in range(60)]
    clips = tmp_path / "clips.csv"
    outs = {name: tmp_path / name for name in ("subsets", "folds", "summary")}
    p = load("split", SplitParams, path=ROOT / "params.yaml")
    clips.write_text("\n".join(["clip_id,label,speaker_id,sex,age,split,n_samples", *rows]) + "\n")
    split.run(16_000, p, clips=clips, **outs)
    said = capsys.readouterr().out
    assert f"{clips}: sex is unknown for 1 of 60 clips\n{clips}: age is unknown for 3 of 60 clips\n" in said
    clips.write_text(clips.read_text().replace("?", "fifty"))
    with pytest.raises(DataError, match=r"clips.csv: age must be a number .*, got 'fifty'; run: dvc repro ingest"):
        split.run(16_000, p, clips=clips, **outs)


def test_the_readers_keep_each_value_in_its_place() -> None:
    """A gap stays a gap, a problem has the place of its cell."""
    numbers = read_numbers("age", ["40", "", "x", "41,5"])
    assert numbers.values == [40, None, None, 41.5]
    assert list(numbers.problems) == [2]
    dates = read_dates("recorded_on", ["NA", "2020-07-31", "?!x"], day_first=False)
    assert [str(day) for day in dates.values] == ["None", "2020-07-31", "None"]
    assert list(dates.problems) == [2]


# ---------------------------------------------------------------------------------------------------------------------
# Case A4, one person in two spellings
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("P07", "p07", "in case"),
        ("7", "7.0", "in how a number is written"),
        ("7,5", "7.50", "in how a number is written"),
        ("100000", "1E+05", "in how a number is written"),
        ("jos\u00e9", "jose\u0301", "in how accents are encoded"),
        ("p\u200b1", "p1", "in spaces or characters that cannot be seen"),
        ("\ufeffp1", "p1", "in spaces or characters that cannot be seen"),
        ("p\u00ad1", "p1", "in spaces or characters that cannot be seen"),
        ("p\u00a01", "p  1", "in spaces or characters that cannot be seen"),
        ("Ｐ07", "P07", "in how characters are encoded"),
        ("STRASSE", "straße", "in case"),
        ("'7", "7", "in marks before or between letters and digits"),
        ("P-07", "P07", "in marks before or between letters and digits"),
        ("P 07", "P_07", "in marks before or between letters and digits"),
        ("P–07", "P-07", "in marks before or between letters and digits"),
    ],
)
def test_a4_ids_that_differ_in_spelling_alone_are_named(
    one: str, other: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With their rows; they stay two, for they may be."""
    table = f'file_path,label,speaker_id\na.wav,1,"{one}"\nb.wav,1,"{other}"\nc.wav,1,"{other}"\nd.wav,1,else\n'
    assert read(tmp_path, table)["speaker_id"].n_unique() == 3
    said = capsys.readouterr().out
    assert f"differ only {how}, and count as 2; write one spelling where one is meant" in said
    assert f"{one!r}" in said
    assert f"{other!r} (2 rows)" in said


@pytest.mark.parametrize(
    ("one", "other"), [("007", "7"), ("p1", "p2"), ("7", "70"), ("1e2", "1e3"), ("0.7", "7"), ("1-1", "11")]
)
def test_a4_ids_that_differ_in_more_are_two_people(
    one: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is said of them."""
    read(tmp_path, f"file_path,label,speaker_id\na.wav,1,{one}\nb.wav,1,{other}\n")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("written", ["1.23457E+11", "1,23E+11"])
def test_a4_an_id_that_a_spreadsheet_rounded_is_refused(written: str, tmp_path: Path) -> None:
    """It may have been several people's: what distinguished them is lost."""
    with pytest.raises(DataError, match=r"csv:3: speaker_id must not be rounded, as by a spreadsheet: .*2 rows\)$"):
        read(tmp_path, f'file_path,label,speaker_id\na,1,x\nb,1,"{written}"\nc,0,"{written}"\n')


def test_a4_places_are_compared_too_and_people_are_not_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten groups at most, and how many more."""
    rows = "".join(f"{i}.wav,1,{'Pp'[i % 2]}{i // 2},{'hH'[i % 2]}c\n" for i in range(30))
    names = "m.wav,1,Maria Silva,hc\nn.wav,1,maria silva,hc\n"
    read(tmp_path, "file_path,label,speaker_id,site\n" + rows + names)
    said = capsys.readouterr().out
    assert "site 'Hc' (15 rows) and 'hc' (17 rows) differ only in case" in said
    assert "aria" not in said
    assert said.count("speaker_id") == 11
    assert "speaker_id: 6 more groups differ only in spelling" in said


# ---------------------------------------------------------------------------------------------------------------------
# Case A5, columns
# ---------------------------------------------------------------------------------------------------------------------


def test_a5_columns_are_read_in_any_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With spaces about or inside them; SPIRA's names too."""
    header = "File_Path,CLASS, Speaker ID ,Sexo,Age,Recorded-On,SpO2,Split"
    table = read(tmp_path, f"{header}\na.wav,1,p1,f,40,2020-07-31,97,Test\n")
    wanted = ("label", "speaker_id", "sex", "age", "recorded_on", "spo2", "split")
    assert table.select(wanted).row(0) == (1, "p1", "F", "40", "2020-07-31", "97", "test")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "cells", "values"),
    [
        ("label", ["Paciente", "CONTROLE", "1.0", "0,0", "\u200bpatient", "Control\u00a0"], [1, 0, 1, 0, 1, 0]),
        ("sex", ["Masculino", "feminino", "Masc.", "Fem", "mulher", "f\u200b"], ["M", "F", "M", "F", "F", "F"]),
        (
            "split",
            ["Treino", "TESTE", "Validação", "val", "test\u200b"],
            ["train", "test", *["validation"] * 2, "test"],
        ),
    ],
)
def test_a5_words_of_a_class_are_read_in_portuguese_and_with_what_nobody_sees(
    name: str, cells: list[str], values: list[object], tmp_path: Path
) -> None:
    """As the names of columns are."""
    other = "split" if name == "label" else "label"
    rows = [f'{i}.wav,{"" if name == "label" else 1},"{cell}"\n' for i, cell in enumerate(cells)]
    assert read(tmp_path, f"file_path,{other},{name}\n{''.join(rows)}")[name].to_list() == values


@pytest.mark.parametrize(
    ("name", "written"), [("label", "sim"), ("label", "1.5"), ("sex", "H"), ("sex", "1"), ("split", "dev")]
)
def test_a5_a_word_that_may_mean_two_things_is_refused_with_its_line(name: str, written: str, tmp_path: Path) -> None:
    """An M is a man, or beside an H a woman."""
    columns = {"file_path": "ab", "label": "11", name: ["", written]} | (
        {"label": ["1", written]} if name == "label" else {}
    )
    rows = zip(*columns.values(), strict=True)
    with pytest.raises(DataError, match=rf"metadata\.csv:3: {name} must be .*, got '{written}'$"):
        read(tmp_path, "\n".join([",".join(columns), *map(",".join, rows)]) + "\n")


def test_a5_names_of_columns_are_read_without_what_parts_their_words(tmp_path: Path) -> None:
    """SpeakerID is one."""
    table = read(tmp_path, "FilePath\tLABEL\tSpeakerID\trecordedOn\na.wav\t1\tp1\t2020-07-31\n")  # and tabs
    assert table.select("speaker_id", "recorded_on").row(0) == ("p1", "2020-07-31")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("record_id", "speaker_id"), ("Gênero", "sex"), ("Data da coleta", "recorded_on"), ("hospital", "site")],
)
def test_a5_other_names_of_what_is_read_are_known(
    name: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In forms and tables of other programs; they are said, not read."""
    read(tmp_path, f"file_path,label,{name}\na.wav,1,x\n")
    assert f"columns that are not read: {name!r} (did you mean {meant}?)\n" in capsys.readouterr().out


def test_a5_columns_that_are_not_read_are_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the known name that was probably meant, unless it is there."""
    read(tmp_path, "file_path,label,speaker_id,splt,Hospital Site,height,agee,age\na.wav,1,x,,,,,\nb.wav,1,y,,,,,\n")
    said = [line for line in capsys.readouterr().out.splitlines() if "not read" in line]
    assert said == [
        f"{tmp_path}/metadata.csv: columns that are not read: 'splt' (did you mean split?), 'Hospital Site' (did "
        "you mean site?), 'height', 'agee'"
    ]


def test_a5_a_column_without_a_name_is_reported_where_it_holds_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commas of numbers, in a table that is cut at commas: the decimals lie in the next column."""
    read(tmp_path, "file_path,label,speaker_id,age,,\na.wav,1,x,34,2,\nb.wav,1,y,40,1,\n")
    assert "columns that are not read: 'column 5 has no name'\n" in capsys.readouterr().out


def test_a5_a_hundred_columns_are_not_all_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten are."""
    names = [f"question {i}" for i in range(100)]
    read(tmp_path, f"file_path,label,speaker_id,{','.join(names)}\na.wav,1,x{',' * 100}\n")
    assert "'question 9', and 90 more\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "header", ["file_path,label,Split,split", "file_path,label,sexo,Sexo", "File_path,file_path,label"]
)
def test_a5_two_columns_of_one_name_are_refused(header: str, tmp_path: Path) -> None:
    """In whatever case: nobody can tell which is meant."""
    with pytest.raises(DataError, match=r"each column must be named once, got (split|sex|file_path) again"):
        read(tmp_path, f"{header}\n{','.join('1' * (header.count(',') + 1))}\n")
