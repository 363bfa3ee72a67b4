"""Find the file of a build that is fastest in ONNX Runtime, which Triton uses for ONNX files.

The form that wins in one runtime may lose in another. For atto at 224 px in ONNX Runtime, INT8 in
OpenVINO's form took 3.4 ms, the float 2.6 ms, and INT8 in the form for ONNX Runtime 1.4 ms.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.bundle.graphs import published_hashes
from edge_convnext.runtimes.load import runtime_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.report.contract import Report
    from edge_convnext.report.measured import BenchmarkRow

__all__ = ["choose_for_onnxruntime"]

_RUNTIME = "onnxruntime"


def choose_for_onnxruntime(folder: Path, report: Report) -> tuple[Path, str] | None:
    """The file that ships in ONNX Runtime, and why; None where the report does not show it.

    Args:
        folder: Folder of the build.
        report: Report of the build. The shipped precision is taken in its form for ONNX
            Runtime, or the float where that is faster there.

    Raises:
        ArtifactError: The build has no such file in a form for ONNX Runtime.
    """
    rows = report.benchmark.rows if report.benchmark and report.board is None else ()
    rows = tuple(row for row in rows if row.runtime in runtime_names("graphs"))
    if not rows:
        return None
    ship = report.verdict.ship
    wanted = "int8" if ship == "undecided" else ship
    names = published_hashes(report)
    known = [row for row in rows if row.file in names]
    here = [row for row in known if row.runtime == _RUNTIME]
    if not any(row.precision == wanted for row in here):
        if elsewhere := [row for row in known if row.precision == wanted]:
            raise ArtifactError(_missing(folder, wanted, elsewhere, rows))
        return None  # the report does not show the form of its files
    best = min(
        (row for row in here if row.precision in (wanted, "fp32")),
        key=lambda row: (row.batch, row.latency_ms_p50),
    )
    return folder / best.file, _why(ship, wanted, best)


def _why(ship: str, wanted: str, best: BenchmarkRow) -> str:
    took = f"{best.latency_ms_p50:.3g} ms in ONNX Runtime, which Triton runs it in"
    if ship == "undecided":
        return f"the verdict is undecided: a guess, {took}; --model takes another"
    if best.precision != wanted:
        return (
            f"the verdict ships {wanted.upper()}, but in ONNX Runtime, which Triton runs it in, "
            f"{best.precision.upper()} is faster ({best.latency_ms_p50:.3g} ms); --model takes "
            "another"
        )
    return f"the verdict ships {wanted.upper()}: {took}"


def _missing(
    folder: Path, wanted: str, found: Sequence[BenchmarkRow], rows: Sequence[BenchmarkRow]
) -> str:
    raced = any(row.runtime == _RUNTIME and row.precision == wanted for row in rows)
    how = "build again" if raced else "build with --runtime auto, which tries both runtimes"
    return (
        f"{folder / found[0].file}: is the form for {found[0].runtime}, and the build has none "
        f"for ONNX Runtime, which Triton runs {wanted.upper()} in; {how}, or pass --model"
    )
