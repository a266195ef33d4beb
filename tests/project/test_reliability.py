"""The figures on the page of promises are those that the benchmark wrote, and it writes them there itself."""

import json
import shutil
from pathlib import Path

import figures
import reliability
from pipeline_clone import Clone


def test_the_page_has_the_figures_of_the_file() -> None:
    """One row a check, in the order of the benchmark; `python benchmarks/reliability.py` writes both anew."""
    assert list(figures.read()) == list(reliability.CHECKS)
    assert figures.table(figures.read()) in figures.PAGE.read_text(encoding="utf-8")


def test_the_page_has_the_cost_of_portable_arithmetic() -> None:
    """As `make bench-arithmetic` wrote it."""
    page = figures.PAGE.read_text(encoding="utf-8")
    for stage, found in json.loads((figures.ROOT / "docs/explanation/arithmetic.json").read_text())["found"].items():
        assert f"| `{stage}` | {found['native']:.1f} | {found['portable']:.1f} | {found['ratio']:.2f} |" in page


def test_a_check_that_ran_renews_its_own_figure(tmp_path: Path) -> None:
    """In the file and on the page, with commit and processor; every other line stays."""
    file, page = (Path(shutil.copy2(path, tmp_path)) for path in (figures.FILE, figures.PAGE))
    before = page.read_text().splitlines()
    commit, processor = figures.here()
    found = figures.Figure(promise="splits", figure="7 | \\1", kept=False, commit=commit, processor=processor)
    figures.renew("splits", found, file, page)
    after = page.read_text().splitlines()
    (changed,) = [i for i, line in enumerate(after) if line != before[i]]
    assert after[changed] == f"| splits | 7 | \\1 | BROKEN | {commit}, {processor} |"
    assert len(after) == len(before)
    assert figures.read(file)["splits"] == found


def test_what_is_copied_anew_has_nothing_compiled(tmp_path: Path) -> None:
    """Where a kill starts from; a plain copy keeps it."""
    place = tmp_path / "one/src/__pycache__/kernels.nbi"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"compiled")
    assert [*Clone(tmp_path / "one").copy("two").folder.rglob("*.nbi")]
    assert not [*Clone(tmp_path / "one").anew("three").folder.rglob("*.nbi")]
