"""Decide what to ship from what was measured: a pure function, no thresholds of its own.

INT8 (or FP16) ships only when it is faster than the best float of all runtimes beyond the
interval over rounds, and loses no more accuracy than the budget. One of the two missing leaves
the verdict open; one of the two failing settles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report import AccuracyReport, BenchmarkReport, VerdictReport

if TYPE_CHECKING:
    from edge_convnext.artifacts import Precision

__all__ = ["decide"]


def decide(
    precision: Precision,
    accuracy: AccuracyReport | None,
    benchmark: BenchmarkReport | None,
    max_drop_pp: float,
    require: Precision | None = None,
    not_measured: tuple[str, ...] = (),
    batch: int = 1,
) -> VerdictReport:
    """Choose between the requested precision and the float it would replace.

    Args:
        precision: What the build made.
        accuracy: Against FP32; None when nothing was evaluated.
        benchmark: Against the best float; None when nothing was timed.
        max_drop_pp: Largest top-1 drop to accept, in percentage points.
        require: The precision the user asked the verdict to be, if any.
        not_measured: Sentences that say why accuracy or timings are missing.
        batch: The batch size that the speed is of.

    Returns:
        The verdict; `passed` tells whether `require` is met.
    """
    if precision == "fp32":
        return _verdict("fp32", ["Only FP32 was asked for."], require)
    name = precision.upper()
    accurate, accuracy_reason = _judge_accuracy(name, accuracy, max_drop_pp)
    faster, speed_reason = _judge_speed(name, benchmark, batch)
    reasons = [speed_reason, accuracy_reason, *not_measured]
    if faster is False or accurate is False:
        best_float = benchmark.row(benchmark.best_float, batch) if benchmark else None
        return _verdict(best_float.precision if best_float else "fp32", reasons, require)
    if faster is None or accurate is None:
        return _verdict("undecided", reasons, require)
    return _verdict(precision, reasons, require)


def _verdict(ship: str, reasons: list[str], require: Precision | None) -> VerdictReport:
    passed = require is None or ship == require
    if not passed:
        reasons = [*reasons, f"Required was {str(require).upper()}."]
    return VerdictReport.model_validate({"ship": ship, "passed": passed, "reasons": tuple(reasons)})


def _judge_accuracy(
    name: str, accuracy: AccuracyReport | None, max_drop_pp: float
) -> tuple[bool | None, str]:
    if accuracy is None or accuracy.top1_drop_pp is None or accuracy.top1_drop_ci95_pp is None:
        return None, f"The accuracy of {name} was not measured."
    drop, (low, high) = accuracy.top1_drop_pp, accuracy.top1_drop_ci95_pp
    within = drop <= max_drop_pp
    reason = (
        f"Top-1 {_moves(drop)} (95 % interval of the drop {low:.2f} to {high:.2f} pp) on "
        f"{accuracy.n_images:,} images, {'within' if within else 'past'} the budget of "
        f"{max_drop_pp:.2f} pp."
    )
    if low <= max_drop_pp < high:
        reason += " The interval reaches to both sides of the budget: more images would tell."
    return within, reason


def _moves(drop_pp: float) -> str:
    if drop_pp == 0.0:
        return "stays the same"
    return f"{'drops' if drop_pp > 0 else 'rises'} by {abs(drop_pp):.2f} pp"


def _judge_speed(
    name: str, benchmark: BenchmarkReport | None, batch: int
) -> tuple[bool | None, str]:
    if benchmark is None or benchmark.speedup_vs_best_float is None:
        return None, f"{name} was not timed against the best float at batch {batch}."
    ratio, interval = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
    where = _where(benchmark, batch)
    if interval is None:
        return None, f"{name} has {ratio:.2f}x the speed of {where}, without an interval."
    low, high = interval
    measured = f"(95 % interval over rounds {low:.2f} to {high:.2f}) the speed of {where}"
    if low > 1.0:
        return True, f"{name} has {ratio:.2f}x {measured}."
    if ratio > 1.0:
        return False, (
            f"{name} has {ratio:.2f}x {measured}: not faster beyond that interval. More rounds on "
            "an idle machine would tell."
        )
    return False, f"{name} has {ratio:.2f}x {measured}: not faster."


def _where(benchmark: BenchmarkReport, batch: int) -> str:
    row = benchmark.row(benchmark.best_float, batch)
    if row is None:
        return f"the best float at batch {batch}"
    hint = f", {row.precision_hint}" if row.precision_hint else ""
    return f"the best float ({row.form} form{hint}) in {row.runtime} at batch {batch}"
