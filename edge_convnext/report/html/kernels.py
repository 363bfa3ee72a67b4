"""Kernels and bytes of engines by part of the network, from the JSON beside each engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.report.html.parts import NOT_RECORDED, Figure, Picture, Words, make_table
from edge_convnext.report.html.picture import ROW, Bar, axis, bars, make_scale

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.parts import Block, Limits

__all__ = ["EngineKernels", "PartKernels", "kernel_blocks", "read_engines"]

_SUFFIX = ".engine.json"
_DRAWN = 12
_ENGINES = 4  # with a picture each


@dataclass(frozen=True)
class PartKernels:
    """The kernels of one part."""

    part: str
    kernels: int
    int8_kernels: int
    activation_bytes: int  # read and written
    weight_bytes: int


@dataclass(frozen=True)
class EngineKernels:
    """One engine, its parts in the order in which they are launched first."""

    name: str
    parts: tuple[PartKernels, ...]


def read_engines(report: Report, folder: Path) -> tuple[EngineKernels, ...]:
    """What the engines that a report names launch; those whose table can't be read are left out.

    Args:
        report: Report of a build or a board.
        folder: Folder with the files beside it.
    """
    names = [file.path for file in report.outputs if file.path.endswith(_SUFFIX)]
    found = []
    for name in names:
        if "/" in name or "\\" in name:
            continue
        try:
            rows = json.loads(read_text_bounded(folder / name))["kernel_table"]
            found.append(EngineKernels(name.removesuffix(".json"), _by_part(rows)))
        except (
            OSError,
            EdgeConvNextError,
            ValueError,
            LookupError,
            TypeError,
            ArithmeticError,
            RecursionError,
        ):
            continue
    return tuple(one for one in found if one.parts)


def _by_part(rows: Sequence[dict[str, Any]]) -> tuple[PartKernels, ...]:
    sums: dict[str, list[int]] = {}
    for row in rows:
        moved = [int(row[name]) for name in ("activation_bytes", "weight_bytes")]
        if min(moved) < 0 or max(moved) > 1 << 50:
            raise ValueError("no sizes in bytes")
        counts = (1, int(bool(row["multiplies_int8"])), *moved)
        before = sums.setdefault(str(row["part"]), [0, 0, 0, 0])
        sums[str(row["part"])] = [a + b for a, b in zip(before, counts, strict=True)]
    return tuple(PartKernels(part, *counts) for part, counts in sums.items())


def kernel_blocks(engines: Sequence[EngineKernels], limits: Limits) -> list[Block]:
    """For each engine the bytes that its parts move, most first, and the table of all."""
    if not engines:
        return [Words(f"Kernels and bytes by part of the network: {NOT_RECORDED}.", "missing")]
    blocks: list[Block] = []
    for place, one in enumerate(engines[:_ENGINES], 1):
        ordered = sorted(one.parts, key=lambda part: -part.activation_bytes)
        headings = ("part", "kernels", "in INT8", "activations moved, MB", "weights read, MB")
        rows = (
            (
                part.part,
                f"{part.kernels:,}",
                f"{part.int8_kernels:,}",
                f"{part.activation_bytes / 1e6:.2f}",
                f"{part.weight_bytes / 1e6:.2f}",
            )
            for part in ordered
        )
        table = make_table(f"Kernels of {one.name} by part", headings, rows, limits)
        blocks.append(Figure(_picture(f"kernels-{place}", one.name, ordered[:_DRAWN]), table))
    if len(engines) > _ENGINES:
        blocks.append(Words(f"{len(engines) - _ENGINES} more engines have their JSON beside them."))
    return blocks


def _picture(anchor: str, name: str, parts: Sequence[PartKernels]) -> Picture:
    drawn = [
        Bar(
            f"{part.part}, {part.kernels} kernel{'' if part.kernels == 1 else 's'}",
            part.activation_bytes / 1e6,
            f"{part.activation_bytes / 1e6:.2f} MB",
            "good" if part.int8_kernels else "plain",
        )
        for part in parts
    ]
    scale = make_scale([bar.value for bar in drawn], zero=True)
    bottom = len(drawn) * ROW
    return Picture(
        anchor=anchor,
        title=f"Activations that {name} moves by part, MB of one inference",
        description="; ".join(f"{bar.name}: {bar.shown}" for bar in drawn),
        height=bottom + 35,
        shapes=(*axis(scale, bottom, 0, "MB read and written"), *bars(drawn, scale)),
        legend=(("good", "with products in INT8"), ("plain", "without")),
    )
