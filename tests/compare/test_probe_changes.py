"""A reviewer reads which shortcut a change opened, whatever it did to the AUC."""

import json

from spira.compare.probe_changes import newly_failing, probes_section, regression
from two_revisions import Repository


def probes(**verdicts: str) -> dict[str, dict[str, str]]:
    """Of a commit, as data/probes.json has them."""
    return {name: {"verdict": verdict, "why": f"{name} | why"} for name, verdict in verdicts.items()}


def test_only_a_probe_that_did_not_fail_before_is_a_regression() -> None:
    """From pass, warn, not run or nothing to fail; not from fail to fail, and not to warn."""
    base = probes(a="pass", b="warn", c="not run", d="fail", e="pass")
    head = probes(a="fail", b="fail", c="fail", d="fail", e="warn", f="fail")
    assert newly_failing(base, head) == ["a", "b", "c", "f"]
    assert "- `a` (pass at base): a \\| why\n" in regression(base, head)
    assert regression(head, head) == ""


def test_a_base_from_before_there_were_probes_opens_nothing() -> None:
    """The first commit with probes is not blamed for what they find; its verdicts are listed."""
    assert newly_failing({}, probes(a="fail")) == []
    assert probes_section({"m": ({}, {})}) == ""
    assert "| m | a | – | fail | a \\| why |" in probes_section({"m": ({}, probes(a="fail"))})


def test_the_report_says_regression_where_a_probe_of_the_deployed_model_newly_fails(repository: Repository) -> None:
    """At commits with the same scores: the verdict is first a regression by name, then that of the AUC. What another
    model newly fails is listed, and is none."""
    for branch, verdicts in (("calm", ("pass", "pass")), ("shortcut", ("fail", "pass")), ("other", ("pass", "fail"))):
        repository.git("checkout", "-q", "-B", branch, "good")
        of = zip(("pooled_cnn", "statistics"), verdicts, strict=True)
        models = {name: {"verdict": verdict, "probes": probes(ward_noise=verdict)} for name, verdict in of}
        (repository.folder / "data/probes.json").write_text(json.dumps({"models": models}))
        repository.git("add", "-f", "data/probes.json")
        repository.git("commit", "-q", "-m", branch)
    repository.git("checkout", "-q", "main")
    text = repository.report("calm", "shortcut").stdout
    said = text.partition("## Verdict\n\n")[2]
    assert said.startswith("**regression**: what could be known without hearing any breath.")
    assert "- `ward_noise` (pass at base): ward_noise \\| why\n" in said
    assert "**no evidence**: AUC under `noisy` +0.000" in said
    assert "| pooled_cnn | ward_noise | pass | fail | " in text
    assert "**regression**" not in repository.report("shortcut", "calm").stdout
    other = repository.report("calm", "other").stdout
    assert "**regression**" not in other
    assert "| statistics | ward_noise | pass | fail | " in other
    assert "| pooled_cnn | ward_noise" not in other
