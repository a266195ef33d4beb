"""Draw the results in data/ as PNG files, by the functions that draw the page: `make plots`."""

from collections import Counter
from pathlib import Path

import polars as pl

from spira.base.params import PARAMS, read
from spira.evaluation.files import read_evaluation
from spira.plots.charts import Line, confusion_matrix, learning_curves
from spira.plots.png import write_png
from spira.report.files import read_plots
from spira.report.plots import (
    calibration_before_and_after,
    net_benefit,
    precision_recall_by_condition,
    roc_by_condition,
    scores_by_class,
)

OUT = Path(__file__).parent / "explanation/plots"
EVALUATION, PLOTS, CURVES = Path("data/evaluation.json"), Path("data/plots"), Path("data/curves")


def main() -> None:
    corpus, found = read(PARAMS)[0]["corpus"], read_evaluation(EVALUATION)
    corpus, main_one = f"{corpus}{' (SYNTHETIC)' if corpus == 'demo' else ''}", found.threshold_condition
    clips = f"{found.deployed}, test clips of {corpus}"
    networks = [name for name in (found.deployed, *found.models) if (CURVES / name).is_dir()]
    under = f"under {main_one}, {clips}, all seeds"
    plots = read_plots(PLOTS)
    conditions = [name.removeprefix("roc_") for name in plots if name.startswith("roc_")]
    charts = {
        "roc_by_condition": roc_by_condition(plots, conditions, f"{clips}, mean over seeds"),
        "precision_and_recall_by_condition": precision_recall_by_condition(
            plots, conditions, f"{clips}, mean over seeds"
        ),
        "scores_under_noise": scores_by_class(plots, main_one, under),
        "confusion_under_noise": confusion_matrix(_called(main_one), under),
        "calibration_under_noise": calibration_before_and_after(plots, main_one, under),
        "net_benefit_under_noise": net_benefit(plots, main_one, under),
    }
    if networks:  # a baseline has no epochs
        charts["learning_curves"] = learning_curves(_losses(networks[0]), f"{networks[0]}, a curve a seed, {corpus}")
    for old in OUT.glob("*.png"):
        old.unlink()
    for name, chart in charts.items():
        write_png(chart, OUT / f"{name}.png")
        print(OUT / f"{name}.png")


def _called(condition: str) -> Counter[tuple[str, str]]:
    """Clips of all seeds by (actual, predicted) class."""
    rows = pl.read_csv(PLOTS / f"confusion_{condition}.csv").select("actual", "predicted").rows()
    return Counter((actual, predicted) for actual, predicted in rows)


def _losses(network: str) -> list[Line]:
    """Train and validation loss of every fold and seed of one network."""
    found = []
    for subset in ("train", "validation"):
        for path in sorted((CURVES / network).glob(f"*/*/plots/metrics/{subset}/loss.tsv")):
            table = pl.read_csv(path, separator="\t")
            found.append(Line(subset, table["step"].cast(pl.Float64).to_numpy(), table["loss"].to_numpy()))
    return found


if __name__ == "__main__":
    main()
