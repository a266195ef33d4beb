"""The figures of benchmarks/small_data.py: docs/explanation/small_data.json, and the tables of real-voices.md."""

import json
from pathlib import Path
from typing import Any, TypedDict

import marks

ROOT = Path(__file__).parents[1]
FILE, PAGE = ROOT / "docs/explanation/small_data.json", ROOT / "docs/explanation/real-voices.md"
TITLES = {"coswara": "Coswara: is the voice a woman's?", "demo": "The demo, SYNTHETIC speech: is it a patient's?"}
Interval = list[float]  # [value, lo, hi]


class Row(TypedDict):
    """A model on one corpus in one division into folds, where it was measured, and of what."""

    corpus: str
    split: int  # the seed of the folds
    model: str
    settings: dict[str, Any]  # other than those of params.yaml
    n_speakers: int
    n_clips: int
    n_seeds: int  # trainings a fold
    auc: dict[str, Interval]  # by condition
    difference: dict[str, Interval]  # by condition, from `statistics`; none of its own
    shifts: dict[str, float]  # of the score by gain and padding, of the AUC by a swap of backgrounds; where measured
    minutes: float  # of one core, features and scoring included
    commit: str  # as git describes it
    processor: str


class Found(TypedDict):
    """The file."""

    rows: dict[str, Row]
    shuffled: list[dict[str, float]]  # AUCs of `statistics` on Coswara by condition, one a shuffle of the labels


def read(path: Path = FILE) -> Found:
    """What was measured so far."""
    if not path.exists():
        return Found(rows={}, shuffled=[])
    found: Found = json.loads(path.read_text(encoding="utf-8"))
    return found


def renew(row: Row) -> None:
    """Puts the row in place of an earlier one of the same corpus, split and model, in the file and on the page."""
    found = read()
    found["rows"][f"{row['corpus']}, split {row['split']}, {row['model']}"] = row
    _write(found)


def write_shuffled(shuffled: list[dict[str, float]]) -> None:
    """Puts the AUCs with shuffled labels in place of the earlier ones."""
    _write(read() | Found(rows=read()["rows"], shuffled=shuffled))


def _write(found: Found) -> None:
    FILE.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    marks.renew(PAGE, "small data: make bench-small-data", tables(found))


def tables(found: Found) -> str:
    """A table a corpus, as the page has them: the best AUC under noise first."""
    parts = []
    for corpus, title in TITLES.items():
        rows = [row for row in found["rows"].values() if row["corpus"] == corpus]
        if not rows:
            continue
        head = "| | AUC, clean | AUC, noisy | less `statistics`, clean | less `statistics`, noisy | core minutes |"
        rows.sort(key=lambda row: (row["split"], -row["auc"]["noisy"][0]))
        lines = [f"**{title}** {rows[0]['n_speakers']} speakers, {rows[0]['n_clips']} clips.", "", head]
        parts += [*lines, "|---|---|---|---|---|---|", *map(_line, rows), ""]
    return "".join(f"{line}\n" for line in parts)


def _line(row: Row) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
    cells = [f"split {row['split']}, `{row['model']}`" + (f" ({settings})" if settings else "")]
    for name in ("clean", "noisy"):
        value, lo, hi = row["auc"][name]
        cells.append(f"{value:.3f} [{lo:.3f}, {hi:.3f}]")
    for name in ("clean", "noisy"):
        value, lo, hi = row["difference"].get(name, [0, 0, 0])
        cells.append(f"{value:+.3f} [{lo:+.3f}, {hi:+.3f}]" if row["difference"] else "–")
    cells.append(f"{row['minutes']:.1f}")
    return f"| {' | '.join(cells)} |"
