"""params.yaml is read as DVC reads it, and what a stage cannot use is refused by name."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from spira.base.errors import ParamError
from spira.base.params import load, read, suggest
from spira.base.section import Columns, FolderName, SampleRate, Section, Seeds


class Inner(Section):
    low: PositiveFloat
    high: PositiveFloat

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low: must not exceed high={self.high}, got {self.low}")
        return self


class Outer(Section):
    lr: PositiveFloat
    epochs: PositiveInt
    kind: Literal["adam", "adamw"]
    on: bool
    rates: tuple[Annotated[int, Field(ge=8000)], ...]
    inner: Inner


SOUND = """\
train:
  lr: 1e-5
  epochs: 3
  kind: adam
  on: true
  rates: [8000, 16000]
  inner: {low: 0.5, high: 2}
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(folder: Path, text: str | bytes, name: str = "train", kind: Any = Outer) -> str:
    """The message with which the section is refused, the file's folder left out."""
    with pytest.raises(ParamError) as error:
        load(name, kind, path=write(folder, text))
    return str(error.value).replace(f"{folder}/", "")


# ---------------------------------------------------------------------------------------------------------------------
# The same scalars as DVC
# ---------------------------------------------------------------------------------------------------------------------

SCALARS = """
1e-5 1e-05 1E-5 1e3 1E+3 1.e3 .5 5. -0.0 +1 0.001 no yes on off y n True true TRUE false ~ null Null 017 0o17 0x1f 0b11
1_000 1_0.5 .inf -.inf .nan .NaN inf nan 12:30:45 1:30 2021-03-04 "1e-5" '1' 007 08 1e400 123456789012345678901 1.2.3
[1,2] [] {} - = << 0x 1e 1e- e5 +.5
""".split()  # noqa: SIM905
TAGGED = ["!!str 1", "!!float 1", '!!int "3"', "!!int", "!!float x", "!foo 1", "2021-03-04 05:06:07", "2021-02-30", ""]


@pytest.mark.parametrize("scalar", [*SCALARS, *TAGGED])
def test_every_scalar_is_what_dvc_reads(scalar: str, tmp_path: Path) -> None:
    """``dvc params diff`` and the stage never see two values, nor two types: PyYAML would differ on ten of these."""
    text = f"key: {scalar}\n"
    try:
        expected = parse_yaml(text, "params.yaml")["key"]
    except (YAMLFileCorruptedError, ValueError, IndexError):
        with pytest.raises(ParamError, match="not readable as YAML"):
            read(write(tmp_path, text))
        return
    got = read(write(tmp_path, text))[0]["key"]
    assert type(got) is type(expected)
    assert got == expected or (math.isnan(got) and math.isnan(expected))


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-5", 1e-5), ("1e-05", 1e-5), ("1e3", 1000.0), ("1E+3", 1000.0), (".5", 0.5), ("1_000", 1000), ("0x1f", 31)],
)
def test_a_number_in_any_spelling_is_a_number(written: str, value: float, tmp_path: Path) -> None:
    """``dvc exp run -S train.lr=1e-5`` writes ``1e-05``, which YAML 1.1 takes for text."""
    params = load("train", Outer, path=write(tmp_path, SOUND.replace("lr: 1e-5", f"lr: {written}")))
    assert params.lr == value
    assert type(params.lr) is float


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "y", "n"])
def test_a_yaml_1_1_boolean_is_text(word: str, tmp_path: Path) -> None:
    """YAML 1.2 knows true and false only, so a corpus may be called ``no``."""
    assert load("corpus", FolderName, path=write(tmp_path, f"corpus: {word}\n")) == word
    message = refusal(tmp_path, SOUND.replace("on: true", f"on: {word}"))
    meant = {"no": "; did you mean false?", "off": "; did you mean false?", "yes": "; did you mean true?"}
    expected = (meant | {"on": "; did you mean true?"}).get(word, "")
    assert message == f"params.yaml:5: train.on: must be a valid boolean, got '{word}'{expected}"


def test_leading_zeros_are_decimal_as_dvc_reads_them(tmp_path: Path) -> None:
    """``017`` is 17, not fifteen: YAML 1.1 would read octal."""
    assert load("seeds", Seeds, path=write(tmp_path, "seeds: [017, 0o17]\n")) == (17, 15)


