"""A pull request is written by anybody: the report ends, says what it could not read, and shows every word inert."""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic import BaseModel
from ruamel.yaml import YAML

from bad_params import BOMB
from spira.base.errors import DataError, visible
from spira.base.program import exit_on_error
from spira.commands.spira import run
from spira.compare.against_first import conclusion
from spira.compare.committed import Lock, Metrics, Params, Pointer, ProbeFile, read_committed
from spira.compare.experiments import aligned
from spira.compare.results import scored_test_clips
from spira.compare.revision import resolve
from spira.evaluation.markdown import Marked, code, inert, table
from spira.evaluation.paired import Difference
from tiny import GIT_IDENTITY
from two_revisions import Repository

MD5 = "0" * 32
MANY: dict[str, Any] = {str(i): {"conditions": {}, "probes": {}} for i in range(21)}
MEAN = '{"conditions": {"noisy": {"metrics": {"auc": {"mean": %s, "lo": 0.5, "hi": 0.5}}}}}'
ESCAPE = "\x1b[2J\x1b[31m"
HOSTILE = (
    "a\\|b",
    "@everyone",
    "# Verdict: **improvement**",
    "<img src=https://evil.example/x.png>",
    "![x](https://evil.example/x.png)",
    "[read](https://evil.example)",
    "https://evil.example",
    "www.evil.example",
    "fixes #1 and GH-2",
    ":tada: $x$",
    "`a` ``b`",
    "``<b>`` ` @x ` x",
    "_em_ __strong__ ~~gone~~",
    "&lt;b&gt; &#64;everyone &copy;",
    "\n\n## Verdict\n\n**improvement**",
    "\u202egpj.exe",
    ESCAPE,
    "[x]: https://evil.example",
    "- [x] done",
    "[x] done",
    "a\ud800b",
    "y" * 5000,
)
READER = MarkdownIt("commonmark").enable("table").enable("strikethrough")


