"""The table of the machine in `report.md` and `report.html`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.summary import MISSING

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["environment_rows"]


def environment_rows(report: Report) -> list[tuple[str, str]]:
    """What was measured on, and with which versions."""
    seen = report.environment
    memory = f"{seen.memory_bytes / (1 << 30):.1f} GiB" if seen.memory_bytes else MISSING
    return [
        ("made", report.created.isoformat(timespec="seconds")),
        ("platform", seen.platform),
        ("cpu", seen.cpu_model),
        ("flags", seen.flags_text),
        ("cores", str(seen.cores)),
        ("memory", memory),
        ("gpu", ", ".join(seen.gpus) or "none"),
        *([("jetson", seen.jetson)] if seen.jetson else []),
        ("fingerprint", seen.fingerprint),
        *seen.versions.items(),
    ]
