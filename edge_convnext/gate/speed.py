"""Criteria of speed and size: ratios measured interleaved in one run, never bare milliseconds.

What was timed on a busy machine decides nothing: ratios are skewed there too.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_convnext.contention import QUIET_PCT
from edge_convnext.errors import ArtifactError
from edge_convnext.gate.baseline import Baseline
from edge_convnext.gate.criteria import Criterion, decide_above, decide_below
from edge_convnext.gate.evidence import Evidence, smallest_batch
from edge_convnext.report import BenchmarkReport

__all__ = ["judge_latency_ratio", "judge_size", "judge_speedup", "why_no_baseline_of_speed"]

_BYTES_PER_MB = 1_000_000
_FEW = "has no interval, of fewer than 6 rounds"


def judge_speedup(evidence: Evidence, least: float) -> Criterion:
    """Speed of the gated model over the best float's, raced in the same run.

    Raises:
        ArtifactError: The benchmark stage did not run.
    """
    benchmark = _timings(evidence)
    ratio, interval = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
    asked = f"at least {least:g}x was asked for"
    busy = _busy(benchmark.other_load_pct)
    if ratio is None or interval is None or busy:
        why = busy or ("was not timed beside it" if ratio is None else _FEW)
        return Criterion(
            "speedup_vs_best_float", "inconclusive", ratio, interval, least,
            f"the speed-up over the best float can't be told: it {why}; {asked}.",
        )  # fmt: skip
    return Criterion(
        "speedup_vs_best_float",
        decide_above(interval, least),
        ratio,
        interval,
        least,
        f"{ratio:.2f}x the speed of the best float (95 % interval over {benchmark.observations} "
        f"{interval[0]:.2f} to {interval[1]:.2f}); {asked}.",
    )


def judge_latency_ratio(evidence: Evidence, baseline: Baseline | None, most: float) -> Criterion:
    """Latency over the baseline's, each first divided by a float's of its own run.

    That is raw FP32, or the best float where both are of a board, which races no raw FP32.

    Raises:
        ArtifactError: The benchmark stage did not run, or there is no baseline.
    """
    if baseline is None:
        raise ArtifactError(f"{evidence.path}: a latency ratio needs --baseline")
    name = "latency_ratio_vs_baseline"
    found = _compare(evidence, _timings(evidence), baseline)
    if isinstance(found, str):
        reason = f"latency can't be compared with the baseline's: {found}."
        return Criterion(name, "inconclusive", None, None, most, reason)
    # The quotient of two intervals holds the true ratio at least as surely as both hold theirs.
    interval = (found.then_ci[0] / found.now_ci[1], found.then_ci[1] / found.now_ci[0])
    ratio = found.then / found.now
    return Criterion(
        name,
        decide_below(interval, most),
        ratio,
        interval,
        most,
        f"{ratio:.3f} times the baseline's latency, both against {found.against} in their own "
        f"run ({interval[0]:.3f} to {interval[1]:.3f}); at most {most:g} was asked for.",
    )


@dataclass(frozen=True)
class _Speedups:
    """Over the same float, now and in the baseline, with their intervals."""

    against: str
    now: float
    now_ci: tuple[float, float]
    then: float
    then_ci: tuple[float, float]


def _compare(evidence: Evidence, benchmark: BenchmarkReport, baseline: Baseline) -> _Speedups | str:
    """The speed-ups to compare, or why they can't be."""
    if baseline.fingerprint != evidence.report.environment.fingerprint:
        return "the baseline was timed on another machine"
    batches = smallest_batch(benchmark), baseline.batch or 1
    if batches[0] != batches[1]:
        return f"this build was timed at batch {batches[0]}, the baseline at batch {batches[1]}"
    against = "raw FP32"
    now, now_ci = benchmark.speedup_vs_raw_fp32, benchmark.speedup_vs_raw_fp32_ci95
    then, then_ci = baseline.speedup_vs_raw_fp32, baseline.speedup_vs_raw_fp32_ci95
    if now is None and then is None:
        against = f"the best float, {benchmark.hardest_float},"
        now, now_ci = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
        then, then_ci = baseline.speedup_vs_best_float, baseline.speedup_vs_best_float_ci95
        if now is not None and then is not None and baseline.best_float != benchmark.hardest_float:
            return f"it was raced against {benchmark.hardest_float}, the baseline against another"
    if then is None or now is None:
        which = "the baseline" if then is None else "this build"
        return f"{which} was not raced against {against.split(',')[0]}"
    for who, load in (
        ("this build", benchmark.other_load_pct),
        ("the baseline", baseline.other_load_pct),
    ):
        if busy := _busy(load):
            return f"{who} {busy}"
    if then_ci is None or now_ci is None:
        return f"{'the baseline' if then_ci is None else 'this build'} {_FEW}"
    if min(now, now_ci[0], then_ci[0]) <= 0:
        return "a speed-up of 0 is no measurement"
    return _Speedups(against, now, now_ci, then, then_ci)


def why_no_baseline_of_speed(evidence: Evidence) -> str | None:
    """What makes this build's timings nothing to compare later ones with; None where they are."""
    benchmark = evidence.report.benchmark
    return None if benchmark is None else _busy(benchmark.other_load_pct)


def _busy(other_load_pct: float | None) -> str | None:
    """Why timings tell nothing: a busy machine slows some runtimes far more than others."""
    if other_load_pct is None or other_load_pct <= QUIET_PCT:
        return None
    return (
        f"was timed while other programs took {other_load_pct:.0f} % of the CPU (at most "
        f"{QUIET_PCT:g} % is quiet); time it again on an idle machine"
    )


def judge_size(evidence: Evidence, most_mb: float) -> Criterion:
    """Bytes of the gated model: that of the build's precision, whatever the verdict ships."""
    size_mb = evidence.model_bytes / _BYTES_PER_MB
    return Criterion(
        "size_mb",
        "pass" if size_mb <= most_mb else "fail",
        size_mb,
        None,
        most_mb,
        f"the {evidence.precision} model has {size_mb:.2f} MB; at most {most_mb:g} was asked for.",
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
