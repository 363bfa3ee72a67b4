"""Every single latency of a race as a file, as trtexec's `--exportTimes` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.files import write_text_atomic

if TYPE_CHECKING:
    from edge_convnext.measure.timings import BenchmarkResult, Milliseconds

__all__ = ["TIMES_SCHEMA", "times_document", "write_times"]

TIMES_SCHEMA = "edge-convnext/times/1"
_DIGITS = 6  # of milliseconds: nanoseconds


def times_document(result: BenchmarkResult) -> dict[str, Any]:
    """All times in milliseconds, by round, in the order in which they were measured.

    Args:
        result: Timings, with all times of each row.
    """
    rows = [(row, result.turns[row.artifact, row.batch]) for row in result.rows]
    return {
        "schema": TIMES_SCHEMA,
        "unit": "ms",
        "rows": [
            {
                "artifact": row.artifact,
                "batch": row.batch,
                "threads": row.threads,
                "rounds": _rounded(turns.calls),
                **({"gpu_rounds": _rounded(turns.launches)} if turns.launches else {}),
            }
            for row, turns in rows
        ],
    }


def write_times(path: Path, result: BenchmarkResult) -> None:
    """Write all times as JSON; the file appears whole or not at all.

    Raises:
        OSError: The file can't be written.
    """
    write_text_atomic(path, json.dumps(times_document(result), allow_nan=False) + "\n")


def _rounded(rounds: Milliseconds) -> list[list[float]]:
    return [[round(one, _DIGITS) for one in each] for each in rounds]