def test_a_duplicate_key_is_refused_with_its_line(tmp_path: Path) -> None:
    """The second value would silently win; DVC refuses it as well."""
    text = SOUND.replace("  epochs: 3\n", "  epochs: 3\n  lr: 1\n")
    with pytest.raises(YAMLFileCorruptedError):
        parse_yaml(text, "params.yaml")
    assert refusal(tmp_path, text).startswith('params.yaml:4: not readable as YAML: found duplicate key "lr"')


# ---------------------------------------------------------------------------------------------------------------------
# What comes out
# ---------------------------------------------------------------------------------------------------------------------


def test_a_sound_section_is_typed_and_frozen(tmp_path: Path) -> None:
    """Lists become tuples, an int where a float is due becomes one, and nothing changes afterwards."""
    params = load("train", Outer, path=write(tmp_path, SOUND))
    inner = Inner(low=0.5, high=2.0)
    assert params == Outer(lr=1e-5, epochs=3, kind="adam", on=True, rates=(8000, 16000), inner=inner)
    assert type(params.inner.high) is float
    with pytest.raises(ValueError, match="frozen"):
        params.epochs = 4  # type: ignore[misc]


def test_anchors_and_merge_keys_are_resolved(tmp_path: Path) -> None:
    """YAML's own means against repetition work, as they do in DVC."""
    text = SOUND.replace("  inner:", "  inner: &band\n    <<: *base\n    high: 3\n").replace(
        " {low: 0.5, high: 2}\n", ""
    )
    text = "base: &base {low: 0.5, high: 2}\n" + text
    assert load("train", Outer, path=write(tmp_path, text)).inner == Inner(low=0.5, high=3.0)
    assert read(write(tmp_path, text))[0] == parse_yaml(text, "params.yaml")


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    """A file saved by an editor on Windows reads the same."""
    expected = load("train", Outer, path=write(tmp_path, SOUND))
    text = b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode()
    assert load("train", Outer, path=write(tmp_path, text)) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Sections that are refused
# ---------------------------------------------------------------------------------------------------------------------

REFUSED = {  # edit of SOUND: (from, to) -> the whole message
    ("lr: 1e-5", "lrr: 1e-5"): (
        "params.yaml:1: train.lr: missing; code has no defaults, so write it\n"
        "params.yaml:2: train.lrr: unknown parameter; did you mean 'lr'?"
    ),
    ("  epochs: 3\n", ""): "params.yaml:1: train.epochs: missing; code has no defaults, so write it",
    ("low: 0.5, ", ""): "params.yaml:7: train.inner.low: missing; code has no defaults, so write it",
    ("high: 2", "high: 2, hihg: 3"): "params.yaml:7: train.inner.hihg: unknown parameter; did you mean 'high'?",
    ("on: true", "on: true\n  7: 1"): (
        "params.yaml:6: train.7: unknown parameter; known: lr, epochs, kind, on, rates, inner"
    ),
    ("lr: 1e-5", "lr: '1e-5'"): "params.yaml:2: train.lr: must be a valid number, got '1e-5'; did you mean 1e-05?",
    ("lr: 1e-5", "lr: true"): "params.yaml:2: train.lr: must be a valid number, got True",
    ("lr: 1e-5", "lr:"): "params.yaml:2: train.lr: must be a valid number, got None",
    ("lr: 1e-5", "lr: .nan"): "params.yaml:2: train.lr: must be a finite number, got nan",
    ("lr: 1e-5", "lr: .inf"): "params.yaml:2: train.lr: must be a finite number, got inf",
    ("lr: 1e-5", "lr: 1e400"): "params.yaml:2: train.lr: must be a finite number, got inf",
    ("lr: 1e-5", "lr: 0"): "params.yaml:2: train.lr: must be greater than 0, got 0",
    ("epochs: 3", "epochs: 3.0"): "params.yaml:3: train.epochs: must be a valid integer, got 3.0; did you mean 3?",
    ("epochs: 3", "epochs: true"): "params.yaml:3: train.epochs: must be a valid integer, got True",
    ("kind: adam", "kind: sgd"): "params.yaml:4: train.kind: must be 'adam' or 'adamw', got 'sgd'",
    ("16000]", "4000]"): "params.yaml:6: train.rates.1: must be greater than or equal to 8000, got 4000",
    ("[8000, 16000]", "8000"): "params.yaml:6: train.rates: must be a valid list, got 8000",
    ("low: 0.5", "low: 5"): "params.yaml:7: train.inner.low: must not exceed high=2.0, got 5.0",
    ("inner: {low: 0.5, high: 2}", "inner: [0.5, 2]"): (
        "params.yaml:7: train.inner: must be a section of `key: value` lines, got [0.5, 2]"
    ),
    ("rates: [8000, 16000]", "rates: &a [*a]"): (
        "params.yaml:6: not readable as YAML: an `&anchor` holds its own `*alias`"
    ),
    ("train:", "trian:"): "params.yaml: train: missing; did you mean 'trian'?",
}


