"""Parts of a report, as a verdict reads them."""

from __future__ import annotations

from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.report.measured import AccuracyReport, BenchmarkReport
from support.example_report import ACCURACY, BENCHMARK


def accuracy(drop_pp=0.2, interval=(-0.1, 0.5), **changes):
    fields = {"top1_drop_pp": drop_pp, "top1_drop_ci95_pp": interval, **changes}
    return AccuracyReport.model_validate({**ACCURACY, **fields})


def counted(lost, won, n):
    """An accuracy with the figures that its counts give."""
    low, high = paired_difference_interval(lost, won, n)
    drop = {"top1_drop_pp": 100 * (lost - won) / n, "top1_drop_ci95_pp": (100 * low, 100 * high)}
    return accuracy(n_images=n, lost=lost, won=won, **drop)


def benchmark(speedup=1.2, interval=(1.1, 1.3), **changes):
    fields = {"speedup_vs_best_float": speedup, "speedup_vs_best_float_ci95": interval, **changes}
    return BenchmarkReport.model_validate({**BENCHMARK, **fields})


def by_class(*counts):
    """An accuracy where the mean holds; of each class: images, lost, won."""
    classes = {
        f"c{place}": {"n": n, "top1_pct": 90.0, "lost": lost, "won": won}
        for place, (n, lost, won) in enumerate(counts)
    }
    return accuracy(int8={"top1_pct": 90.0, "top5_pct": None, "per_class": classes})
