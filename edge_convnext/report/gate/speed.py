"""Criteria of speed and size: ratios measured interleaved in one run, never bare milliseconds.

Timings on a busy machine decide nothing: ratios are skewed there too.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_convnext.core.contention import why_skewed
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.intervals import FEWEST_FOR_MEDIAN
from edge_convnext.report.gate.baseline import Speed, speed_of
from edge_convnext.report.gate.criteria import Criterion, decide_above, decide_below
from edge_convnext.report.gate.evidence import Evidence
from edge_convnext.report.measured import BenchmarkReport

__all__ = [
    "Speedups",
    "compare_speeds",
    "judge_latency_ratio",
    "judge_size",
    "judge_speedup",
    "why_no_baseline_of_speed",
]

_BYTES_PER_MB = 1_000_000
_FEW = f"has no interval, of fewer than {FEWEST_FOR_MEDIAN} rounds"


def judge_speedup(evidence: Evidence, least: float) -> Criterion:
    """Speed of the gated model over the best float's, raced in the same run.

    Raises:
        ArtifactError: The benchmark stage did not run.
    """
    benchmark = _timings(evidence)
    ratio, interval = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
    asked = f"at least {least:g}x was asked for"
    busy = _busy(benchmark.other_load_pct, benchmark.throttled_periods)
    if ratio is None or interval is None or busy:
        why = busy or ("was not timed beside it" if ratio is None else _FEW)
        return Criterion(
            "speedup_vs_best_float", "inconclusive", ratio, interval, least,
            f"the speed-up over the best float is not known: it {why}; {asked}.",
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


def judge_latency_ratio(
    evidence: Evidence, before: Speed | None, most: float, against: str = "baseline"
) -> Criterion:
    """Latency over the baseline's, each first divided by a float's of its own run.

    That float is raw FP32, or on boards, which race no raw FP32, the best float.

    Args:
        evidence: Evidence of the build.
        before: Speed of the baseline, if there is one.
        most: Ratio to keep below.
        against: Build of the baseline: `baseline` is the newest, `best` the fastest proven.

    Raises:
        ArtifactError: The benchmark stage did not run, or there is no baseline.
    """
    if before is None:
        raise ArtifactError(f"{evidence.path}: a latency ratio needs --baseline")
    name = f"latency_ratio_vs_{against}"
    whose = "the baseline's" if against == "baseline" else "the best proven build's"
    _timings(evidence)
    found = compare_speeds(speed_of(evidence.report), before)
    if isinstance(found, str):
        reason = f"latency can't be compared with {whose}: {found}."
        return Criterion(name, "inconclusive", None, None, most, reason)
    ratio, interval = found.latency_ratio, found.latency_ratio_ci
    return Criterion(
        name,
        decide_below(interval, most),
        ratio,
        interval,
        most,
        f"{ratio:.3f} times {whose} latency, both against {found.against} in their own "
        f"run ({interval[0]:.3f} to {interval[1]:.3f}); at most {most:g} was asked for.",
    )


@dataclass(frozen=True)
class Speedups:
    """Speed-ups over the same float, now and in the baseline, with their intervals."""

    against: str
    now: float
    now_ci: tuple[float, float]
    then: float
    then_ci: tuple[float, float]

    @property
    def latency_ratio(self) -> float:
        """Latency now over latency then; above 1 it became slower."""
        return self.then / self.now

    @property
    def latency_ratio_ci(self) -> tuple[float, float]:
        """Quotient of both intervals: it has the true ratio at least as surely as they theirs."""
        return self.then_ci[0] / self.now_ci[1], self.then_ci[1] / self.now_ci[0]


def compare_speeds(
    now: Speed, then: Speed, names: tuple[str, str] = ("this build", "the baseline")
) -> Speedups | str:
    """The speed-ups to compare, or the reason why they can't be.

    Args:
        now: Speed of the later build.
        then: Speed of the earlier one.
        names: Words for the two in a reason, the later one first.
    """
    ours_is, theirs_is = names
    if then.fingerprint != now.fingerprint:
        return f"{theirs_is} was timed on another machine"
    batches = now.batch or 1, then.batch or 1
    if batches[0] != batches[1]:
        return f"{ours_is} was timed at batch {batches[0]}, {theirs_is} at batch {batches[1]}"
    against = "raw FP32"
    ours, ours_ci = now.speedup_vs_raw_fp32, now.speedup_vs_raw_fp32_ci95
    theirs, theirs_ci = then.speedup_vs_raw_fp32, then.speedup_vs_raw_fp32_ci95
    if ours is None and theirs is None:
        against = f"the best float, {now.best_float},"
        ours, ours_ci = now.speedup_vs_best_float, now.speedup_vs_best_float_ci95
        theirs, theirs_ci = then.speedup_vs_best_float, then.speedup_vs_best_float_ci95
        if ours is not None and theirs is not None and then.best_float != now.best_float:
            return f"{ours_is} was raced against {now.best_float}, {theirs_is} against another"
    if theirs is None or ours is None:
        which = theirs_is if theirs is None else ours_is
        return f"{which} was not raced against {against.split(',')[0]}"
    for who, one in ((ours_is, now), (theirs_is, then)):
        if busy := _busy(one.other_load_pct, one.throttled_periods):
            return f"{who} {busy}"
    if theirs_ci is None or ours_ci is None:
        return f"{theirs_is if theirs_ci is None else ours_is} {_FEW}"
    if min(ours, ours_ci[0], theirs_ci[0]) <= 0:
        return "a speed-up of 0 is no measurement"
    return Speedups(against, ours, ours_ci, theirs, theirs_ci)


def why_no_baseline_of_speed(evidence: Evidence) -> str | None:
    """Reason why later timings can't be compared with this build's; None where they can."""
    benchmark = evidence.report.benchmark
    if benchmark is None:
        return None
    return _busy(benchmark.other_load_pct, benchmark.throttled_periods)


def _busy(other_load_pct: float | None, throttled_periods: int | None) -> str | None:
    """Reason why timings are not reliable; None where they are."""
    skewed = why_skewed(other_load_pct, throttled_periods)
    return f"was timed while {skewed}; time it again on a quiet machine" if skewed else None


def judge_size(evidence: Evidence, most_mb: float) -> Criterion:
    """Judge the size of the gated model: that of the build's precision, not of what ships."""
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
