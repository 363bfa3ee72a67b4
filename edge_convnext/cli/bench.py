"""`edge-convnext bench`: time built models, or measure a bundle on this board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_convnext.cli.console import (
    JsonFlag,
    QuietFlag,
    ThreadsOption,
    VerboseFlag,
    check_runtime,
    note,
    print_json,
    progress,
    require_one,
)
from edge_convnext.cli.hosts import (
    REMOTE_COMMAND,
    HostOption,
    KeepFlag,
    RemoteCommandOption,
    SshOption,
    bench_over_ssh,
    remote_settings,
    require_host,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.devices.bench import BoardSettings

__all__ = ["bench"]

_BOARD = "Bundle"
_ROUNDS = 20


def bench(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Built .onnx models and engines, the first is the base; or one bundle, .ecb."
        ),
    ],
    runtime: Annotated[
        str,
        typer.Option(
            callback=check_runtime,
            metavar="NAME",
            help="Where to run .onnx models: onnxruntime, openvino, …; both: all installed ones.",
        ),
    ] = "both",
    batch: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=4096,
            help="Repeatable. Default: 1, 8, or what the engines run; of a bundle, the build's.",
        ),
    ] = None,
    threads: ThreadsOption = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="Interleaved rounds. Default: 20; of a bundle, the build's."
        ),
    ] = None,
    hint: Annotated[
        Literal["f32", "bf16"], typer.Option(help="What OpenVINO computes floats in.")
    ] = "f32",
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="The runtime's own time per layer instead, by part of the block, at batch 1 "
            "unless said. For analysis: the profiler slows the runtime.",
        ),
    ] = False,
    top: Annotated[int, typer.Option(min=0, help="Single layers that --profile shows.")] = 15,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the report and the file that ships. Default: board/NAME.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    require: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        typer.Option(
            help="Exit 1 unless the verdict is to ship this precision, shown.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    require_likely: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        typer.Option(
            help="The same, where the estimates are enough: shown or likely.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    lock_clocks: Annotated[
        bool,
        typer.Option(
            "--lock-clocks",
            help="Hold a Jetson's clocks at their maximum meanwhile, and restore them; needs root.",
            rich_help_panel=_BOARD,
        ),
    ] = False,
    host: HostOption = None,
    ssh_option: SshOption = None,
    remote_command: RemoteCommandOption = REMOTE_COMMAND,
    keep: KeepFlag = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Time built models, interleaved in one process; or measure a bundle on this board.

    A bundle (`edge-convnext bundle`) is measured in full: engines are built where there is a
    TensorRT, every graph is raced and evaluated, and a report says what ships here. With --host
    all of that happens on other machines, and their reports come back.
    """
    from edge_convnext.devices.bundle.manifest import SUFFIX

    require_one(require, require_likely)
    if any(model.suffix == SUFFIX for model in models):
        from edge_convnext.core.errors import RecipeError
        from edge_convnext.devices.bench import BoardSettings
        from edge_convnext.report.verdict import Requirement

        if len(models) != 1 or profile or hint != "f32":
            raise RecipeError(
                f"a bundle is measured alone: pass one {SUFFIX}, without --profile and --hint"
            )
        if host:
            chosen: list[tuple[str, object]] = [
                ("--runtime", None if runtime == "both" else runtime),
                *(("--batch", size) for size in batch or ()),
                ("--threads", threads),
                ("--rounds", rounds),
                ("--require", require),
                ("--require-likely", require_likely),
            ]
            words = [str(word) for pair in chosen if pair[1] is not None for word in pair]
            words += ["--lock-clocks"] if lock_clocks else []
            remote = remote_settings(ssh_option, remote_command, keep, words)
            bench_over_ssh(models[0], host, out, remote, json, quiet)
            return
        require_host(host, ssh_option, remote_command, keep)
        settings = BoardSettings(
            runtimes=None if runtime == "both" else (runtime,),
            batches=tuple(batch) if batch else None,
            threads=threads,
            rounds=rounds,
            lock_clocks=lock_clocks,
            require=Requirement.of(require, require_likely),
        )
        _bench_here(models[0], out, settings, json, quiet)
        return
    of_bundles: dict[str, object] = {
        "--host": host,
        "--ssh-option": ssh_option,
        "--remote-command": remote_command != REMOTE_COMMAND,
        "--keep": keep,
        "--out": out,
        "--require": require,
        "--require-likely": require_likely,
        "--lock-clocks": lock_clocks,
    }
    if unheard := [name for name, value in of_bundles.items() if value]:
        from edge_convnext.core.errors import RecipeError

        raise RecipeError(
            f"{unheard[0]} takes a bundle: make one with `edge-convnext bundle BUILD_DIR`"
        )
    if profile:
        _profile(models, runtime, batch or [1], threads, rounds or _ROUNDS, hint, top, json, quiet)
    else:
        _race(models, runtime, batch, threads, rounds or _ROUNDS, hint, json, quiet)


def _bench_here(
    bundle: Path, out: Path | None, settings: BoardSettings, json: bool, quiet: bool
) -> None:
    from edge_convnext.devices.bench import bench_bundle

    silent = quiet or json
    folder = out or Path("board") / bundle.stem
    with progress(silent) as track:
        report = bench_bundle(bundle, folder, settings, track, lambda text: note(text, silent))
    if json:
        print_json(report.model_dump(mode="json", by_alias=True))
    else:
        from rich.console import Console

        from edge_convnext.cli.views.report import print_report

        print_report(report, Console())
    if not report.verdict.passed:
        raise typer.Exit(1)


def _profile(
    models: Sequence[Path],
    runtime: str,
    batches: Sequence[int],
    threads: int | None,
    rounds: int,
    hint: Literal["f32", "bf16"],
    top: int,
    json: bool,
    quiet: bool,
) -> None:
    from edge_convnext.measure.built_models import profile_models

    with progress(quiet or json) as track:
        profiles = profile_models(models, runtime, batches, threads, rounds, hint, track)
    if json:
        print_json({"profiles": [one.to_json() for one in profiles]})
        return
    from rich.console import Console

    from edge_convnext.cli.views.report import print_profile

    for one in profiles:
        print_profile(one, top, Console())


def _race(
    models: Sequence[Path],
    runtime: str,
    batches: Sequence[int] | None,
    threads: int | None,
    rounds: int,
    hint: Literal["f32", "bf16"],
    json: bool,
    quiet: bool,
) -> None:
    from dataclasses import asdict

    from rich.console import Console

    from edge_convnext.core.recipe import BenchmarkConfig
    from edge_convnext.measure.built_models import race_models, usual_batches

    config = BenchmarkConfig(
        batches=tuple(batches or usual_batches(models)), threads=threads, rounds=rounds
    )
    with progress(quiet or json) as track:
        result = race_models(models, runtime, config, hint, track)
    if json:
        rows: list[dict[str, Any]] = [asdict(row) for row in result.rows]
        print_json({"rows": rows, "runtimes": [asdict(info) for info in result.runtimes]})
        return
    from edge_convnext.cli.views.report import print_rows

    print_rows(result.rows, Console())
