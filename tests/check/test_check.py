"""A params.yaml that some stage could not use costs a second, and says every reason."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import parse_yaml
from pydantic import TypeAdapter

from spira.base.errors import ParamError
from spira.models.params import NETWORKS
from spira.stages.check import SECTIONS, run

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = (ROOT / "params.yaml").read_text(encoding="utf-8")


Edit = tuple[str, str]  # a dotted key, and what its line then says


def line_number(text: str, key: str) -> int:
    """The line, from 1, on which a section's own key stands."""
    section, name, *_ = [*key.split("."), ""]
    lines = text.splitlines()
    top = next(i for i, line in enumerate(lines) if line.startswith(f"{section}:"))
    return 1 + (top if not name else next(i for i in range(top, len(lines)) if lines[i].startswith(f"  {name}:")))


def edited(*edits: Edit) -> str:
    """The committed file with lines replaced; whatever it says otherwise."""
    lines = COMMITTED.splitlines()
    for key, instead in edits:
        lines[line_number(COMMITTED, key) - 1] = f"{'  ' if '.' in key else ''}{instead}"
    return "\n".join(lines) + "\n"


def refusal(text: str, folder: Path) -> str:
    params = folder / "params.yaml"
    params.write_text(text, encoding="utf-8")
    with pytest.raises(ParamError) as error:
        run(params=params, out=folder / "checked")
    assert not (folder / "checked").exists()
    return str(error.value).replace(f"{folder}/", "")


