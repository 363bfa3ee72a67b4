"""Throughput, as a report states it: images per second with several requests in flight."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from edge_convnext.report.measured import CandidateReport
from edge_convnext.report.part import Interval, Part, Percent

__all__ = ["ThroughputReport", "ThroughputRow"]


class ThroughputRow(CandidateReport):
    """One candidate at one batch size, with one number of streams and requests."""

    threads: PositiveInt
    """Of all streams together."""
    batch: PositiveInt
    streams: PositiveInt
    """Inferences that are computed at once; they share the threads."""
    requests: PositiveInt
    """Inferences that are asked for at once."""
    images_per_s: NonNegativeFloat
    """In the median round."""
    latency_ms_p50: NonNegativeFloat
    """Of a request with a whole batch."""
    latency_ms: NonNegativeFloat | None
    """At the percentile that was asked for; null with too few samples."""
    samples: PositiveInt
    round_images_per_s: tuple[NonNegativeFloat, ...]
    """In the order of the rounds, which the chosen rows share."""
    chosen: bool
    """The best setting of its candidate: its figures are of rounds after the choice."""


class ThroughputReport(Part):
    """Throughput of one interleaved run; never cached."""

    percentile: Percent
    """Of the latency of a request."""
    limit_ms: PositiveFloat | None
    """For that latency; null: none was asked for."""
    rows: tuple[ThroughputRow, ...]
    vs_raw_fp32: NonNegativeFloat | None = None
    """Images per second of what `benchmark.chosen` names over raw FP32's, each at its best setting:
    the median over rounds. Null where one of the two keeps the limit with no setting."""
    vs_raw_fp32_ci95: Interval | None = None
    vs_best_float: NonNegativeFloat | None = None
    """The same over the float that `benchmark.best_float` names."""
    vs_best_float_ci95: Interval | None = None
    other_load_pct: Percent | None = None
    """CPU time that other programs took meanwhile."""
    throttled_periods: NonNegativeInt | None = None
    """Periods in which a CPU quota stopped the build meanwhile; null without a quota."""

    def best(self, artifact: str | None) -> ThroughputRow | None:
        """The chosen row of an artefact, if there is one."""
        return next((row for row in self.rows if row.chosen and row.artifact == artifact), None)
