"""Flags of the recipe's `benchmark:` and `evaluate:` sections, for `cli.options`."""

from __future__ import annotations

from edge_convnext.cli.flags import Flag
from edge_convnext.cli.panels import MEASURE

__all__ = ["MEASURE_ROWS"]

MEASURE_ROWS = (
    Flag(
        "benchmark.scope", "--quick/--no-quick", bool,
        "Measure what decides alone: planned graphs, smallest batch size. No other forms of the "
        "float, no memory, no graphs for a GPU unless --target names one.", MEASURE,
        to_recipe=lambda _, quick: "decision" if quick else "full",
    ),
    Flag(
        "benchmark.threads", "--threads", int, "Number of CPU threads. Default: all.", MEASURE,
        least=1, most=1024,
    ),
    Flag("benchmark.rounds", "--rounds", int, "Rounds of the race; a verdict needs 6.", MEASURE),
    Flag(
        "evaluate.max_drop_pp", "--max-drop", float,
        "Largest drop of top-1 that may ship, in percentage points.", MEASURE,
    ),
    Flag(
        "evaluate.allow_bad_model", "--allow-bad-model", bool,
        "Go on with a float model that is no better than guessing.", MEASURE,
    ),
    Flag(
        "evaluate.max_class_drop_pp", "--max-class-drop", float,
        "Largest drop of any class that may ship, in percentage points. Default: no limit; classes "
        "past --max-drop are named.", MEASURE,
    ),
    Flag(
        "benchmark.wait_quiet_min", "--wait-quiet", float,
        "Longest time to wait for a quiet machine before the race, and to race again after a busy "
        "one.", MEASURE,
        metavar="MINUTES",
    ),
    Flag("benchmark.throughput", "--throughput/--no-throughput", bool,
         "Report images per second with several requests in flight, too.", MEASURE),
)  # fmt: skip
