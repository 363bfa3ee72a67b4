"""The limits of a gate, as a user states them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.percentages import meant_per_cent

__all__ = ["Limits", "PresetName"]

PresetName = Literal["mlperf-99", "mlperf-99.9"]

# MLPerf Inference's rules: a submission keeps at least 99 % (99.9 %) of the FP32 model's accuracy.
_KEPT_PCT: dict[PresetName, float] = {"mlperf-99": 99.0, "mlperf-99.9": 99.9}
_BUDGETS = ("max_drop_pp", "max_class_drop_pp")
_FLOORS = ("min_top1_pct", "min_agreement_pct", "kept_pct")
_PERCENTAGES = (*_BUDGETS, *_FLOORS)
_DEFAULT_BUDGET_PP = 1.0
_LEAST_SPEEDUP = 0.5  # a smaller number probably means the part by which it is faster
_MOST_RATIO = 10.0  # a larger number is probably a percentage
_MOST_MB = 10_000.0  # a larger number is probably in bytes


@dataclass(frozen=True)
class Limits:
    """Limits that a build has to keep; None: no such limit.

    Raises:
        RecipeError: A limit is out of its range.
    """

    max_drop_pp: float | None = _DEFAULT_BUDGET_PP  # top-1 of FP32 minus that of the gated model
    min_top1_pct: float | None = None  # top-1 of the gated model
    min_agreement_pct: float | None = None  # images with FP32's top-1 class
    max_class_drop_pp: float | None = None  # top-1 drop of any class
    min_speedup: float | None = None  # over the best float of the same run
    max_latency_ratio: float | None = None  # relative to the baseline; both are ratios to raw FP32
    max_size_mb: float | None = None  # 10^6 bytes of the gated model
    kept_pct: float | None = None  # share of FP32's top-1, from a preset; replaces max_drop_pp

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if not 0.0 <= value < float("inf"):
                raise RecipeError(f"{field.name} is {value}; a limit is a number from 0 upwards")
            if field.name in _PERCENTAGES and value > 100.0:
                raise RecipeError(f"{field.name} is {value}; it is a percentage, up to 100")
            if meant := _likely_meaning(field.name, value):
                raise RecipeError(f"{field.name} is {value:g}: {meant}")

    def require_above_guessing(self, num_classes: int) -> None:
        """Refuse floors that guessing reaches among so many classes.

        Raises:
            RecipeError: Guessing reaches a floor.
        """
        guess_pct = 100.0 / max(1, num_classes)
        for name in ("min_top1_pct", "min_agreement_pct"):
            value = getattr(self, name)
            if num_classes > 1 and value is not None and value < guess_pct:
                raise RecipeError(
                    f"{name} is {value:g}: guessing among {num_classes:,} classes reaches "
                    f"{guess_pct:.2f} %, so it is no floor; state a percentage above that"
                )

    def require_that_may_fail(self, fp32_top1_pct: float, num_classes: int) -> None:
        """Refuse a budget that a model keeps that guesses, where FP32 does not.

        Raises:
            RecipeError: Such a budget. The default and those of presets are never refused.
        """
        above = fp32_top1_pct - 100.0 / max(1, num_classes)
        most = self.max_drop_pp if self.kept_pct is None else None
        if most is not None and most >= above > _DEFAULT_BUDGET_PP:
            raise RecipeError(
                f"max_drop_pp is {most:g}: {most:g} pp fails no build, for one that guesses among "
                f"{num_classes:,} classes loses {above:.2f} pp; state a smaller budget"
            )

    @classmethod
    def of_preset(cls, preset: PresetName, **stated: float | None) -> Limits:
        """Make the limits of a preset, with other limits that were stated."""
        return cls(**{**stated, "kept_pct": _KEPT_PCT[preset]})

    def drop_budget_pp(self, fp32_top1_pct: float) -> float | None:
        """Top-1 drop that is allowed, given FP32's top-1 on the same images."""
        if self.kept_pct is not None:
            return fp32_top1_pct * (100.0 - self.kept_pct) / 100.0
        return self.max_drop_pp


def _likely_meaning(name: str, value: float) -> str | None:
    """Advice for a number that is most likely a slip; None for others."""
    if name in _BUDGETS and value >= 100.0:
        return f"no model loses more, so it fails no build; did you mean {value / 100.0:g}?"
    if name in _BUDGETS:
        return meant_per_cent(value)
    if name in _FLOORS and value == 0.0:
        return "a floor of 0 % fails no build; leave it out"
    if name in _FLOORS and value <= 1.0:
        return f"{value:g} % fails no build; did you mean {100.0 * value:g}?"
    if name == "min_speedup" and 0.0 < value < _LEAST_SPEEDUP:
        return f"{value:g} times the speed is slower; did you mean {1.0 + value:g}?"
    if name == "max_latency_ratio" and value > _MOST_RATIO:
        return f"{value:g} times the latency fails no build; did you mean {value / 100.0:g}?"
    if name == "max_size_mb" and value > _MOST_MB:
        return f"no model here has {value:g} MB; did you mean {value / 1e6:g}?"
    return None
