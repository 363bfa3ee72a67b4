"""Sides of a comparison that are written down."""

from edge_convnext.report.compare.sides import Answer, Side
from edge_convnext.report.gate.baseline import Speed

SPEED = Speed(
    fingerprint="f", speedup_vs_raw_fp32=3.0, speedup_vs_raw_fp32_ci95=(2.9, 3.1),
    best_float="conv", speedup_vs_best_float=1.2, speedup_vs_best_float_ci95=(1.1, 1.3), batch=1,
    other_load_pct=1.0, throttled_periods=None,
)  # fmt: skip


def side(said, called="A", start=0, fp32="", **changes):
    """A side whose images are `(label, answer)`; FP32 is right, or `fp32` where that is stated."""
    answers = tuple(
        (f"{index:020x}", Answer(label, one, label if fp32 == "" else fp32))
        for index, (label, one) in enumerate(said, start)
    )
    fields = {
        "called": called, "name": called.lower(), "kind": "build", "model": "atto",
        "precision": "int8", "classes": (), "versions": {}, "speed": SPEED, "top1_pct": 90.0,
        "fp32_top1_pct": 91.0, "size_bytes": 4_000_000, "answers": answers,
    }  # fmt: skip
    return Side(**fields | changes)
