"""Compare the cost model with measurements: fit its parameters, and compare the rankings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.build.tuning.cost_model import Calibration, cost_kernels
from edge_convnext.build.tuning.trials import CANDIDATES
from edge_convnext.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_convnext.build.tuning.cost_model import Gpu
    from edge_convnext.runtimes.tensorrt.builder_log import Kernel

__all__ = ["Agreement", "compare_rankings", "fit"]

_FITTED = 3  # launch_us, bandwidth_share, peak_share
_STEPS = 25  # grid points of each share, over two decades; then again around the best
_SHARES = (0.01, 1.0)
_LAUNCH_US = (0.0, 20.0)


@dataclass(frozen=True)
class Agreement:
    """The agreement of a ranking by the model with the ranking by measured times."""

    plans: int
    spearman: float | None  # correlation of the ranks; None where one side has no order
    kendall: float | None  # tau-b: pairs in the same order minus pairs in the opposite order
    regret_pct: float  # how much longer the model's pick takes than the fastest plan
    raced_regret_pct: float  # how much longer the fastest of the model's first three takes
    picked: int  # index of the model's pick
    fastest: int  # index of the fastest plan


def fit(
    plans: Sequence[Sequence[Kernel]],
    measured_ms: Sequence[float],
    gpu: Gpu,
    start: Calibration | None = None,
) -> Calibration:
    """Find the launch time and the shares of bandwidth and peak that explain measurements.

    Minimizes the sum of squared relative errors: on a grid of both shares, with the best launch
    time for each, which is linear. One measured network says little about a share that none of
    its kernels waits for; the grid then settles on an arbitrary value.

    Args:
        plans: Kernels of each plan, in launch order.
        measured_ms: GPU time of one inference with each plan.
        gpu: GPU that they were measured on.
        start: Calibration whose cache values are kept; its other values are fitted.

    Raises:
        DataError: There are not more plans than parameters, or a time is not positive.
    """
    begin = start or Calibration()
    times_us = 1e3 * np.asarray(measured_ms, np.float64)
    if len(plans) != len(times_us) or len(plans) <= _FITTED:
        raise DataError(
            f"fitting {_FITTED} parameters needs more than {_FITTED} measured plans, one time "
            f"each; there are {len(plans)} and {len(times_us)}"
        )
    if not (np.isfinite(times_us).all() and (times_us > 0).all()):
        raise DataError("measured times are positive numbers of milliseconds")
    whole = replace(begin, launch_us=0.0, bandwidth_share=1.0, peak_share=1.0)
    parts = [_parts(kernels, gpu, whole) for kernels in plans]
    best = (np.inf, 0.0, 1.0, 1.0)
    grids = (np.geomspace(*_SHARES, _STEPS), np.geomspace(*_SHARES, _STEPS))
    for _ in range(2):
        for bandwidth in grids[0]:
            for peak in grids[1]:
                error, launch = _best_launch(parts, times_us, bandwidth, peak)
                best = min(best, (error, launch, float(bandwidth), float(peak)))
        grids = (_around(best[2]), _around(best[3]))
    _, launch_us, bandwidth_share, peak_share = best
    source = f"fitted on {len(plans)} measured plans"
    return replace(
        begin, launch_us=launch_us, bandwidth_share=bandwidth_share, peak_share=peak_share,
        source=source,
    )  # fmt: skip


def compare_rankings(modelled: Sequence[float], measured: Sequence[float]) -> Agreement:
    """Compare two orders of the same plans, by times in any unit.

    Raises:
        DataError: Fewer than two plans, or lists of different length.
    """
    if len(modelled) != len(measured) or len(modelled) < 2:
        raise DataError(f"can't compare {len(modelled)} modelled with {len(measured)} timed plans")
    ours, theirs = np.asarray(modelled, np.float64), np.asarray(measured, np.float64)
    picked, fastest = int(ours.argmin()), int(theirs.argmin())
    raced = theirs[np.argsort(ours, kind="stable")[:CANDIDATES]]
    upper = np.triu_indices(len(ours), 1)
    pairs = [np.sign(one[:, None] - one[None, :])[upper] for one in (ours, theirs)]
    return Agreement(
        plans=len(ours),
        spearman=_correlation(*(_ranks(one) - _ranks(one).mean() for one in (ours, theirs))),
        kendall=_correlation(*pairs),
        regret_pct=100 * float(theirs[picked] / theirs[fastest] - 1),
        raced_regret_pct=100 * float(raced.min() / theirs[fastest] - 1),
        picked=picked,
        fastest=fastest,
    )


def _parts(
    kernels: Sequence[Kernel], gpu: Gpu, whole: Calibration
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Microseconds for bytes and for operations of each kernel, at full speed."""
    costs = cost_kernels(kernels, gpu, whole)
    moved, computed = ([one.bytes_us for one in costs], [one.compute_us for one in costs])
    return np.asarray(moved), np.asarray(computed)


def _best_launch(
    parts: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    times_us: NDArray[np.float64],
    bandwidth: float,
    peak: float,
) -> tuple[float, float]:
    busy = np.array([np.maximum(moved / bandwidth, ops / peak).sum() for moved, ops in parts])
    count = np.array([len(moved) for moved, _ in parts]) / times_us
    rest = 1.0 - busy / times_us
    launch = float(np.clip((count @ rest) / (count @ count), *_LAUNCH_US))
    return float(np.square(rest - launch * count).sum()), launch


def _around(share: float) -> NDArray[np.float64]:
    step = (_SHARES[1] / _SHARES[0]) ** (1 / (_STEPS - 1))
    grid: NDArray[np.float64] = np.geomspace(share / step, min(share * step, 1.0), _STEPS)
    return grid


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equal values share the mean of their ranks."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks: NDArray[np.float64] = below + (equal - 1) / 2
    return ranks


def _correlation(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float | None:
    size = float(np.sqrt((ours @ ours) * (theirs @ theirs)))
    return float(ours @ theirs) / size if size else None
