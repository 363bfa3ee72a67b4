"""Inside the models: where the time goes, what quantization did, kernels, boards side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.boards import BOARD_HEADINGS, board_cells
from edge_convnext.report.html.kernels import kernel_blocks
from edge_convnext.report.html.parts import (
    NOT_RECORDED,
    Bullets,
    Figure,
    Picture,
    Section,
    Words,
    make_table,
)
from edge_convnext.report.html.picture import ROW, Bar, axis, bars, make_scale
from edge_convnext.report.in_runtime import (
    PRODUCT_HEADINGS,
    REFUSED_HEADINGS,
    product_rows,
    refused_rows,
)
from edge_convnext.report.summary import (
    MISSING,
    RECOVERY_HEADINGS,
    count,
    number,
    recovery_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.kernels import EngineKernels
    from edge_convnext.report.html.parts import Block, Limits
    from edge_convnext.report.stages import FallbackReport, SensitivityReport

__all__ = ["gpu_section", "quantization_section", "time_section"]

_DRAWN = 12
_GRAPHS = 6  # with a picture each
_SENSITIVITY = (
    *("operation", "share of the noise %", "alone, SQNR dB", "alone, agree %"),
    *("all but it, SQNR dB", "all but it, agree %", "kept in float"),
)
_MISSING = (
    "Signal to noise behind each block in its runtime",
    "Histograms of the quantizers, with the chosen range and the share that is clipped",
    "Ranges before and after equalization",
    "How many calibration images suffice",
)


def time_section(report: Report, limits: Limits) -> Section:
    """Where the time goes: no build records a profile today."""
    told = (
        f"A profile by part of the block: {NOT_RECORDED} in this report. It is shown by "
        "edge-convnext bench MODEL --profile."
    )
    return Section("time", "Where the time goes", (Words(told, "missing"),))


def quantization_section(report: Report, limits: Limits) -> Section:
    """Sensitivity, fallbacks and recovery, products in INT8, what was refused."""
    blocks: list[Block] = []
    for place, one in enumerate(report.sensitivity[:_GRAPHS], 1):
        blocks += _ranking(f"sensitivity-{place}", one.graph, one.operations, (), limits)
    for place, fallback in enumerate(report.fallbacks[:_GRAPHS], 1):
        blocks += _fallback(f"fallback-{place}", fallback, limits)
    more = sum(max(0, len(one) - _GRAPHS) for one in (report.sensitivity, report.fallbacks))
    if more:
        blocks.append(Words(f"{more:,} more graphs are in report.json."))
    if not blocks:
        told = (
            f"What quantizing each operation costs: {NOT_RECORDED}. It is measured by "
            "edge-convnext sensitivity DIR."
        )
        blocks.append(Words(told, "missing"))
    if report.recoveries:
        title = "Recovery by fine-tuning"
        blocks.append(make_table(title, RECOVERY_HEADINGS, recovery_rows(report), limits))
    blocks += _products(report, limits)
    if report.refused:
        title = "Refused: wrong where they would run"
        blocks.append(make_table(title, REFUSED_HEADINGS, refused_rows(report), limits))
    blocks.append(Bullets(tuple(f"{one}: {NOT_RECORDED}." for one in _MISSING)))
    source = "report.json: sensitivity, fallbacks, recoveries, int8_products, refused"
    return Section("quantization", "Quantization", tuple(blocks), source)


def _fallback(anchor: str, one: FallbackReport, limits: Limits) -> list[Block]:
    kept = one.kept_float
    if one.reason:
        what = one.reason
    elif kept is None:
        what = "no number of operations in float suffices"
    else:
        what = f"{len(kept)} of {one.quantized_ops} operations went back to float"
    after = "" if one.top1_drop_pp is None else f", with it {one.top1_drop_pp:.2f} pp"
    told = (
        f"INT8 {one.graph} missed the budget: its drop is {one.top1_drop_before_pp:.2f} pp{after}; "
        f"{what}."
    )
    ranking = _ranking(anchor, one.graph, one.sensitivity, kept or (), limits)
    return [Words(told, "warning"), *ranking]


def _ranking(
    anchor: str,
    graph: str,
    operations: Sequence[SensitivityReport],
    kept: Sequence[str],
    limits: Limits,
) -> list[Block]:
    """Bars of the most harmful operations, and the table of all."""
    if not operations:
        return []
    rows = (
        (
            one.name,
            number(one.noise_share_pct, 1),
            number(one.alone_sqnr_db, 1),
            number(one.alone_agreement_pct, 1),
            number(one.spared_sqnr_db, 1),
            number(one.spared_agreement_pct, 1),
            "yes" if one.name in kept else "",
        )
        for one in operations
    )
    table = make_table(f"Sensitivity of INT8 {graph}", _SENSITIVITY, rows, limits)
    worst = sorted(operations, key=lambda one: -one.noise_share_pct)[:_DRAWN]
    drawn = [Bar(one.name, one.noise_share_pct, f"{one.noise_share_pct:.1f} %") for one in worst]
    scale = make_scale([bar.value for bar in drawn], zero=True)
    bottom = len(drawn) * ROW
    picture = Picture(
        anchor=anchor,
        title=f"The {len(drawn)} operations of INT8 {graph} that make most noise",
        description="; ".join(f"{bar.name}: {bar.shown}" for bar in drawn),
        height=bottom + 35,
        shapes=(*axis(scale, bottom, 0, "share of the noise, %"), *bars(drawn, scale)),
    )
    return [Figure(picture, table)]


def _products(report: Report, limits: Limits) -> list[Block]:
    if not report.int8_products:
        return [Words(f"Products in INT8, planned and found: {NOT_RECORDED}.", "missing")]
    drawn = [
        Bar(
            one.artifact,
            float(found),
            f"{found} of {one.planned_int8_products}",
            "good" if found >= one.planned_int8_products else "bad",
        )
        for one in report.int8_products[:_DRAWN]
        if (found := one.found_int8_products) is not None
    ]
    table = make_table("Products in INT8", PRODUCT_HEADINGS, product_rows(report), limits)
    if not drawn:
        return [table]
    most = max(one.planned_int8_products for one in report.int8_products)
    scale = make_scale([0.0, float(most), *(bar.value for bar in drawn)], zero=True)
    bottom = len(drawn) * ROW
    picture = Picture(
        anchor="products",
        title="Products that run in INT8, found of planned",
        description="; ".join(f"{bar.name}: {bar.shown}" for bar in drawn),
        height=bottom + 35,
        shapes=(*axis(scale, bottom, 0, "products in INT8"), *bars(drawn, scale)),
        legend=(("good", "all that were planned"), ("bad", "fewer than planned")),
    )
    return [Figure(picture, table)]


def gpu_section(report: Report, engines: Sequence[EngineKernels], limits: Limits) -> Section:
    """Engines with their kernels and bytes; boards side by side, with power and energy.

    Args:
        report: Report of a build or a board.
        engines: Kernels of its engines, from the files beside it.
        limits: Largest amounts to show.
    """
    blocks = _engines(report, limits)
    if engines or not isinstance(blocks[0], Words):  # without engines that is told once
        blocks += kernel_blocks(engines, limits)
    blocks += _boards(report, limits)
    source = "report.json: stages, board, boards; *.engine.json"
    return Section("gpu", "GPU and boards", tuple(blocks), source)


def _engines(report: Report, limits: Limits) -> list[Block]:
    rows = [
        (
            f"{one.target or MISSING} {one.precision or MISSING}",
            str(one.batch or "dynamic"),
            engine.builder,
            ", ".join(engine.compute_capabilities),
            f"{engine.kernels:,}",
            f"{engine.int8_kernels:,}",
            *(
                number(None if moved is None else moved / 1e6, 1)
                for moved in (engine.activation_bytes, engine.weight_bytes)
            ),
        )
        for stage in report.stages
        for one in stage.variants
        if (engine := one.engine) is not None
    ]
    if not rows:
        reason = report.stage("engine").reason or NOT_RECORDED
        return [Words(f"Engines and their kernels: {reason}.", "missing")]
    headings = (
        *("engine", "batch", "builder", "compute capabilities", "kernels", "in INT8"),
        *("activations moved, MB", "weights read, MB"),
    )
    return [make_table("Engines", headings, rows, limits, folded=False)]


def _boards(report: Report, limits: Limits) -> list[Block]:
    blocks: list[Block] = []
    if report.boards:
        cells = (board_cells(run) for run in report.boards)
        blocks.append(
            make_table("Boards side by side", BOARD_HEADINGS, cells, limits, folded=False)
        )
        reasons = [
            f"{run.board.name}: {one}" for run in report.boards for one in run.verdict.reasons
        ]
        blocks.append(Bullets(tuple(reasons[: limits.lines])))
    named = [(run.board.name, run.board) for run in report.boards]
    named += [(report.board.name, report.board)] if report.board else []
    if not named:
        return [Words("No board was measured.", "missing")]
    rows = [
        (
            name,
            one.artifact,
            str(one.batch),
            number(one.mean_w, 2),
            number(one.idle_w, 2),
            number(one.energy_mj_per_image, 2),
            count(one.images),
            one.power_scope,
            one.power_source,
        )
        for name, board in named
        for one in board.energy
    ]
    if rows:
        headings = ("board", "artifact", "batch", "W", "idle W", "mJ/image", "images", "rails",
                    "source")  # fmt: skip
        blocks.append(make_table("Power and energy", headings, rows, limits, folded=False))
    for name, board in named[: limits.lines]:
        if not board.energy:
            why = board.energy_reason or NOT_RECORDED
            blocks.append(Words(f"{name}: energy was not measured: {why}.", "missing"))
    left = [(name, one.artifact, one.reason) for name, board in named for one in board.left_out]
    if left:
        blocks.append(make_table("Left out on a board", ("board", "artifact", "why"), left, limits))
    return blocks