def start(folder: Path) -> subprocess.CompletedProcess[str]:
    """The stage as dvc.yaml starts it, in another folder."""
    return subprocess.run(
        [sys.executable, "-m", "spira.stages.check"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_committed_parameters_pass_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    """What stages depend on does not change while every section can be used, whatever it says."""
    first, second = tmp_path / "first", tmp_path / "deeper" / "second"
    run(params=ROOT / "params.yaml", out=first)
    other = tmp_path / "params.yaml"
    other.write_text(edited(("train.lr", "lr: 3e-4")), encoding="utf-8")
    run(params=other, out=second)
    assert first.read_bytes() == second.read_bytes() == b"every section of params.yaml can be used\n"


def test_it_starts_without_what_only_later_stages_use() -> None:
    """A typo is refused in half a second: torch would take two, scikit-learn and scipy another two."""
    heavy = "{'torch', 'sklearn', 'scipy', 'librosa', 'polars'}"
    code = f"import spira.stages.check, sys; sys.exit(' '.join({heavy} & set(sys.modules)) or None)"
    started = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (started.returncode, started.stderr) == (0, "")


def test_every_section_is_checked_and_every_check_has_its_section() -> None:
    """A section that ``check`` does not know would fail in the stage that uses it, after the work before it."""
    assert list(SECTIONS) == list(parse_yaml(COMMITTED, "params.yaml"))


WRONG: list[tuple[list[Edit], str, str]] = [  # edits, the key that is named, the message
    ([("corpus", "corpus: ../mine")], "corpus", r"must match pattern .*, got '\.\./mine'"),
    ([("noise_corpus", "noise_corpus: [a]")], "noise_corpus", r"must be a valid string, got \['a'\]"),
    ([("sample_rate", "sample_rate: 16 kHz")], "sample_rate", "must be a valid integer, got '16 kHz'"),
    ([("sample_rate", "sample_rate: 4000")], "sample_rate", "must be greater than or equal to 8000, got 4000"),
    ([("seeds", "seeds: []")], "seeds", r"must have at least 1 item .*, got \[\]"),
    ([("synthesize.n_speakers", "n_speakers: 150")], "synthesize.n_speakers", "must be a multiple of 4, got 150"),
    (
        [("synthesize.youngest", "youngest: 18"), ("synthesize.oldest", "oldest: 17")],
        "synthesize.youngest",
        "must not exceed oldest=17, got 18",
    ),
    ([("ingest.max_rejected", "max_rejected: 5%")], "ingest.max_rejected", "must be a valid number, got '5%'"),
    ([("ingest.min_peak", "min_peak: 2")], "ingest.min_peak", "must be less than 1, got 2"),
    (
        [("split.validation", "validation: 0.75"), ("split.test", "test: 0.25")],
        "split.test",
        r"validation \+ test must leave speakers to train on, got 1\.0",
    ),
    (
        [("split.scheme", "scheme: kfold")],
        "split.folds",
        r"must be three different numbers or more for split\.scheme=kfold, got \[holdout\]",
    ),
    (
        [("split.folds", "folds: [1, 2, 3]")],
        "split.folds",
        r"must be \[holdout\] for split\.scheme=holdout, got \[1, 2, 3\]; or split\.scheme=kfold",
    ),
    ([("split.scheme", "scheme: kfold"), ("split.folds", "folds: [1, 2]")], "split.folds", r"must .*, got \[1, 2\]"),
    (
        [("split.scheme", "scheme: kfold"), ("split.folds", "folds: [1, 2, 2, 3]")],
        "split.folds",
        r"must be three different .*, got \[1, 2, 2, 3\]",
    ),
    (
        [("split.scheme", "scheme: kfold"), ("split.folds", "folds: [1, 2, holdout]")],
        "split.folds",
        r"must be three different .*, got \[1, 2, holdout\]",
    ),
    ([("split.folds", "folds: [1, 2.5, 3]")], "split.folds.1", r"must be a number from 0, or holdout, got 2\.5"),
    ([("split.folds", "folds: [1, ../2]")], "split.folds.1", r"must be a number from 0, or holdout, got '\.\./2'"),
    ([("split.folds", "folds: [true, 2, 3]")], "split.folds.0", "must be a number from 0, or holdout, got True"),
    ([("split.scheme", "scheme: loo")], "split.scheme", "must be 'holdout' or 'kfold', got 'loo'"),
    ([("split.min_speakers", "min_speakers: 0")], "split.min_speakers", "must be greater than 0, got 0"),
    ([("noise.views", "view: 2")], "noise.view", r"unknown parameter; did you mean 'views'\?"),
    (
        [("noise.peak", "peak: {low: 0.2, high: 0.1}")],
        "noise.peak.low",
        r"must not exceed high=0\.1, got 0\.2",
    ),
    (
        [("noise.snr_db", "snr_db: {low: 20, high: 0}")],
        "noise.snr_db.low",
        r"must not exceed high=0\.0, got 20\.0",
    ),
    ([("noise.level", "level: loud")], "noise.level", "must be 'snr' or 'peak', got 'loud'"),
    ([("noise.clean_weight", "clean_weight: 1.5")], "noise.clean_weight", "must be less than or equal to 1, got 1.5"),
    ([("noise.unseen", "unseen: 1.0")], "noise.unseen", "must be less than 1, got 1.0"),
    ([("features.normalize", "normalize: all")], "features.normalize", "must be 'none' or 'active', got 'all'"),
    (
        [("features.active_db", "active_db: 0.0")],
        "features.active_db",
        "must be greater than 0, got 0.0",
    ),
    (
        [("features.kind", "kind: mfc")],
        "features.kind",
        "must be 'mfcc', 'mel', 'spectrogram' or 'embedding', got 'mfc'; did you mean mfcc\\?",
    ),
    (
        [("features.n_mels", "n_mels: 40"), ("features.n_mfcc", "n_mfcc: 41")],
        "features.n_mfcc",
        r"must be in \[1, 40\] for n_mels=40, got 41",
    ),
    (
        [("features.n_fft", "n_fft: 400"), ("features.win_length", "win_length: 401")],
        "features.win_length",
        "must not exceed n_fft=400, got 401",
    ),
    (
        [("windows.seconds", "seconds: 4"), ("windows.step_seconds", "step_seconds: 5.0")],
        "windows.step_seconds",
        r"must not exceed seconds=4\.0, got 5\.0",
    ),
    (
        [("models.networks", "networks: [pooled_cnn, resnet]")],
        "models.networks",
        "must each be one of pooled_cnn, spiraconv_v2, spiraconv_v1, spiraconv, cnn6, cnn10, cnn14, mfcc_transformer, "
        "got 'resnet'",
    ),
    (
        [("models.baselines", "baselines: [cnn6]")],
        "models.baselines",
        "must each be one of statistics, got 'cnn6'",
    ),
    (
        [("models.networks", "networks: [cnn6, cnn10, cnn6]")],
        "models.networks",
        r"must differ from each other, got \['cnn6', 'cnn10', 'cnn6'\]",
    ),
    (
        [("models.networks", "networks: []"), ("models.baselines", "baselines: []")],
        "models.networks",
        r"must name a model where models\.baselines=\[\], got \[\]",
    ),
    ([("models.networks", "networks: cnn6")], "models.networks", "must be a valid list, got 'cnn6'"),
    ([("network.standardize", "standardize: 1")], "network.standardize", "must be a valid boolean, got 1"),
    ([("network.init_from", "init_from: ../w.pth")], "network.init_from", r"must match pattern .*, got '\.\./w\.pth'"),
    (
        [("network.init_from", "init_from: none"), ("network.reinit", "reinit: [fc1]")],
        "network.reinit",
        r"must be \[\] where network\.init_from=none, got \['fc1'\]",
    ),
    (
        [("train.precision", "precision: bfloat16"), ("train.device", "device: cpu")],
        "train.precision",
        r"must be float32 unless train\.device=cuda, got bfloat16 and cpu",
    ),
    (
        [("train.cuda_graph", "cuda_graph: true")],
        "train.cuda_graph",
        r"must be false unless train\.device=cuda, got true and auto",
    ),
    (
        [("train.mixup_alpha", "mixup_alpha: 0.4"), ("train.batch_size", "batch_size: 1")],
        "train.mixup_alpha",
        r"must be 0 where train\.batch_size=1, got 0\.4",
    ),
    ([("train.label_smoothing", "label_smoothing: 1.0")], "train.label_smoothing", r"must be less than 1, got 1\.0"),
    ([("train.windows", "windows: half")], "train.windows", "must be 'overlap', 'random' or 'whole', got 'half'"),
    (
        [("train.balance", "balance: null")],
        "train.balance",
        r"must be 'none', 'sampler' or 'loss', got None; did you mean none\?",
    ),
    ([("train.lr", "lr: fast")], "train.lr", "must be a valid number, got 'fast'"),
    ([("train.lr", "lr: .nan")], "train.lr", "must be a finite number, got nan"),
    ([("train.optimizer", "optimizer: sgd")], "train.optimizer", "must be 'adam', 'adamw' or 'radam', got 'sgd'"),
    ([("train.max_epochs", "max_epochs: 1.5")], "train.max_epochs", r"must be a valid integer, got 1\.5"),
    ([("train.device", "device: gpu")], "train.device", "must be 'auto', 'cpu' or 'cuda', got 'gpu'"),
    ([("predict.batch_size", "batch_size: -8")], "predict.batch_size", "must be greater than 0, got -8"),
    ([("evaluate.confidence", "confidence: 95")], "evaluate.confidence", "must be less than 1, got 95"),
    (
        [("evaluate.threshold_condition", "threshold_condition: loud")],
        "evaluate.threshold_condition",
        "must be 'clean', 'noisy' or 'noisy_controls', got 'loud'",
    ),
]


def network(name: str) -> Edit:
    """The one network of params.yaml."""
    return "models.networks", f"networks: [{name}]"


MEL: list[Edit] = [("features.kind", "kind: mel")]
SHORT_FRAMES = [("sample_rate", "sample_rate: 16000"), ("features.hop_length", "hop_length: 160")]
ACROSS: list[tuple[list[Edit], str, str]] = [  # each edit is sound in its own section
    (
        [("sample_rate", "sample_rate: 8000"), ("features.f_max", "f_max: 4001")],
        "features.f_max",
        r"must be at most half of sample_rate=8000, got 4001\.0",
    ),
    ([("seeds", "seeds: [1, 2, 1]")], "seeds", r"must differ from each other, got \[1, 2, 1\]"),
    ([("seeds", "seeds: [0, 1]")], "seeds", r"must be from 1, for 0 is written for a baseline, .* got \[0, 1\]"),
    (
        [("evaluate.deploy", "deploy: statistic")],
        "evaluate.deploy",
        r"must be best or pooled_cnn or statistics, got 'statistic'; did you mean 'statistics'\?",
    ),
    (
        [("corpus", "corpus: mine"), ("noise_corpus", "noise_corpus: mine")],
        "noise_corpus",
        "must not be the corpus, whose test speakers would sound in training, got 'mine'",
    ),
    (
        [
            *SHORT_FRAMES,
            network("spiraconv_v2"),
            ("windows.seconds", "seconds: 0.5"),
            ("windows.step_seconds", "step_seconds: 0.5"),
        ],
        "windows.seconds",
        "too short for the network spiraconv_v2: a window has 51 frames, and its convolutions and poolings leave none",
    ),
    (
        [*SHORT_FRAMES, ("windows.seconds", "seconds: 0.5"), ("windows.step_seconds", "step_seconds: 0.005")],
        "windows.step_seconds",
        r"must be at least 0\.01 s, got 0\.005",
    ),
    (
        [("ingest.max_seconds", "max_seconds: 60"), ("windows.seconds", "seconds: 90")],
        "windows.seconds",
        r"must not exceed ingest\.max_seconds=60\.0, got 90\.0",
    ),
    (
        [
            *SHORT_FRAMES,
            ("windows.seconds", "seconds: 0.5"),
            ("windows.step_seconds", "step_seconds: 0.5"),
            ("features.n_fft", "n_fft: 16000"),
        ],
        "features.n_fft",
        r"must be less than two windows of 0\.5 s, got 16000 samples",
    ),
    (
        [
            ("sample_rate", "sample_rate: 16000"),
            ("features.kind", "kind: spectrogram"),
            ("features.n_fft", "n_fft: 1600"),
            ("features.f_min", "f_min: 11"),
            ("features.f_max", "f_max: 19"),
        ],
        "features.f_min",
        r"must leave a bin, one every 10 Hz, to f_max=19\.0, got 11\.0",
    ),
    (  # a number alone is sound; with the others it fills the memory
        [
            *SHORT_FRAMES,
            ("features.kind", "kind: spectrogram"),
            ("features.n_fft", "n_fft: 16384"),
            ("features.hop_length", "hop_length: 1"),
        ],
        "windows.seconds",
        "a window must hold at most 10000000 numbers, got 64001 frames of 8193 features",
    ),
    (
        [("features.kind", "kind: mfcc"), network("cnn14")],
        "features.kind",
        r"must be mel for the model cnn14, got 'mfcc'",
    ),
    (
        [*MEL, network("mfcc_transformer")],
        "features.kind",
        r"must be mfcc for the model mfcc_transformer, got 'mel'",
    ),
    (
        [*MEL, ("features.n_mels", "n_mels: 31"), ("features.n_mfcc", "n_mfcc: 31"), network("cnn14")],
        "features.n_mels",
        r"must be at least 32 for the network cnn14, got 31",
    ),
    (
        [network("spiraconv_v1"), ("train.micro_batch_size", "micro_batch_size: 1")],
        "train.micro_batch_size",
        r"must be at least 2 for the network spiraconv_v1, which normalises by batch, got 1",
    ),
    (
        [*MEL, network("cnn6"), ("train.batch_size", "batch_size: 1")],
        "train.batch_size",
        r"must be at least 2 for the network cnn6, which normalises by batch, got 1",
    ),
    (
        [
            *MEL,
            network("cnn6"),
            ("network.init_from", "init_from: a.pth"),
            ("network.reinit", "reinit: [fc9]"),
        ],
        "network.reinit",
        r"must name layers of the network cnn6, got 'fc9'; known: standardize, bn0, .*, and what they hold",
    ),
    (
        [("models.networks", "networks: [pooled_cnn, spiraconv]"), ("network.init_from", "init_from: a.safetensors")],
        "network.init_from",
        "must be none where models.networks has more than one, for a file has the weights of one, got 'a.safetensors'",
    ),
]


def named(cases: list[tuple[list[Edit], str, str]]) -> list[str]:
    return ["; ".join(instead for _, instead in edits) for edits, *_ in cases]


@pytest.mark.parametrize(("edits", "key", "message"), WRONG + ACROSS, ids=named(WRONG + ACROSS))
def test_a_wrong_edit_is_refused_where_it_stands(edits: list[Edit], key: str, message: str, tmp_path: Path) -> None:
    """The file, the line, the key, what was expected and what was found; in one section or across them."""
    text = edited(*edits)
    place = rf"params\.yaml:{line_number(text, key)}: {re.escape(key)}"
    assert re.search(rf"^{place}: {message}$", refusal(text, tmp_path), re.MULTILINE)


@pytest.mark.parametrize(("edits", "key", "message"), ACROSS, ids=named(ACROSS))
def test_a_contradiction_between_sections_is_reported_alone(
    edits: list[Edit], key: str, message: str, tmp_path: Path
) -> None:
    """Nothing that follows from it is listed beside it, so the first thing to mend is the only one."""
    assert refusal(edited(*edits), tmp_path).count("\n") == 0, (key, message)


@pytest.mark.parametrize("kind", ["mfcc", "mel", "spectrogram"])
def test_every_kind_of_feature_fits_the_model(kind: str, tmp_path: Path) -> None:
    """``dvc exp run -S features.kind=mel`` needs no second edit."""
    params = tmp_path / "params.yaml"
    params.write_text(edited(("features.kind", f"kind: {kind}")), encoding="utf-8")
    run(params=params, out=tmp_path / "checked")
    assert (tmp_path / "checked").exists()


@pytest.mark.parametrize(
    ("mask", "width", "message"),
    [
        ("n_time_masks", "time_width: 401", r"must be less than the 401 frames of windows\.seconds, got 401"),
        (
            "n_frequency_masks",
            "frequency_width: 40",
            r"must be less than the 40 numbers that features\.kind gives a frame, got 40",
        ),
    ],
)
def test_a_mask_may_not_cover_the_whole_window(mask: str, width: str, message: str, tmp_path: Path) -> None:
    """Where masks are on; where they are off, their width is nobody's trouble."""
    key = width.partition(":")[0]
    text = re.sub(rf"    {key}: \d+", f"    {width}", COMMITTED)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    run(params=tmp_path / "params.yaml", out=tmp_path / "off")
    on = text.replace(f"    {mask}: 0", f"    {mask}: 1")
    assert re.search(rf"train\.spec_augment\.{key}: {message}$", refusal(on, tmp_path), re.MULTILINE)


def test_a_model_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    """Each size is possible by itself. They are counted without any weight being made."""
    text = edited(network("mfcc_transformer")).replace("    width: 128 ", "    width: 65536 ")
    said = r"network\.mfcc_transformer: the network must have at most 1000000000 weights, got \d{11}$"
    assert re.search(said, refusal(text, tmp_path))
    wide = re.sub(r"    kernels: .*", f"    kernels: {[4095] * 3}", COMMITTED, count=1)
    wide = re.sub(r"    channels: .*", f"    channels: {[4096] * 3}", wide, count=1)
    assert re.search(r"network\.pooled_cnn: the network must .*, got \d{12}$", refusal(wide, tmp_path))


def test_every_number_has_a_highest_value_and_every_list_a_length() -> None:
    """Of every section, whatever is added to it: none lets a typo fill the memory or run for ever."""
    schemas = {name: TypeAdapter(kind).json_schema() for name, kind in SECTIONS.items()}
    found = [place for name, schema in schemas.items() for place in endless(schema, schema.get("$defs", {}), name)]
    assert sum(1 for text in map(str, schemas.values()) for _ in re.finditer("maximum|exclusiveMaximum", text)) > 100
    assert found == ["split.folds[]"]  # whose type checks itself


def endless(schema: Any, defs: Any, path: str) -> Iterator[str]:
    """The numbers without an upper and a lower bound, and the lists without a greatest length."""
    schema = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    sides = [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}]
    if schema.get("type") in ("integer", "number") and not all(schema.keys() & side for side in sides):
        yield path
    if schema.get("type") == "array":
        yield from [] if "maxItems" in schema else [path]
        yield from endless(schema["items"], defs, f"{path}[]")
    if not schema.keys() & {"type", "$ref"}:
        yield path
    for name, of in schema.get("properties", {}).items():
        yield from endless(of, defs, f"{path}.{name}")


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_kind_of_model_passes_with_its_features(kind: str, tmp_path: Path) -> None:
    """``-S models.networks=[cnn6] -S features.kind=mel`` is all that a comparison needs."""
    params = tmp_path / "params.yaml"
    features = NETWORKS[kind][0]
    params.write_text(edited(network(kind), ("features.kind", f"kind: {features}")), encoding="utf-8")
    run(params=params, out=tmp_path / "checked")
    assert (tmp_path / "checked").exists()


def test_a_run_without_a_network_or_without_a_baseline_passes(tmp_path: Path) -> None:
    """Either list may be empty; what only a network could not use is then nobody's trouble."""
    for text in (
        edited(("models.baselines", "baselines: []")),
        edited(("models.networks", "networks: []"), ("network.init_from", "init_from: a.safetensors")),
    ):
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        run(params=tmp_path / "params.yaml", out=tmp_path / "checked")


def test_all_problems_of_all_sections_are_named_at_once(tmp_path: Path) -> None:
    """Two unknown sections, two missing ones and wrong values in two others: one run, in the same order each time."""
    text = edited(
        ("predict", "predicts:"),
        ("windows", "window:"),
        ("train.lr", "lr: fast"),
        ("noise.views", "views: 0"),
        ("noise.seed", "sed: 0"),
    )
    assert [line.partition(": ")[2] for line in refusal(text, tmp_path).splitlines()] == [
        "windows: missing; code has no defaults, so write it",
        "predict: missing; code has no defaults, so write it",
        "window: unknown section; did you mean 'windows'?",
        "predicts: unknown section; did you mean 'predict'?",
        "noise.seed: missing; code has no defaults, so write it",
        "noise.views: must be greater than 0, got 0",
        "noise.sed: unknown parameter; did you mean 'seed'?",
        "train.lr: must be a valid number, got 'fast'",
    ]


def test_the_command_writes_its_word_and_nothing_else(tmp_path: Path) -> None:
    """A plain command, in any folder that holds a params.yaml: exit status 0, silence, one file."""
    (tmp_path / "params.yaml").write_text(COMMITTED, encoding="utf-8")
    done = start(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".ckpt", "check.lock", "checked", "data", "params.yaml"]


def test_the_command_fails_with_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    """Exit status 1 and one line on stderr: what a person can act on."""
    text = edited(("train.lr", "lr: fast"))
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    done = start(tmp_path)
    message = f"params.yaml:{line_number(text, 'train.lr')}: train.lr: must be a valid number, got 'fast'"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"ParamError: {message}\n")
    assert not (tmp_path / "data").exists()