@pytest.mark.parametrize(
    ("path", "text", "kind", "why"),
    [
        ("params.yaml", BOMB, Params, "must hold at most 200000 values, got .*e\\+08 once aliases are read"),
        ("params.yaml", "a: &a {b: *a}", Params, "an `&anchor` holds its own `\\*alias`"),
        ("params.yaml", "split: &a [*a]", Params, "an `&anchor` holds its own `\\*alias`"),
        ("params.yaml", "a: " + "[" * 100_000, Params, "must have at most 2000000 characters and 20000 lists"),
        ("params.yaml", "a: " + "[" * 15_000, Params, "must hold lists in lists to a depth of at most 50"),
        ("params.yaml", "- " * 100_000, Params, "must hold lists in lists to a depth of at most 50"),
        ("params.yaml", "#" * 3_000_000, Params, "must have at most 2000000 characters"),
        ("params.yaml", "split: [holdout]", Params, "split: Input should be a valid dictionary"),
        ("params.yaml", "evaluate: noisy", Params, "evaluate: Input should be a valid dictionary, got 'noisy'"),
        ("params.yaml", "? [a, b]\n: 1\n? {c: d}\n: 2", Params, "not readable as YAML"),
        ("params.yaml", "a: !!python/object/apply:os.system [true]", Params, "not readable as YAML"),
        ("params.yaml", "\ud800", Params, "not UTF-8"),
        ("dvc.lock", "stages: [train]", Lock, "stages: Input should be a valid dictionary, got \\['train'\\]"),
        ("dvc.lock", "stages: {a: {outs: x}}", Lock, "stages.a.outs: Input should be a valid list"),
        ("dvc.lock", "stages: {a: {outs: [{md5: x}]}}", Lock, "stages.a.outs.0.path: Field required"),
        ("dvc.lock", "stages: {a: {outs: [{path: x, md5: ../../x}]}}", Lock, "md5: String should match pattern"),
        ("dvc.lock", 'stages: {a: {deps: [{path: "x\\0y"}]}}', Lock, "path: String should match pattern"),
        ("dvc.lock", "stages: {a: {params: [x]}}", Lock, "stages.a.params: Input should be a valid dictionary"),
        (
            "data/evaluation.json",
            '{"conditions": {"noisy": ["a"]}}',
            Metrics,
            "conditions.noisy: Input should be a valid dictionary",
        ),
        (
            "data/evaluation.json",
            '{"conditions": {"noisy": {"metrics": {"auc": "a"}}}}',
            Metrics,
            "conditions.noisy.metrics.auc: Input",
        ),
        ("data/evaluation.json", MEAN % "[[0.5]]", Metrics, "conditions.noisy.metrics.auc.mean"),
        ("data/evaluation.json", MEAN % "1e999", Metrics, "conditions.noisy.metrics.auc.mean"),
        ("data/evaluation.json", MEAN % "NaN", Metrics, "not readable as JSON: NaN is no number"),
        ("data/evaluation.json", MEAN % ("1" + "0" * 5000), Metrics, "not readable as JSON"),
        ("data/evaluation.json", "[" * 100_000, Metrics, "not readable as JSON"),
        (
            "data/evaluation.json",
            '{"models": {"a": {"conditions": {"noisy": 1}}}}',
            Metrics,
            "models.a.conditions.noisy: Input should be a valid dictionary",
        ),
        (
            "data/evaluation.json",
            json.dumps({"models": MANY}),
            Metrics,
            "models: Dictionary should have at most 20 items",
        ),
        (
            "data/evaluation.json",
            '{"models": {}, "deployed": ["a"]}',
            Metrics,
            "deployed: Input should be a valid",
        ),
        (
            "data/evaluation.json",
            '{"models": {}, "differences": {"a": {"b": {"noisy": {"difference": 2, "lo": 0, "hi": 0}}}}}',
            Metrics,
            "differences.a.b.noisy.difference",
        ),
        ("data/evaluation.json", '["noisy"]', Metrics, "the file: Input should be a valid dictionary"),
        ("data/probes.json", '{"probes": ["a"]}', ProbeFile, "probes: Input should be a valid dictionary"),
        (
            "data/probes.json",
            json.dumps({"models": MANY}),
            ProbeFile,
            "models: Dictionary should have at most 20 items",
        ),
        ("data/probes.json", '{"models": {"a": {"probes": []}}}', ProbeFile, "models.a.probes: Input should be"),
        ("data/probes.json", '{"probes": {"a": "fail"}}', ProbeFile, "probes.a: Input should be a valid dictionary"),
        ("data/probes.json", '{"probes": {"a": {"verdict": 1}}}', ProbeFile, "probes.a.verdict: Input should be"),
        ("data/raw/x.dvc", "outs: []", Pointer, "outs: List should have at least 1 item"),
        ("data/raw/x.dvc", "outs: [{path: x}]", Pointer, "outs.0.md5: Field required"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_one_sentence(
    path: str, text: str, kind: type[BaseModel], why: str
) -> None:
    """At once, with the commit, the file and the reason, and none of it repeated at length."""
    began = time.monotonic()
    with pytest.raises(DataError, match=rf"^head:{path}[:0-9]*: .*{why}") as error:
        read_committed(text.encode(errors="surrogatepass"), f"head:{path}", kind)
    assert time.monotonic() - began < 5
    assert len(str(error.value)) < 600


def test_what_this_repository_commits_is_read() -> None:
    """Its own files are far inside the bounds."""
    kinds: dict[str, type[BaseModel]] = {
        "params.yaml": Params,
        "dvc.lock": Lock,
        "data/evaluation.json": Metrics,
        "data/probes.json": ProbeFile,
    }
    for path, kind in kinds.items():
        content = (Path(__file__).parents[2] / path).read_bytes()
        assert len(content) < 200_000
        assert read_committed(content, path, kind)


@given(st.one_of(st.text(), st.text("\\`*_~[]()<>|!#&@:;/.-+=$ \t\n^x1wghGH"), st.sampled_from(HOSTILE)))
def test_any_text_in_a_cell_is_that_text_and_nothing_else(text: str) -> None:
    """A renderer of GitHub's tables finds one cell with its characters, and in it no markup but `code`."""
    tokens = READER.parse(table(["a", "b"], [[text, "end"]]))
    cell, end = [token for token in tokens if token.type == "inline"][2:]
    assert end.content == "end"
    kinds = {child.type for child in cell.children or []}
    assert kinds <= {"text", "code_inline", "text_special"}
    shown = "".join(child.content for child in cell.children or []).replace("\u200b", "")
    meant = visible(" ".join(text.split())).replace("\u200b", "")
    assert re.sub(r"`", "", shown) == re.sub(r"`", "", meant) or "characters)" in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_on_a_line_of_its_own_or_in_a_list_is_markup(text: str) -> None:
    """As the report has names in headings, reasons in lists, a corpus in a sentence."""
    for line in (inert(text), f"- {inert(text)}", f"# {inert(text)} x", f"- {code(text)}: why"):
        assert "\n" not in line
        assert visible(line) == line
        tokens = READER.parse(line)
        found = {child.type for token in tokens for child in token.children or []}
        assert found <= {"text", "code_inline", "text_special"}, line
        begun = {token.type for token in tokens if token.type.endswith("_open")}
        assert begun <= {"paragraph_open", *({"bullet_list_open", "list_item_open"} if line[0] == "-" else set()),
                         *({"heading_open"} if line[0] == "#" else set())}, line  # fmt: skip
        raw = re.sub(r"`[^`]*`|&#\d+;", "", line)
        assert any(token.content for token in tokens if token.type == "inline"), line
        assert not re.match(r"(- )?\[[x ]\]", line), line
        for active in ("@", "://", "www.", "#1", "GH-2", "<", ":tada:", "$"):
            assert active not in raw, line


class Branch:
    """Commits with other files than ``good``, made without a working tree."""

    def __init__(self, repository: Repository) -> None:
        self.git, self.folder = repository.git, repository.folder

    def made(self, name: str, files: Mapping[str, str | bytes], base: str = "good") -> None:
        index = f"GIT_INDEX_FILE={self.folder}/.git/{name}.index"
        self.sh(f"{index} git read-tree {base}")
        for path, content in files.items():
            scratch = self.folder / ".git/scratch"
            scratch.write_bytes(content if isinstance(content, bytes) else content.encode())
            blob = self.sh(f"git hash-object -w --no-filters {scratch}")
            self.sh(f"{index} git update-index --add --cacheinfo 100644,{blob},{path}")
        tree = self.sh(f"{index} git write-tree")
        self.git("branch", "-f", name, self.git("commit-tree", "-p", "good", "-m", name, tree).strip())

    def with_entry(self, name: str, mode: str, path: str, content: str, base: str = "good") -> None:
        """A commit in which a path is no file: a link to ``content``, or a submodule."""
        index = f"GIT_INDEX_FILE={self.folder}/.git/{name}.index"
        self.sh(f"{index} git read-tree {base}; {index} git update-index --force-remove {path}")
        of = self.sh(f"printf '{content}' | git hash-object -w --stdin" if mode == "120000" else "git rev-parse good")
        self.sh(f"{index} git update-index --add --cacheinfo {mode},{of},{path}")
        tree = self.sh(f"{index} git write-tree")
        self.git("branch", "-f", name, self.git("commit-tree", "-p", "good", "-m", name, tree).strip())

    def text(self, path: str) -> str:
        return self.git("show", f"good:{path}")

    def locked(self) -> dict[str, Any]:
        """The stages of its dvc.lock."""
        stages: dict[str, Any] = YAML(typ="safe", pure=True).load(self.text("dvc.lock"))["stages"]
        return stages

    def cached(self, content: bytes, suffix: str = "") -> str:
        """The hash of an object that lies in DVC's cache from now on."""
        key = md5(content, usedforsecurity=False).hexdigest() + suffix
        path = self.folder / f".dvc/cache/files/md5/{key[:2]}/{key[2:]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return key

    def sh(self, line: str) -> str:
        done = subprocess.run(["bash", "-ec", line], cwd=self.folder, env={**os.environ, **GIT_IDENTITY},
                              check=True, capture_output=True, text=True)  # fmt: skip
        return done.stdout.strip()

    def report(self, name: str, capsys: pytest.CaptureFixture[str]) -> str:
        capsys.readouterr()
        run(["review", "good", name])
        return capsys.readouterr().out


@pytest.fixture
def branch(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Branch:
    monkeypatch.chdir(repository.folder)
    return Branch(repository)


@pytest.mark.parametrize(
    ("vars_", "path", "why"),
    [
        ("[evil.txt]", "evil.txt", "evil:evil.txt: must have at most 2000000 characters and 20000 lists"),
        ("[evil.json]", "evil.json", "evil:evil.json: not readable as JSON"),
        ("['./evil.txt:x']", "evil.txt", "evil:evil.txt: must have at most"),
        ("[sub/../evil.txt]", "evil.txt", "evil:evil.txt: must have at most"),
        ("[../evil.txt]", "evil.txt", "evil:dvc.yaml: vars: no such file, or an empty one: ../evil.txt"),
        ("[{x: 1}, 7, null]", "evil.txt", "evil:dvc.yaml: "),
        ("[{x: 1}]", "params.yaml", "evil:params.yaml: must have at most"),
    ],
)
def test_a_file_that_would_crash_dvc_is_read_by_us_first(
    vars_: str, path: str, why: str, branch: Branch, capsys: pytest.CaptureFixture[str]
) -> None:
    """200,000 brackets end DVC's parser, and Python with it, with a segmentation fault."""
    branch.made("evil", {"dvc.yaml": f"vars: {vars_}\nstages: {{a: {{cmd: '${{x}}'}}}}", path: "x: " + "[" * 200_000})
    with pytest.raises(DataError, match=f"^{re.escape(why)}"):
        branch.report("evil", capsys)


@pytest.mark.parametrize("mode", ["120000", "160000"])
@pytest.mark.parametrize("path", ["dvc.lock", "dvc.yaml", "params.yaml", "data/x.dvc", ".dvcignore", ".dvc/config"])
def test_a_link_or_a_submodule_in_the_place_of_a_file_of_dvcs_is_refused(
    path: str, mode: str, branch: Branch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC follows the one to what nobody has read, and for the content of the other it waits for ever."""
    branch.with_entry("evil", mode, path, "x: 1")
    with pytest.raises(DataError, match=f"^evil:{re.escape(path)}: must be a file, and is a link or a submodule"):
        branch.report("evil", capsys)


def test_values_are_taken_from_no_link(branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its text may be a tree, and what it leads to another."""
    branch.made("evil", {"dvc.yaml": "vars: [evil.yaml]\nstages: {a: {cmd: x}}"})
    branch.with_entry("evil", "120000", "evil.yaml", "x: 1", base="evil")
    with pytest.raises(DataError, match=r"^evil:dvc\.yaml: vars: no such file, or an empty one: evil\.yaml"):
        branch.report("evil", capsys)


@pytest.mark.parametrize("name", ['"\\uD800"', "x" * 200_000], ids=["half a character", "long"])
def test_a_name_that_git_cannot_be_asked_for_is_no_file(
    name: str, branch: Branch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is it said that git is not installed."""
    branch.made("evil", {"dvc.yaml": f"vars: [{name}]\nstages: {{a: {{cmd: x}}}}"})
    with pytest.raises(DataError, match=r"^evil:dvc\.yaml: vars: no such file, or an empty one: "):
        branch.report("evil", capsys)


def test_an_empty_pointer_is_named(branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what it must hold."""
    branch.made("evil", {"data/raw/x.dvc": ""})
    with pytest.raises(DataError, match=r"^evil:data/raw/x\.dvc: is empty, or no file; it must name a folder"):
        branch.report("evil", capsys)


def test_a_stage_takes_no_values_from_another_folder(branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    """Which file that is depends on ${...}; here it is the one that crashes."""
    stages = "stages: {a: {cmd: x, wdir: '${d}', vars: [evil.txt]}}"
    files = {"dvc.yaml": f"vars: [d: sub]\n{stages}", "evil.txt": "x: 1", "sub/evil.txt": "[" * 200_000}
    branch.made("evil", files)
    with pytest.raises(DataError, match=r"^evil:dvc\.yaml: must not have both vars from a file and wdir"):
        branch.report("evil", capsys)


def test_a_name_that_is_no_text_is_a_name(branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    """git keeps any bytes as a file's name."""
    branch.made("evil", {os.fsdecode(b"data/\xff.dvc"): "outs: []"})
    with pytest.raises(DataError, match=r"^evil:data/\udcff\.dvc: outs: List should have at least 1 item"):
        branch.report("evil", capsys)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("params.yaml", BOMB),
        ("dvc.lock", "stages: [train]"),
        ("dvc.yaml", BOMB),
        ("dvc.yaml", "stages: " + "[" * 100_000),
        ("sub/dvc.yaml", BOMB),
        ("data/evil.dvc", BOMB),
        ("dvc.yaml", "stages: [x]"),
        ("dvc.yaml", 'stages: {a: {cmd: x, deps: ["a\\0b"]}}'),
        (
            "dvc.yaml",
            "stages: {a: {cmd: x, matrix: {" + ", ".join(f"k{i}: [1,2,3,4,5,6,7,8,9,0]" for i in range(9)) + "}}}",
        ),
        ("dvc.yaml", "vars: [x: &a [1,2], y: {z: *a}]\nstages: {a: {cmd: '${y.q}'}}"),
        ("params.yaml", "evaluate: {threshold_condition: [noisy], confidence: .95}"),
        ("params.yaml", "evaluate: {threshold_condition: noisy, confidence: ~}"),
    ],
)
def test_without_what_decides_there_is_no_report_but_a_sentence(
    path: str, text: str, branch: Branch, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters, dvc.lock and dvc.yaml say what the results are of."""
    monkeypatch.setattr("spira.compare.results.SECONDS", 2)
    branch.made("evil", {path: text})
    began = time.monotonic()
    with pytest.raises(DataError, match=rf"^evil:{path}"):
        branch.report("evil", capsys)
    assert time.monotonic() - began < 15


def test_the_report_goes_on_without_what_it_cannot_read(branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file is named with the commit and the reason; what is left is compared, and the check fails."""
    lock = branch.locked()
    empty = branch.cached(b"step\tloss\n")
    folder = [{"md5": empty, "relpath": "metrics/validation/loss.tsv"}]
    lock["score"]["outs"] = [
        {"path": "data/predictions.csv", "md5": branch.cached(b"clip_id,score\na,b\n")},
        {"path": "data/curves/pooled_cnn/holdout/1/plots", "md5": branch.cached(json.dumps(folder).encode(), ".dir")},
        {"path": "data/curves/plots", "md5": f"{MD5}.dir"},  # of no training
    ]
    files: dict[str, str | bytes] = {
        "dvc.lock": json.dumps({"schema": "2.0", "stages": lock}),
        "data/evaluation.json": '{"models": {"a": {"conditions": {"noisy": ["a"]}}}}',
        "data/probes.json": '{"models": ["a"]}',
        "data/subsets_summary.csv": b"subset\n\xff\n",
        "params.yaml": branch.text("params.yaml") + "more: 1\n",
    }
    branch.made("evil", files)
    text = branch.report("evil", capsys)
    found = text.partition("## Not readable")[2].partition("\n## ")[0]
    for sentence in (
        "- evil:data/predictions.csv: ",
        "- evil:data/evaluation.json: models.a.conditions.noisy: Input should be a valid dictionary",
        "- evil:data/probes.json: models: Input should be a valid dictionary",
        "- evil:data/subsets_summary.csv: not a table with a column subset",
        "has no epoch",
    ):
        assert sentence in found
    assert found.count("\n- ") == 5
    assert "No verdict: the predictions of evil are not at hand; they are not readable. Point estimates" in text
    assert "| more | – | 1 |" in text
    assert run(["review", "good", "evil", "--check"]) == 1
    capsys.readouterr()
    run(["compare", "good", "evil"])
    assert "- evil:data/evaluation.json: models.a.conditions.noisy: Input should be" in capsys.readouterr().out


def test_results_in_an_older_form_are_a_sentence_and_the_predictions_still_compare(
    branch: Branch, capsys: pytest.CaptureFixture[str]
) -> None:
    """evaluation.json from before it had conditions: named, its numbers left out, and the paired rows are there.

    Of several models nothing else says which one is deployed, and none is guessed.
    """
    older = {"data/evaluation.json": '{"corpus": "demo", "noisy": {"auc": 0.8, "auc_lo": 0.7}}'}
    branch.made("older", older, base="old")
    text = branch.report("older", capsys)
    found = text.partition("## Not readable")[2].partition("\n## ")[0]
    assert "- older:data/evaluation.json: has an older form, without conditions; its point estimates are" in found
    assert re.search(r"^\| noisy \| AUC \| 0\.\d{3} \| 0\.\d{3} \|", text, re.MULTILINE)
    branch.made("several", older)
    assert "No verdict: several does not say which of its models is deployed." in branch.report("several", capsys)


@pytest.mark.parametrize(
    ("deployed", "why"), [("cnn99", "evil has no predictions of its model cnn99"), (None, "evil does not say which of")]
)
def test_a_deployed_model_without_scores_gives_no_verdict(
    deployed: str | None, why: str, branch: Branch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither another model's verdict nor a traceback."""
    tree = json.loads(branch.text("data/evaluation.json")) | {"deployed": deployed}
    branch.made("evil", {"data/evaluation.json": json.dumps(tree)})
    text = branch.report("evil", capsys)
    assert f"## Verdict\n\nNo verdict: {why}" in text
    assert ("The deployed model changed" in text) == (deployed is not None)
    assert "| statistics | noisy | " in text


def test_more_models_than_anybody_trains_are_refused(branch: Branch) -> None:
    """Each costs thresholds and intervals."""
    rows = [f"m{i},holdout,test,noisy,1,a.wav,a,0,0.5" for i in range(21)]
    head = "model,fold,subset,condition,seed,clip_id,speaker_id,label,score"
    blob = "\n".join([head, *rows, ""]).encode()
    lock = {"score": {"outs": [{"path": "data/predictions.csv", "md5": branch.cached(blob)}]}}
    with pytest.raises(DataError, match=r"^good:data/predictions\.csv: must have at most 20 models, got 21"):
        scored_test_clips(resolve(branch.folder, "good"), lock, {"threshold_condition": "noisy"}, [])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("holdout,test,noisy,1,test0.wav,test0,0,nan", "score must be in \\[0, 1\\], got nan"),
        ("holdout,test,noisy,1,test0.wav,test0,0,1e9", "score must be in \\[0, 1\\], got 1000000000.0"),
        ("holdout,test,noisy,9,test0.wav,test0,0,0.5", "must have one score of each clip"),
        ("holdout,test,noisy,1,test1.wav,test0,0,0.5", "must have one score of each clip"),
        ("holdout,test,noisy,1,test0.wav,test0,1,0.5", "every model must score the same clips"),
        (",test0.wav,test0,7,", "label must be 0 or 1, got 7 for clip test0.wav"),
        (",test0.wav,test0,,", "label must be 0 or 1, got None for clip test0.wav"),
        ("holdout,test,noisy,1,test0.wav,test0,x,0.5", "expected columns"),
        ("\udcff", "expected columns|must have"),
    ],
)
def test_predictions_that_say_nothing_are_refused(row: str, why: str, branch: Branch) -> None:
    """Scores, labels and their places, of one row or everywhere, before any of it is computed with."""
    key = {out["path"]: out["md5"] for out in branch.locked()["score"]["outs"]}["data/predictions.csv"]
    good = (branch.folder / f".dvc/cache/files/md5/{key[:2]}/{key[2:]}").read_text()
    first = next(line for line in good.splitlines() if line.startswith("pooled_cnn,holdout,test,noisy,1,test0.wav"))
    everywhere = row.startswith(",")
    odd = good.replace(*(",test0.wav,test0,0,", row) if everywhere else (first, f"pooled_cnn,{row}"))
    lock = {
        "score": {
            "outs": [{"path": "data/predictions.csv", "md5": branch.cached(odd.encode(errors="surrogateescape"))}]
        }
    }
    with pytest.raises(DataError, match=rf"^good:data/predictions\.csv: .*({why})"):
        scored_test_clips(resolve(branch.folder, "good"), lock, {"threshold_condition": "noisy"}, [])


def test_a_hash_that_leads_out_of_the_cache_is_no_hash(branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    """dvc.lock names objects by their MD5 alone."""
    lock = branch.locked()
    lock["score"]["outs"][0]["md5"] = "../../../../../../dev/zero"
    branch.made("evil", {"dvc.lock": json.dumps({"schema": "2.0", "stages": lock})})
    with pytest.raises(DataError, match=r"^evil:dvc\.lock: stages\.score\.outs\.0\.md5: String should match pattern"):
        branch.report("evil", capsys)


def test_every_word_of_a_commit_is_inert_in_the_report(branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    """Corpus, parameters, models, probes, reasons, stages, paths and subsets, all of them hostile at once."""
    lock = branch.locked()
    names = [name[:100] for name in HOSTILE if "\ud800" not in name]  # DVC reads no longer keys, and no half characters
    paths = list(map(visible, names))
    lock["score"]["deps"] += [{"path": path, "md5": MD5} for path in paths]
    lock["evaluate"]["outs"] += [{"path": f"{path}/", "md5": MD5} for path in paths]
    lock["evaluate"]["params"]["params.yaml"] |= {f"evaluate.{name}": name for name in names}
    lock |= {name: {"cmd": "x"} for name in names}
    curve = branch.cached(b"step\tloss\n0\t0.5\n1\t0.4\n")
    curves = branch.cached(json.dumps([{"md5": curve, "relpath": "metrics/validation/loss.tsv"}]).encode(), ".dir")
    lock["score"]["outs"] += [{"path": f"data/curves/{path}/holdout/1/plots", "md5": curves} for path in paths]
    models, apart = names[:19], {"noisy": {"difference": 0.1, "lo": 0.0, "hi": 0.2}}
    evaluation = json.loads(branch.text("data/evaluation.json"))
    evaluation["models"] = dict.fromkeys(models, evaluation["models"]["pooled_cnn"])
    evaluation |= {
        "deployed": models[0],
        "deployed_because": "\n".join(names),
        "differences": {name: {models[0]: apart} for name in models[1:]},
    }
    probes = {"probes": {name: {"verdict": "fail", "why": name} for name in names}}
    calm = {"probes": {"a": {"verdict": "pass"}}}
    params = YAML(typ="safe", pure=True).load(branch.text("params.yaml"))
    files = {
        "dvc.lock": json.dumps({"schema": "2.0", "stages": lock}),
        "params.yaml": json.dumps(params | {"corpus": "\n".join(names), **{name: [name] for name in names}}),
        "data/evaluation.json": json.dumps(evaluation),
        "data/probes.json": json.dumps({"models": dict.fromkeys(models, probes)}),
        "data/subsets_summary.csv": "subset,clips\n" + "".join(f'"{path}","{path} x"\n' for path in paths),
    }
    branch.made("evil", files)
    both = {"pooled_cnn": calm} | dict.fromkeys(models, calm)
    branch.made("calm", {"data/probes.json": json.dumps({"models": both})})
    capsys.readouterr()
    run(["review", "calm", "evil"])
    text = capsys.readouterr().out
    assert visible(text, lines=True) == text
    assert "## Not readable" not in text
    tokens = READER.parse(text)
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special", "code_inline", "strong_open", "strong_close", "softbreak"}
    assert "html_block" not in {token.type for token in tokens}
    heads = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert heads[1:] == ["Stale results", "Verdict", "Metrics", "Models", "Probes", "Curves", "Parameters", "Data"]
    prose = re.sub(r"```mermaid.*?```|`[^`]*`|&#\d+;", "", text, flags=re.DOTALL)
    for active in ("@", "://", "www.", "#1", "GH-2", "<", ":tada:", "$", "**improvement**"):
        assert active not in prose


def test_no_message_reaches_a_terminal_with_what_it_would_act_on() -> None:
    """Colours, a cleared screen and turned writing are shown as their escapes; accents and lines stay."""
    with pytest.raises(SystemExit) as stopped, exit_on_error():
        raise DataError(f"corpus: ação {ESCAPE}\n  \u202egpj.exe\x9b")
    assert stopped.value.code == "DataError: corpus: ação \\x1b[2J\\x1b[31m\n  \\u202egpj.exe\\x9b"


def test_the_table_of_a_plan_keeps_its_cells() -> None:
    """A row's name is text, in the table and in the sentences below it."""
    text = aligned(["row", "AUC"], [["a\\|b", Marked("**0.5**")], ["@x", "![y](z)"]])
    rows = [token.content for token in READER.parse(text) if token.type == "inline"]
    assert rows[2:4] == ["a&#92;|b", "**0.5**"]
    assert "![" not in text
    said = conclusion("[first](z)", {"`@x`": Difference(0, 0, 0, -1, 1, True)}, "noisy", 0.95)
    assert not re.search(r"`@|\]\(", said)