@pytest.mark.parametrize(("edit", "message"), REFUSED.items(), ids=[new for _, new in REFUSED])
def test_what_cannot_be_used_is_refused_with_its_line(edit: tuple[str, str], message: str, tmp_path: Path) -> None:
    """Where, what was expected, what was found: the whole message, word by word."""
    assert SOUND.count(edit[0]) == 1
    assert refusal(tmp_path, SOUND.replace(*edit)) == message


def test_every_problem_of_a_section_is_named_at_once(tmp_path: Path) -> None:
    """Three mistakes cost one run, not three."""
    text = SOUND.replace("epochs: 3", "epochs: -3").replace("kind: adam", "kindd: adam").replace("on: true", "on: 1")
    assert refusal(tmp_path, text).splitlines() == [
        "params.yaml:3: train.epochs: must be greater than 0, got -3",
        "params.yaml:1: train.kind: missing; code has no defaults, so write it",
        "params.yaml:5: train.on: must be a valid boolean, got 1",
        "params.yaml:4: train.kindd: unknown parameter; did you mean 'kind'?",
    ]


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("seeds: []", Seeds, "seeds: must have at least 1 item"),
        ("seeds: 3", Seeds, "seeds: must be a valid list, got 3"),
        ("seeds: [1, -1]", Seeds, "seeds.1: must be greater than or equal to 0, got -1"),
        ("seeds: [1, '2']", Seeds, "seeds.1: must be a valid integer, got '2'"),
        ("seeds: [9223372036854775808]", Seeds, "seeds.0: must be less than 9223372036854775808"),
        ("sample_rate: 16e3", SampleRate, "sample_rate: must be a valid integer, got 16000.0"),
        ("sample_rate: 96000", SampleRate, "sample_rate: must be less than or equal to 48000, got 96000"),
        ("corpus: ../elsewhere", FolderName, "corpus: must match pattern .*, got '../elsewhere'"),
        ("corpus: a/b", FolderName, "corpus: must match pattern .*, got 'a/b'"),
        ('corpus: "demo\\n"', FolderName, "corpus: must match pattern .*, got 'demo\\\\n'"),
        ("corpus: 2024", FolderName, "corpus: must be a valid string, got 2024"),
    ],
)
def test_a_bare_value_is_as_strict_as_a_section(line: str, kind: Any, message: str, tmp_path: Path) -> None:
    """No seed as text, no rate as a float, no corpus outside data/raw."""
    name = line.partition(":")[0]
    with pytest.raises(ParamError, match=f"params.yaml:1: {message}"):
        load(name, kind, path=write(tmp_path, f"{line}\n"))


@pytest.mark.parametrize(
    ("typed", "got", "text"),
    [
        ("2020", "2020", "2020"),
        ("1e3", "1000.0", "1000.0"),
        (".5", "0.5", "0.5"),
        ("true", "True", "true"),
        ("null", "None", "null"),
        ("nan", "nan", "nan"),
    ],
)
def test_a8_a_corpus_that_looks_like_a_number_is_refused_with_its_quotes(
    typed: str, got: str, text: str, tmp_path: Path
) -> None:
    """As ``dvc exp run -S`` writes it; and in the quotes of the message, by hand or for DVC, it is read."""
    path = write(tmp_path, "corpus: demo\n")
    apply_overrides(path, [f"corpus={typed}"])
    quoted = f"""corpus: "{text}", or -S 'corpus="{text}"'"""
    with pytest.raises(ParamError) as error:
        load("corpus", FolderName, path=path)
    assert str(error.value) == (
        f"{path}:1: corpus: must be a valid string, got {got}; text that YAML takes for something else needs quotes, "
        f"such as {quoted}{'' if typed in ('true', 'null') else ', or as you spelled it'}"
    )
    by_hand, _, for_dvc = quoted.partition(", or -S ")
    apply_overrides(path, [for_dvc.strip("'")])
    assert load("corpus", FolderName, path=path) == text
    assert load("corpus", FolderName, path=write(tmp_path, by_hand)) == text


