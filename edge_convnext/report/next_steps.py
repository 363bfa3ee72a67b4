"""What to do after a build or a bench: sentences for the terminal and both reports."""

from __future__ import annotations

import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING

from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.report.shipped import shipped_file

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["next_steps"]

_WAIT_MIN, _MOST_WAIT_MIN = 10.0, 1440.0  # of the example, and that a build takes


def next_steps(report: Report) -> list[str]:
    """What would settle the verdict, then what the result is good for, the most pressing first."""
    return [*_to_settle(report), *_to_keep(report), *_to_use(report)]


def _to_settle(report: Report) -> list[str]:
    """What to measure again or more of, as far as the report knows."""
    verdict = report.verdict
    steps = []
    if verdict.speed_skewed:
        again = "bench" if report.board else "build"
        steps.append(
            f"Time it on a quiet machine (other programs below {QUIET_PCT:.0f} % of the CPU): "
            f"repeat `{again}`"
            + ("." if report.board else f" with {_wait(report)}, which waits for one.")
        )
    elif verdict.rounds_to_show:
        steps.append(f"To settle the speed, repeat with --rounds {verdict.rounds_to_show}.")
    if verdict.images_to_show:
        have = f" (now {report.accuracy.n_images:,})" if report.accuracy else ""
        steps.append(
            f"To settle the accuracy, evaluate about {verdict.images_to_show:,} images{have}."
        )
    if report.accuracy is None and report.board is None:
        steps.append("To measure accuracy, pass labelled images with --data.")
    if report.benchmark is not None and report.benchmark.forms_not_raced:
        steps.append("To race every form before a release, build without --quick.")
    return steps


def _wait(report: Report) -> str:
    """The flag that waits for a quiet machine; twice the minutes that were not enough."""
    race = report.recipe.get("benchmark")
    waited = race.get("wait_quiet_min") if isinstance(race, dict) else None
    waited = waited if isinstance(waited, int | float) else 0.0
    return f"--wait-quiet {min(max(_WAIT_MIN, 2 * waited), _MOST_WAIT_MIN):g}"


def _to_keep(report: Report) -> list[str]:
    """What may save a precision that loses too much."""
    verdict = report.verdict
    if report.board is not None or report.recipe.get("precision") != "int8":
        return []
    steps = []
    if verdict.accuracy == "not" and not report.recoveries:
        steps.append("To win accuracy back, build with --recover, which fine-tunes INT8.")
    if verdict.accuracy == "not" or verdict.classes_past:
        folder = shlex.quote(report.folder)
        steps.append(f"To see which operations cost it: edge-convnext sensitivity {folder}")
    return steps


def _to_use(report: Report) -> list[str]:
    """Commands that take what ships."""
    verdict, folder = report.verdict, PurePath(report.folder)
    if report.board is not None or verdict.ship == "undecided":
        return []
    model = shipped_file(report)
    if model is None:
        return []
    return [
        f"To use it: edge-convnext predict {shlex.quote(str(folder / model))} IMAGE…",
        f"To measure it on a board: edge-convnext bundle {shlex.quote(report.folder)}",
    ]
