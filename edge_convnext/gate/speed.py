"""Criteria of speed and size: ratios measured interleaved in one run, never bare milliseconds."""

from __future__ import annotations

from edge_convnext.errors import ArtifactError
from edge_convnext.gate.baseline import Baseline
from edge_convnext.gate.criteria import Criterion, decide_above, decide_below
from edge_convnext.gate.evidence import Evidence
from edge_convnext.report import BenchmarkReport

__all__ = ["judge_latency_ratio", "judge_size", "judge_speedup"]

_BYTES_PER_MB = 1_000_000


def judge_speedup(evidence: Evidence, least: float) -> Criterion:
    """Speed of the shipped model over the best float's, raced in the same run.

    Raises:
        ArtifactError: The benchmark stage did not run.
    """
    benchmark = _timings(evidence)
    ratio, interval = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
    asked = f"at least {least:g}x was asked for"
    if ratio is None or interval is None:
        return Criterion(
            "speedup_vs_best_float", "inconclusive", ratio, None, least,
            f"the speed-up over the best float has no interval (fewer than 6 rounds); {asked}.",
        )  # fmt: skip
    return Criterion(
        "speedup_vs_best_float",
        decide_above(interval, least),
        ratio,
        interval,
        least,
        f"{ratio:.2f}x the speed of the best float (95 % interval over rounds {interval[0]:.2f} "
        f"to {interval[1]:.2f}); {asked}.",
    )


def judge_latency_ratio(evidence: Evidence, baseline: Baseline | None, most: float) -> Criterion:
    """Latency over the baseline's, each first divided by raw FP32's in its own run.

    Raises:
        ArtifactError: The benchmark stage did not run, or there is no baseline.
    """
    if baseline is None:
        raise ArtifactError(f"{evidence.path}: a latency ratio needs --baseline")
    benchmark = _timings(evidence)
    name = "latency_ratio_vs_baseline"
    now, now_ci = benchmark.speedup_vs_raw_fp32, benchmark.speedup_vs_raw_fp32_ci95
    then, then_ci = baseline.speedup_vs_raw_fp32, baseline.speedup_vs_raw_fp32_ci95
    if baseline.fingerprint != evidence.report.environment.fingerprint:
        why = "the baseline was timed on another machine"
    elif then is None or then_ci is None:
        why = "the baseline has no timings with an interval"
    elif now is None or now_ci is None:
        why = "this build's timings have no interval (fewer than 6 rounds)"
    elif min(now, now_ci[0], then_ci[0]) <= 0:
        why = "a speed-up of 0 is no measurement"
    else:
        # The quotient of two intervals holds the true ratio at least as surely as both hold theirs.
        interval = (then_ci[0] / now_ci[1], then_ci[1] / now_ci[0])
        return Criterion(
            name,
            decide_below(interval, most),
            then / now,
            interval,
            most,
            f"{then / now:.3f} times the baseline's latency, both against raw FP32 in their own "
            f"run ({interval[0]:.3f} to {interval[1]:.3f}); at most {most:g} was asked for.",
        )
    return Criterion(name, "inconclusive", None, None, most, f"not comparable: {why}.")


def judge_size(evidence: Evidence, most_mb: float) -> Criterion:
    """Bytes of the shipped model."""
    size_mb = evidence.model_bytes / _BYTES_PER_MB
    return Criterion(
        "size_mb",
        "pass" if size_mb <= most_mb else "fail",
        size_mb,
        None,
        most_mb,
        f"{size_mb:.2f} MB; at most {most_mb:g} was asked for.",
    )


def _timings(evidence: Evidence) -> BenchmarkReport:
    benchmark = evidence.report.benchmark
    if benchmark is None:
        stage = evidence.report.stage("benchmark")
        raise ArtifactError(
            f"{evidence.path}: the benchmark stage did not run ({stage.reason}), so speed can't "
            "be gated; build with --target cpu, or leave the limit out"
        )
    return benchmark
