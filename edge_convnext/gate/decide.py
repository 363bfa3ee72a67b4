"""The gate: every criterion that was asked for, decided on a build's evidence."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.errors import ArtifactError
from edge_convnext.gate.accuracy import (
    judge_agreement,
    judge_baseline_class_drops,
    judge_baseline_drop,
    judge_class_drops,
    judge_drop,
)
from edge_convnext.gate.baseline import Baseline
from edge_convnext.gate.criteria import Criterion, Decision
from edge_convnext.gate.evidence import Evidence, read_evidence
from edge_convnext.gate.limits import Limits
from edge_convnext.gate.speed import judge_latency_ratio, judge_size, judge_speedup

__all__ = ["GateResult", "gate", "is_strict", "judge"]


@dataclass(frozen=True)
class GateResult:
    """The decisions on one report."""

    report: str
    model: str
    precision: str
    n_images: int
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
        """Whether CI may go on; `strict` wants to be sure."""
        return self.decision == "pass" or (self.decision == "inconclusive" and not strict)


def is_strict(stated: bool | None) -> bool:
    """Whether what can't be told yet fails: as the user said, else where `CI` is set."""
    return bool(os.environ.get("CI")) if stated is None else stated


def gate(path: Path, limits: Limits | None = None, baseline: Baseline | None = None) -> GateResult:
    """Decide whether a build keeps its limits.

    Args:
        path: `report.json` of a build or of a board, or the folder that it lies in.
        limits: What it has to keep; a top-1 drop of at most 1 pp when None.
        baseline: An earlier build to compare with, from `baseline.read_baseline`.

    Raises:
        ArtifactError: See `evidence.read_evidence`; a stage that a limit needs did not run;
            the baseline is of another model or of other images; nothing was asked for.
    """
    return judge(read_evidence(path), limits or Limits(), baseline)


def judge(evidence: Evidence, limits: Limits, baseline: Baseline | None = None) -> GateResult:
    """`gate` on evidence that was read before."""
    if baseline is not None and baseline.model != evidence.report.model.name:
        raise ArtifactError(
            f"{evidence.path}: is of {evidence.report.model.name}, the baseline of "
            f"{baseline.model}; pass a baseline of the same model"
        )
    criteria: list[Criterion] = []
    budget_pp = limits.drop_budget_pp(_fp32_top1_pct(evidence))
    if budget_pp is not None:
        criteria.append(judge_drop(evidence, budget_pp))
        if baseline is not None:
            criteria.append(judge_baseline_drop(evidence, baseline, budget_pp))
    if limits.min_agreement_pct is not None:
        criteria.append(judge_agreement(evidence, limits.min_agreement_pct))
    if limits.max_class_drop_pp is not None:
        criteria.append(judge_class_drops(evidence, limits.max_class_drop_pp))
        if baseline is not None:
            criteria.append(
                judge_baseline_class_drops(evidence, baseline, limits.max_class_drop_pp)
            )
    if limits.min_speedup is not None:
        criteria.append(judge_speedup(evidence, limits.min_speedup))
    if limits.max_latency_ratio is not None:
        criteria.append(judge_latency_ratio(evidence, baseline, limits.max_latency_ratio))
    if limits.max_size_mb is not None:
        criteria.append(judge_size(evidence, limits.max_size_mb))
    if not criteria:
        raise ArtifactError(
            f"{evidence.path}: no limit was stated; a gate of nothing always passes"
        )
    return GateResult(
        evidence.path.as_posix(),
        evidence.report.model.name,
        evidence.precision,
        len(evidence.predictions),
        tuple(criteria),
        evidence.notes(),
    )


def _fp32_top1_pct(evidence: Evidence) -> float:
    right = sum(one.fp32 == one.label for one in evidence.predictions)
    return 100.0 * right / len(evidence.predictions)
