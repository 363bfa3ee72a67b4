"""`edge-convnext bench --mode throughput`: images per second with several requests in flight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_convnext.cli.console import Terminal, note, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from edge_convnext.core.progress import Track
    from edge_convnext.core.sections import BenchmarkConfig
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["Served", "serve"]

_PERCENTILE = 90.0


@dataclass(frozen=True)
class Served:
    """The flags of `--mode throughput`."""

    mode: Annotated[
        Literal["latency", "throughput"],
        typer.Option(
            help="Measure. latency: one request after the other. throughput: images per second "
            "with several requests in flight, the streams of each model chosen for it."
        ),
    ] = "latency"
    streams: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=1024,
            help="Number of streams to try: inferences that share the threads; repeatable. "
            "Default: 1, 2, 4, … up to the threads.",
        ),
    ] = None
    requests: Annotated[
        int | None,
        typer.Option(
            min=1, max=4096, help="Number of requests in flight. Default: one for each stream."
        ),
    ] = None
    percentile: Annotated[
        float | None,
        typer.Option(
            min=50, max=99.9, help="Percentile of the latency that is shown and limited. Default: "
            "90.",
        ),
    ] = None  # fmt: skip
    latency_limit: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="MS",
            help="Latency that this percentile may reach: of the settings within it, the one with "
            "the most images per second is chosen. Default: no limit.",
        ),
    ] = None

    @property
    def asked(self) -> bool:
        """Whether throughput is asked for."""
        return self.mode == "throughput"

    def refuse_stray(self) -> None:
        """Refuse flags that have no effect on latency.

        Raises:
            BadParameter: One is stated without `--mode throughput`.
        """
        stated = {
            "--streams": self.streams,
            "--requests": self.requests,
            "--percentile": self.percentile,
            "--latency-limit": self.latency_limit,
        }
        stray = next((flag for flag, value in stated.items() if value), None)
        if stray and not self.asked:
            raise typer.BadParameter(f"{stray} is for --mode throughput")


def serve(
    models: Sequence[Path],
    runtime: str,
    config: BenchmarkConfig,
    hint: PrecisionHint,
    served: Served,
    bars: AbstractContextManager[Track],
    terminal: Terminal,
    told: Sequence[str] = (),
) -> None:
    """Measure and print the throughput of built models.

    Args:
        models: Models, compared with the first.
        runtime: Runtime of the graphs, or `both`.
        config: Batch sizes, threads, rounds.
        hint: Float type to compute in.
        served: Flags of the mode.
        bars: Progress of the rounds.
        terminal: Flags of the output.
        told: Notes that were printed before, for the JSON.
    """
    from edge_convnext.core.contention import why_skewed
    from edge_convnext.measure.built_throughput import serve_models
    from edge_convnext.measure.throughput import Wanted
    from edge_convnext.measure.throughput_to_report import report_throughput

    wanted = Wanted(
        served.percentile or _PERCENTILE,
        served.latency_limit,
        tuple(served.streams or ()),
        served.requests,
    )
    with bars as track:
        result = serve_models(models, runtime, config, hint, wanted, track)
    skewed = why_skewed(result.other_load_pct, result.throttled_periods)
    notes = [f"During the timings {skewed}. Repeat `bench` on a quiet machine."] if skewed else []
    if terminal.json:
        part = report_throughput(result, lambda one: one.name)
        print_json({**part.model_dump(mode="json"), "notes": [*told, *notes]})
        return
    for one in notes:
        note(one, terminal.quiet)
    from rich.console import Console

    from edge_convnext.cli.views.throughput import print_throughput

    print_throughput(result, Console())
