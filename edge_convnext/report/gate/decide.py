"""The gate: every criterion that was asked for, decided on a build's evidence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.gate.accuracy import (
    judge_agreement,
    judge_baseline_class_drops,
    judge_baseline_drop,
    judge_class_drops,
    judge_drop,
    judge_guessing,
    judge_top1,
)
from edge_convnext.report.gate.baseline import Baseline
from edge_convnext.report.gate.comparable import check_baseline
from edge_convnext.report.gate.criteria import Criterion, Decision
from edge_convnext.report.gate.evidence import Evidence, read_evidence
from edge_convnext.report.gate.limits import Limits
from edge_convnext.report.gate.speed import judge_latency_ratio, judge_size, judge_speedup

__all__ = ["GateResult", "gate", "is_strict", "judge"]


@dataclass(frozen=True)
class GateResult:
    """The decisions on one report."""

    report: str
    model: str
    precision: str
    n_images: int
    top1_pct: float
    fp32_top1_pct: float
    criteria: tuple[Criterion, ...]
    notes: tuple[str, ...] = ()  # sentences; they decide nothing

    @property
    def decision(self) -> Decision:
        """Fail if any criterion fails, else inconclusive if any is, else pass."""
        found = {criterion.decision for criterion in self.criteria}
        if "fail" in found:
            return "fail"
        return "inconclusive" if "inconclusive" in found else "pass"

    def passed(self, strict: bool) -> bool:
        """Whether CI may go on; with `strict`, inconclusive fails."""
        return self.decision == "pass" or (self.decision == "inconclusive" and not strict)


def is_strict(stated: bool | None) -> bool:
    """Whether inconclusive fails: as the user said, else where `CI` is true."""
    if stated is not None:
        return stated
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no", "off")


def gate(path: Path, limits: Limits | None = None, baseline: Baseline | None = None) -> GateResult:
    """Decide whether a build keeps its limits.

    Args:
        path: `report.json` of a build or of a board, or the folder that it lies in.
        limits: Limits to keep; None means a top-1 drop of at most 1 pp.
        baseline: Baseline to compare with, from `baseline.read_baseline`.

    Raises:
        ArtifactError: See `evidence.read_evidence`; a stage that a limit needs did not run;
            the baseline can't be compared (`comparable.check_baseline`) or is of other images;
            nothing was asked for.
        RecipeError: A limit that any model keeps.
    """
    return judge(read_evidence(path), limits or Limits(), baseline)


def judge(evidence: Evidence, limits: Limits, baseline: Baseline | None = None) -> GateResult:
    """`gate` on evidence that was read before."""
    compared = () if baseline is None else check_baseline(evidence, baseline)
    limits.require_above_guessing(evidence.report.model.num_classes)
    limits.require_that_may_fail(evidence.fp32_top1_pct, evidence.report.model.num_classes)
    criteria: list[Criterion] = []
    budget_pp = limits.drop_budget_pp(evidence.fp32_top1_pct)
    if budget_pp is not None:
        criteria.append(judge_drop(evidence, budget_pp))
        if baseline is not None:
            criteria.append(judge_baseline_drop(evidence, baseline, budget_pp))
            if baseline.best_predictions:
                criteria.append(judge_baseline_drop(evidence, baseline.best, budget_pp, "best"))
    if limits.min_top1_pct is not None:
        criteria.append(judge_top1(evidence, limits.min_top1_pct))
    if limits.min_agreement_pct is not None:
        criteria.append(judge_agreement(evidence, limits.min_agreement_pct))
    if limits.max_class_drop_pp is not None:
        criteria.append(judge_class_drops(evidence, limits.max_class_drop_pp))
        if baseline is not None:
            most_pp = limits.max_class_drop_pp
            criteria.append(judge_baseline_class_drops(evidence, baseline, most_pp))
            if baseline.best_predictions:
                criteria.append(
                    judge_baseline_class_drops(evidence, baseline.best, most_pp, "best")
                )
    if limits.min_speedup is not None:
        criteria.append(judge_speedup(evidence, limits.min_speedup))
    if limits.max_latency_ratio is not None:
        most, speed = limits.max_latency_ratio, baseline.speed if baseline else None
        criteria.append(judge_latency_ratio(evidence, speed, most))
        if baseline is not None and baseline.best_speed is not None:
            criteria.append(judge_latency_ratio(evidence, baseline.best_speed, most, "best"))
    if limits.max_size_mb is not None:
        criteria.append(judge_size(evidence, limits.max_size_mb))
    if criteria and (guessing := judge_guessing(evidence)) is not None:
        criteria.append(guessing)
    if not criteria:
        raise ArtifactError(
            f"{evidence.path}: no limit was stated; a gate of nothing always passes"
        )
    return GateResult(
        evidence.path.as_posix(),
        evidence.report.model.name,
        evidence.precision,
        len(evidence.predictions),
        evidence.top1_pct,
        evidence.fp32_top1_pct,
        tuple(criteria),
        (*evidence.notes(), *compared, *_hints(evidence, criteria, budget_pp)),
    )


def _hints(
    evidence: Evidence, criteria: Iterable[Criterion], budget_pp: float | None
) -> Iterator[str]:
    """Hints that follow from two criteria together, or from a budget that is too loose."""
    decided = {one.name: one.decision for one in criteria}
    if decided.get("top1_drop_vs_baseline_pp") == "fail" and decided["top1_drop_pp"] != "fail":
        yield (
            "FP32 fell with it: look at the weights, the class order, mean and std and the image "
            "size before the quantization."
        )
    above_guessing = evidence.fp32_top1_pct - 100.0 / max(1, evidence.report.model.num_classes)
    if budget_pp is not None and budget_pp >= above_guessing:
        yield (
            f"A budget of {budget_pp:g} pp fails no model: one that guesses loses "
            f"{max(0.0, above_guessing):.2f} pp."
        )