@pytest.mark.parametrize("typed", ["no", "on", "yes", "2020-07-11", "017", "1.2.3", "'2020'"])
def test_a8_what_dvc_writes_as_text_needs_no_quotes(typed: str, tmp_path: Path) -> None:
    """It quotes by itself what YAML 1.2 would take for something else."""
    path = write(tmp_path, "corpus: demo\n")
    apply_overrides(path, [f"corpus={typed}"])
    assert load("corpus", FolderName, path=path) == typed.strip("'")


def test_a8_a_date_and_an_item_of_a_list_are_refused_too(tmp_path: Path) -> None:
    """Each as far as quotes help it: DVC replaces a list as a whole."""
    said = refusal(tmp_path, "corpus: 2020-07-11\n", "corpus", FolderName)
    assert said.endswith("""such as corpus: "2020-07-11", or -S 'corpus="2020-07-11"'""")
    said = refusal(tmp_path, "subgroups: [sex, 2020]\n", "subgroups", Columns)
    assert said.endswith("""subgroups.1: must be a valid string, got 2020; text that YAML takes for something else \
needs quotes, such as "2020", or as you spelled it""")
    assert "quotes" not in refusal(tmp_path, "corpus: [a]\n", "corpus", FolderName)


def test_a_name_like_no_other_is_answered_with_all_names() -> None:
    """A suggestion only where there is a likely one."""
    assert suggest("xyzzy", ["lr", "kind"]) == "known: lr, kind"
    assert suggest("lrr", ["lr", "kind"]) == "did you mean 'lr'?"


@pytest.mark.parametrize("section", [Outer, Inner])
def test_a_section_has_no_defaults(section: type[Section]) -> None:
    """A default in code is a parameter that ``dvc params diff`` cannot see."""
    assert all(field.is_required() for field in section.model_fields.values())


# ---------------------------------------------------------------------------------------------------------------------
# Files that are refused
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"train: \xe9\n", "params.yaml: not readable as YAML: 'utf-8' codec can't decode byte 0xe9 in position 7"),
        (b"train:\n\tlr: 1\n", r"params.yaml:2: not readable as YAML: found character '\\t'"),
        (b"train: [1\n", "params.yaml:2: not readable as YAML: expected ',' or ']'"),
        (b"a: 1\n---\nb: 2\n", "params.yaml:2: not readable as YAML: but found another document"),
        (b"a: *nobody\n", "params.yaml:1: not readable as YAML: found undefined alias 'nobody'"),
        (b"a: 2021-99-99\n", "params.yaml: not readable as YAML: month must be in 1..12"),
        (b"a: \x07\n", "params.yaml: not readable as YAML: unacceptable character"),
        (b"- train\n", r"params.yaml: must hold `key: value` lines, got \['train'\]"),
        (b"train\n", "params.yaml: must hold `key: value` lines, got 'train'"),
        (b"", "params.yaml: must hold `key: value` lines, got nothing"),
        (b"# nothing yet\n", "params.yaml: must hold `key: value` lines, got nothing"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_by_name(content: bytes, message: str, tmp_path: Path) -> None:
    """Never a traceback of the YAML library."""
    with pytest.raises(ParamError, match=message):
        read(write(tmp_path, content))


def test_a_missing_file_says_where_to_stand(tmp_path: Path) -> None:
    """The likely cause: a stage that was started in another folder."""
    with pytest.raises(ParamError, match=r"params.yaml: no such file; run from the repository's root"):
        read(tmp_path / "params.yaml")
    with pytest.raises(ParamError, match="cannot be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("tag", ["python/object/apply:os.mkdir", "python/object/new:os.mkdir"])
def test_a_python_tag_is_refused_and_runs_nothing(tag: str, tmp_path: Path) -> None:
    """params.yaml comes with a pull request: reading it must not run what is in it."""
    made = tmp_path / "made"
    with pytest.raises(ParamError, match=r"params.yaml:1: not readable .*: could not determine a constructor"):
        read(write(tmp_path, f"train: !!{tag} ['{made}']\n"))
    assert not made.exists()


def test_the_seed_of_a_section_may_be_zero(tmp_path: Path) -> None:
    """Bounds are those that the type says, no tighter."""
    assert load("seed", NonNegativeInt, path=write(tmp_path, "seed: 0\n")) == 0
