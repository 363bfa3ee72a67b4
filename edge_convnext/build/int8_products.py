"""How many products each INT8 candidate runs in INT8, in its runtime's own graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.file_kinds import is_tflite
from edge_convnext.core.step import Stage
from edge_convnext.graph.file import read_proto
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.to_report import candidate_fields
from edge_convnext.report.measured import Int8ProductsReport, MovedProduct
from edge_convnext.runtimes.int8_products import planned_products
from edge_convnext.runtimes.load import count_int8, find_runtime, package_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from edge_convnext.build.runner import Runner

__all__ = ["Counted", "count_products", "report_products"]

STAGE = Stage("int8-products", 3, folder="evaluate")


@dataclass(frozen=True)
class Counted:
    """Products of one candidate, as `runtimes.int8_products` counts them."""

    candidate: Candidate
    planned: int
    found: int | None  # None where the runtime does not tell
    reason: str | None  # why it does not
    missing: tuple[tuple[str, str], ...]  # node, and why it runs in float
    beyond: tuple[tuple[str, str], ...]  # node, and why it runs in INT8


def count_products(
    runner: Runner, candidates: Sequence[Candidate], machine: str
) -> tuple[Counted, ...]:
    """Count the products of each INT8 candidate, or look them up.

    Args:
        runner: Runner whose cache has the counts of equal graphs.
        candidates: Candidates of a build.
        machine: Fingerprint: another CPU has other kernels.
    """
    return tuple(
        _count(runner, one, machine) for one in candidates if one.model.precision == "int8"
    )


def _count(runner: Runner, one: Candidate, machine: str) -> Counted:
    batch, threads = min(runner.recipe.benchmark.batches), runner.recipe.benchmark.threads

    def make(_folder: Path) -> dict[str, Any]:
        counted = count_int8(one.runtime, one.model.path, one.options(batch, threads))
        if counted is None:
            reason = f"not run: {find_runtime(one.runtime).LABEL} does not tell what runs in INT8"
            return {"planned": _planned(one.model.path), "found": None, "reason": reason}
        return {
            "planned": len(counted.planned),
            "found": counted.found,
            "missing": [list(pair) for pair in counted.missing],
            "beyond": [list(pair) for pair in counted.beyond],
        }

    key = {
        "graph": one.digest,
        "runtime": one.runtime,
        "hint": str(one.hint),
        "settings": [list(pair) for pair in one.settings],
        "batch": batch,
        "machine": machine,
    }
    try:
        result = runner.run(STAGE.on(package_of(one.runtime)), make, key=key).result
    except EdgeConvNextError as error:  # not remembered: it may be the memory that was free
        return Counted(one, _planned(one.model.path), None, f"not run: {error}", (), ())
    missing, beyond = (
        tuple((name, why) for name, why in result.get(kind, ())) for kind in ("missing", "beyond")
    )
    return Counted(one, result["planned"], result["found"], result.get("reason"), missing, beyond)


def _planned(path: Path) -> int:
    from edge_convnext.graph.qdq import Wiring

    if is_tflite(path):  # what can't be loaded there can't be counted either
        return 0
    proto = read_proto(path)
    return len(planned_products(proto, Wiring(proto)))


def report_products(
    counted: Iterable[Counted], label: Callable[[Candidate], str]
) -> tuple[Int8ProductsReport, ...]:
    """Each count as the report states it.

    Args:
        counted: Counts from `count_products`.
        label: Name of a candidate in this report.
    """
    return tuple(
        Int8ProductsReport(
            **candidate_fields(one.candidate, label(one.candidate)),
            planned_int8_products=one.planned,
            found_int8_products=one.found,
            reason=one.reason,
            in_float=tuple(MovedProduct(node=name, reason=why) for name, why in one.missing),
            beyond_plan=tuple(MovedProduct(node=name, reason=why) for name, why in one.beyond),
        )
        for one in counted
    )
