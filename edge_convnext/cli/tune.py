"""`edge-convnext tune`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_convnext.cli.console import Terminal, print_json, progress
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.hosts import Remote
from edge_convnext.cli.options import PREPROCESS, RecipeOption, flags, resolve
from edge_convnext.cli.signature import command, in_panel
from edge_convnext.cli.tune_board import (
    OnBoard,
    refuse_beside_search,
    runs_on_board,
    search_here,
    tune_on_device,
)

if TYPE_CHECKING:
    from edge_convnext.build.tuning.gpu_files import GpuTuneReport
    from edge_convnext.build.tuning.report import TuneReport
    from edge_convnext.core.recipe import Recipe

__all__ = ["tune"]

_Mode = Literal["quick", "full"]


@dataclass(frozen=True)
class Aim:
    """The flags of the aim: batch sizes, and the CPU here or a GPU elsewhere."""

    batch: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=4096, help="Batch size to tune for; several for a GPU. Default: 1."
        ),
    ] = None
    target: Annotated[
        Literal["cpu", "arm-cpu", "tensorrt", "rtx"],
        typer.Option(
            help="Target to tune for. arm-cpu: the CPU of an Arm board. tensorrt: the GPU of a "
            "board, with engines built and raced there. rtx: an NVIDIA GPU that need not be here; "
            "a model ranks its plans."
        ),
    ] = "cpu"
    device: Annotated[
        str | None,
        typer.Option(
            help="Device to tune for with --target rtx, of `edge-convnext targets`; with --target "
            "tensorrt, the one whose model orders the candidates. Default: orin-nano-8gb."
        ),
    ] = None
    compute_capability: Annotated[
        str | None,
        typer.Option(
            help="Compute capability to tune for with --target rtx, such as 8.7: the slowest "
            "device that has it."
        ),
    ] = None

    def refuse_mixed(self, runtime: str | None) -> None:
        """Refuse flags of the other target.

        Raises:
            RecipeError: A flag for the CPU is stated for a GPU, or the other way round.
        """
        from edge_convnext.core.errors import RecipeError

        gpu = self.target in ("rtx", "tensorrt")
        if gpu and runtime is not None:
            raise RecipeError(
                f"--runtime is only for --target cpu: leave it out with --target {self.target}"
            )
        if not gpu and (self.device or self.compute_capability):
            raise RecipeError(
                "--device and --compute-capability are only for a GPU: add --target rtx, or leave "
                "them out"
            )
        if self.target != "rtx" and len(self.batch or ()) > 1:
            where = "the CPU" if not gpu else "a board"
            raise RecipeError(f"tune races one batch size on {where}: pass one --batch")

    def stated(self) -> list[str]:
        """The flags of the aim that are stated."""
        values = {
            "--batch": self.batch,
            "--target": self.target != "cpu",
            "--device": self.device,
            "--compute-capability": self.compute_capability,
        }
        return [name for name, value in values.items() if value]


@command
def tune(
    *,
    search: Annotated[
        Path | None,
        typer.Argument(
            metavar="SEARCH",
            help="A search that `tune --host` copied to a board, to run there: an .ecb file.",
        ),
    ] = None,
    recipe: RecipeOption = None,
    inputs: Annotated[
        Overrides,
        flags(
            *("model", "load.weights", *PREPROCESS),
            *("data.source", "data.calibration", "data.labels"),
        ),
    ],
    mode: Annotated[
        _Mode,
        typer.Option(
            help="Extent of the search. quick: up to 3 minutes for atto on 2 cores. full: every "
            "plan, without a limit."
        ),
    ] = "quick",
    where: Annotated[Overrides, flags("runtime")],
    aim: Aim,
    board: Annotated[OnBoard, in_panel("On a board")],
    remote: Annotated[Remote, in_panel("Over SSH")],
    limits: Annotated[
        Overrides,
        flags("benchmark.threads", "evaluate.max_drop_pp", "evaluate.allow_bad_model"),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for tuned.yaml and tune.json. Default: tune/MODEL.")
    ] = None,
    terminal: Terminal,
) -> None:
    """Find the fastest accurate INT8 graph of each runtime here, by racing them.

    Of every network but ConvNeXt, the winner is refined by role and stage: a group of its products
    goes to float, or to INT8, where that is faster, or as fast and clearly nearer to the float
    model. Writes a recipe that builds the winners without a search. For a GPU, graphs are
    ranked by a model of the kernels they compile to, and nothing is timed. The first three get a
    recipe each: build these, and race the engines on the device.

    With --host or --target tensorrt, graphs are made here, and raced on the board as they ship.
    Engines are built there one at a time. A search that was interrupted goes on where it was.
    """
    from edge_convnext.build.tuning.files import check_tune_folder
    from edge_convnext.networks.family import family_of_model

    if search is not None:
        refuse_beside_search({**inputs, **where, **limits}, recipe, aim.stated(), remote)
        search_here(search, out, board, terminal)
        return
    aim.refuse_mixed(where.get("runtime"))
    remote.require_host()
    on_board = runs_on_board(aim.target, board, remote)
    chosen = resolve(recipe, {**inputs, **where, **limits})
    folder = out or Path("tune") / family_of_model(chosen.model).short_name(chosen.model)
    check_tune_folder(folder)
    if on_board:
        gpu, full = (aim.device, aim.compute_capability), mode == "full"
        tune_on_device(chosen, aim.target, aim.batch, gpu, full, folder, board, remote, terminal)
        return
    result = _search(chosen, aim, mode, folder, terminal.silent)
    if terminal.json:
        print_json(result.to_json())
        return
    _print(result)
    _print_next(folder, getattr(result, "recipes", ()))


def _search(
    recipe: Recipe, aim: Aim, mode: _Mode, folder: Path, silent: bool
) -> TuneReport | GpuTuneReport:
    batches = aim.batch or [1]
    if aim.target == "rtx":
        from edge_convnext.build.tuning.cost_model import find_model_gpu
        from edge_convnext.build.tuning.gpu_files import tune_gpu_to_files

        gpu = find_model_gpu(aim.device, aim.compute_capability)
        with progress(silent) as track:
            return tune_gpu_to_files(recipe, gpu, batches, folder, track, every=mode == "full")
    from edge_convnext.build.tuning.report import tune_to_files

    with progress(silent) as track:
        return tune_to_files(recipe, mode, folder, track, batch=batches[0])


def _print(result: TuneReport | GpuTuneReport) -> None:
    from rich.console import Console

    from edge_convnext.build.tuning.report import TuneReport
    from edge_convnext.cli.views.tuning import print_gpu_tuning, print_tuning

    if isinstance(result, TuneReport):
        print_tuning(result, Console())
    else:
        print_gpu_tuning(result, Console())


def _print_next(folder: Path, recipes: Sequence[str]) -> None:
    """The commands that build what was found."""
    line = "edge-convnext build --recipe"
    if not recipes:
        typer.echo(f"\nBuild the winners: {line} {folder / 'tuned.yaml'}")
        return
    from edge_convnext.build.tuning.gpu_files import candidate_out

    typer.echo("\nBuild the candidates, one recipe each:")
    for name in recipes:
        typer.echo(f"  {line} {folder / name} --out {candidate_out(folder, name)}")
    typer.echo(
        "Then race them on the device: `edge-convnext bench` with the engines of all of them."
    )
