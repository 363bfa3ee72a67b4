"""`edge-convnext bench`: time built models, or measure a bundle on this board."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_convnext.cli.bench_throughput import Served, serve
from edge_convnext.cli.bench_times import ExportedTimes
from edge_convnext.cli.console import Terminal, note, print_json, print_outcome, progress
from edge_convnext.cli.hosts import Remote, bench_over_ssh
from edge_convnext.cli.options import ThreadsOption
from edge_convnext.cli.requirement import Required
from edge_convnext.cli.signature import command, in_panel
from edge_convnext.cli.values import check_runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.sections import BenchmarkConfig
    from edge_convnext.devices.bench import BoardSettings

__all__ = ["bench"]

_BOARD = "Bundle"
_ROUNDS = 20


@dataclass(frozen=True)
class Race:
    """The flags of a timing: what runs, how often, and which output is shown."""

    runtime: Annotated[
        str,
        typer.Option(
            callback=check_runtime,
            metavar="NAME",
            help="Runtime for .onnx models, such as onnxruntime or openvino. both: all that are "
            "installed.",
        ),
    ] = "both"
    batch: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=4096,
            help="Batch size to time; repeatable. Default: 1 and 8, or what the engines run. For a "
            "bundle: those of the build.",
        ),
    ] = None
    threads: ThreadsOption = None
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Number of interleaved rounds; an interval needs 6. Default: 20. For a bundle: "
            "those of the build.",
        ),
    ] = None
    hint: Annotated[
        Literal["f32", "bf16", "f16"], typer.Option(help="Type that OpenVINO computes floats in.")
    ] = "f32"
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Show the runtime's own time per layer instead, by part of the block. For "
            "analysis: the profiler slows the runtime. Default batch: 1.",
        ),
    ] = False
    top: Annotated[
        int, typer.Option(min=0, help="Number of single layers that --profile shows.")
    ] = 15


@command
def bench(
    *,
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Built .onnx models and engines, compared with the first; or one bundle, .ecb."
        ),
    ],
    race: Race,
    times: ExportedTimes,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the report and the file that ships. Default: board/NAME.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    required: Annotated[Required, in_panel(_BOARD)],
    lock_clocks: Annotated[
        bool,
        typer.Option(
            "--lock-clocks",
            help="Hold a Jetson's clocks at maximum meanwhile, then restore them; needs root.",
            rich_help_panel=_BOARD,
        ),
    ] = False,
    remote: Annotated[Remote, in_panel("Over SSH")],
    served: Annotated[Served, in_panel("Throughput")],
    terminal: Terminal,
) -> None:
    """Time built models, interleaved in one process; or measure a bundle on this board.

    A bundle (`edge-convnext bundle`) is measured in full: engines are built if TensorRT is
    installed, every graph is raced and evaluated, and a report says which model to ship here. With
    --host, all of that happens on other machines, and their reports are copied back.
    """
    from edge_convnext.devices.bundle.manifest import SUFFIX

    required.refuse_both()
    served.refuse_stray()
    if any(model.suffix == SUFFIX for model in models):
        _refuse_beside_bundle(models, race, times, served)
        if remote.host:
            settings = remote.settings(_words(race, required, lock_clocks))
            bench_over_ssh(models[0], remote.host, out, settings, terminal.json, terminal.quiet)
            return
        remote.require_host()
        _bench_here(models[0], out, _board_settings(race, required, lock_clocks), terminal)
        return
    _refuse_without_bundle(remote, out, required, lock_clocks)
    times.refuse_without_race("--profile" if race.profile else served.asked and "--mode", models)
    if race.profile:
        _refuse_both_kinds(served)
        _profile(models, race, terminal)
    elif served.asked:
        config, track = _config(models, race), progress(terminal.silent)
        few = _tell_few_rounds(models, race, config, terminal)
        serve(models, race.runtime, config, race.hint, served, track, terminal, few)
    else:
        _race(models, race, times, terminal)


def _refuse_beside_bundle(
    models: Sequence[Path], race: Race, times: ExportedTimes, served: Served
) -> None:
    from edge_convnext.core.errors import RecipeError
    from edge_convnext.devices.bundle.manifest import SUFFIX

    other = race.profile or race.hint != "f32" or served.asked or times.export_times
    if len(models) != 1 or other:
        raise RecipeError(
            f"a bundle is measured alone: pass one {SUFFIX}, without --profile, --hint, --mode and "
            "--export-times"
        )


def _refuse_both_kinds(served: Served) -> None:
    from edge_convnext.core.errors import RecipeError

    if served.asked:
        raise RecipeError("--profile times layers one by one; leave out --mode throughput")


def _refuse_without_bundle(
    remote: Remote, out: Path | None, required: Required, lock_clocks: bool
) -> None:
    """Refuse flags that are only for a bundle, if models are timed."""
    from edge_convnext.core.errors import RecipeError

    stated = [
        *(["--host"] if remote.host else []),
        *remote.stated(),
        *(["--out"] if out else []),
        *required.words()[:1],
        *(["--lock-clocks"] if lock_clocks else []),
    ]
    if stated:
        raise RecipeError(
            f"{stated[0]} takes a bundle: make one with `edge-convnext bundle BUILD_DIR`"
        )


def _words(race: Race, required: Required, lock_clocks: bool) -> list[str]:
    """The flags as words of a command line, for `bench` on another machine."""
    chosen: list[tuple[str, object]] = [
        ("--runtime", None if race.runtime == "both" else race.runtime),
        *(("--batch", size) for size in race.batch or ()),
        ("--threads", race.threads),
        ("--rounds", race.rounds),
    ]
    words = [str(word) for pair in chosen if pair[1] is not None for word in pair]
    return [*words, *required.words(), *(["--lock-clocks"] if lock_clocks else [])]


def _board_settings(race: Race, required: Required, lock_clocks: bool) -> BoardSettings:
    from edge_convnext.devices.bench import BoardSettings

    return BoardSettings(
        runtimes=None if race.runtime == "both" else (race.runtime,),
        batches=tuple(race.batch) if race.batch else None,
        threads=race.threads,
        rounds=race.rounds,
        lock_clocks=lock_clocks,
        require=required.requirement(),
    )


def _bench_here(
    bundle: Path, out: Path | None, settings: BoardSettings, terminal: Terminal
) -> None:
    from edge_convnext.devices.bench import bench_bundle

    folder = out or Path("board") / bundle.stem
    with progress(terminal.silent) as track:
        report = bench_bundle(
            bundle, folder, settings, track, lambda text: note(text, terminal.silent)
        )
    print_outcome(report, terminal.json)
    if not report.verdict.passed:
        raise typer.Exit(1)


def _profile(models: Sequence[Path], race: Race, terminal: Terminal) -> None:
    from edge_convnext.measure.built_models import profile_models

    rounds = race.rounds or _ROUNDS
    with progress(terminal.silent) as track:
        profiles = profile_models(
            models, race.runtime, race.batch or [1], race.threads, rounds, race.hint, track
        )
    if terminal.json:
        print_json({"profiles": [one.to_json() for one in profiles]})
        return
    from rich.console import Console

    from edge_convnext.cli.views.report import print_profile

    for one in profiles:
        print_profile(one, race.top, Console())


def _config(models: Sequence[Path], race: Race) -> BenchmarkConfig:
    from edge_convnext.core.sections import BenchmarkConfig
    from edge_convnext.measure.model_batches import usual_batches

    return BenchmarkConfig(
        batches=tuple(race.batch or usual_batches(models)),
        threads=race.threads,
        rounds=race.rounds or _ROUNDS,
    )


def _tell_few_rounds(
    models: Sequence[Path], race: Race, config: BenchmarkConfig, terminal: Terminal
) -> list[str]:
    """Say before the timings that so few rounds compare nothing; empty where they do."""
    from edge_convnext.core.bounds import why_no_interval

    alone = len(models) == 1 and race.runtime != "both"
    few = None if alone else why_no_interval(config.rounds)
    if few is not None:
        note(few, terminal.silent)
    return [] if few is None else [few]


def _race(models: Sequence[Path], race: Race, times: ExportedTimes, terminal: Terminal) -> None:
    from edge_convnext.measure.built_models import race_models
    from edge_convnext.measure.speed import speedup
    from edge_convnext.measure.to_report import report_row, skewed_notes

    config = _config(models, race)
    few = _tell_few_rounds(models, race, config, terminal)
    with progress(terminal.silent) as track:
        result = race_models(models, race.runtime, config, race.hint, track)
    times.write(result)
    notes = skewed_notes(result, "Repeat `bench` on a quiet machine.")
    if terminal.json:
        rows = [report_row(row, row.artifact).model_dump(mode="json") for row in result.rows]
        runtimes = [asdict(info) for info in result.runtimes]
        print_json({"rows": rows, "runtimes": runtimes, "notes": [*few, *notes]})
        return
    for one in notes:
        note(one, terminal.quiet)
    from rich.console import Console

    from edge_convnext.cli.views.report import print_rows

    first = result.rows[0].artifact
    ratios = {
        (row.artifact, row.batch): speedup(result, row.artifact, first, row.batch)
        for row in result.rows
        if row.artifact != first
    }
    print_rows(result, Console(), ratios)
