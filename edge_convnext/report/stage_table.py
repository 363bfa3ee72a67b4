"""The chain as both views of a report list it: a line per stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report
    from edge_convnext.report.stages import EngineReport, ParityReport, StageReport, VariantReport

__all__ = ["seconds_text", "stage_rows"]

_FEWEST_FOLDED = 3  # stages with the same reason


def stage_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """Name, status, seconds and note of each stage, in the order of the chain.

    Stages that did not run for the same reason are one line, such as those of a board's report
    that ran on the machine of the build.
    """
    rows: list[tuple[str, str, str, str]] = []
    shared: dict[str, list[str]] = {}
    for stage in report.stages:
        if stage.status == "not_run" and stage.reason and stage_note(stage) == stage.reason:
            shared.setdefault(stage.reason, []).append(stage.name)
    for stage in report.stages:
        names = shared.get(stage.reason or "", [])
        if len(names) < _FEWEST_FOLDED or stage.name not in names:
            rows.append((stage.name, stage.status, seconds_text(stage.seconds), stage_note(stage)))
        elif stage.name == names[0]:
            note = f"{', '.join(names)}: {stage.reason}"
            rows.append((f"{len(names)} stages", stage.status, "", note))
    return rows


def stage_note(stage: StageReport) -> str:
    """Kernels, parity and reason of one stage, as far as it has them."""
    counts = [_engine(one, one.engine) for one in stage.variants if one.engine]
    parity = [_parity(stage.parity)] if stage.parity else []
    return "; ".join([*counts, *parity, *([stage.reason] if stage.reason else [])])


def _engine(variant: VariantReport, engine: EngineReport) -> str:
    batch = f" b{variant.batch}" if variant.batch else ""
    moved = f", {engine.activation_bytes / 1e6:.1f} MB" if engine.activation_bytes else ""
    counts = f"{engine.kernels} kernels, {engine.int8_kernels} INT8"
    return f"{variant.precision}{batch}: {counts}{moved}"


def _parity(parity: ParityReport) -> str:
    sqnr = "equal" if parity.sqnr_db is None else f"{parity.sqnr_db:.1f} dB"
    return (
        f"max error {parity.max_abs_err:.1e}, {sqnr}, agreement {parity.agreement_pct:.1f} % "
        f"on {parity.n_images} images"
    )


def seconds_text(seconds: float | None) -> str:
    """Such as `1.4 s`; empty for None."""
    return "" if seconds is None else f"{seconds:.1f} s"
