"""Lines of a history that are written down."""

from datetime import datetime, timezone

from edge_convnext.report.history.entries import Entry


def entry(day, **changes):
    fields = {
        "path": f"build/{day}", "kind": "build", "label": None,
        "created": datetime(2026, 1, day, tzinfo=timezone.utc), "model": "atto",
        "precision": "int8", "ships": "int8 shown", "top1_pct": 90.0, "drop_pp": 0.5,
        "drop_low_pp": -0.5, "drop_high_pp": 1.5, "latency_ratio": 0.5, "ratio_low": 0.4,
        "ratio_high": 0.6, "ratio_over": "raw FP32", "busy": None, "latency_ms": 2.0,
        "size_bytes": 4_000_000, "machine": "f" * 16,
    }  # fmt: skip
    return Entry(**fields | changes)
