"""The report: a verdict and the sections that follow it; the page, its Markdown twin and the cards are made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Evaluation
from spira.probes.results import ProbeAnswer
from spira.report.blocks import Line, Section, markdown, markdown_block, markdown_line, sentence
from spira.report.plots import Plots
from spira.report.sections import (
    calibration_section,
    data_section,
    lineage_section,
    operating_section,
    parameter_section,
    probe_section,
    results_section,
    side_by_side_section,
    subgroup_section,
    threshold_section,
)
from spira.report.verdict import Verdict, verdict

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """The verdict and every section, in the order of the page."""

    verdict: Verdict
    deployed: Line  # which model the numbers are of, and why
    side_by_side: Section
    results: Section
    threshold: Section
    operating_points: Section
    calibration: Section
    subgroups: Section
    probes: Section
    data: Section
    parameters: Section
    lineage: Section

    @property
    def opening(self) -> str:
        """The level and its sentence, and which model is deployed, as Markdown."""
        return f"**{self.verdict.level}**: {markdown_line(self.verdict.line)}\n\n{markdown_line(self.deployed)}"

    def markdown(self) -> str:
        """data/report/report.md: all of the page but its figures and its clips."""
        first = "\n\n".join(map(markdown_block, self.side_by_side.blocks))
        deployed = (self.results, self.threshold, self.operating_points, self.calibration, self.subgroups)
        others = (self.probes, self.data, self.parameters, self.lineage)
        return f"{self.opening}\n\n{first}\n\n{markdown([*deployed, *others])}\n"


@dataclass(frozen=True)
class Sources:
    """All that the report is made from."""

    evaluation: Evaluation
    probes: Mapping[str, Mapping[str, ProbeAnswer]]  # by model and probe
    plots: Plots
    subsets: Rows  # the table of subsets, its head first
    params: Mapping[str, Any]  # params.yaml
    files: Rows  # (path, md5) of each file read
    packages: Rows  # (name, version)


def make_report(sources: Sources, p: EvaluateParams) -> Report:
    """Every section of the report.

    Args:
        sources: what was measured, and how.
        p: the section ``evaluate`` of the parameters.
    """
    found = sources.evaluation
    return Report(
        verdict=verdict(found, sources.probes[found.deployed]),
        deployed=sentence(found.deployed_because),
        side_by_side=side_by_side_section(found, p),
        results=results_section(found, sources.plots),
        threshold=threshold_section(found, p),
        operating_points=operating_section(found, p),
        calibration=calibration_section(found, sources.plots, p),
        subgroups=subgroup_section(found, p),
        probes=probe_section(found.deployed, sources.probes),
        data=data_section(sources.subsets),
        parameters=parameter_section(sources.params),
        lineage=lineage_section(sources.files, sources.packages),
    )
