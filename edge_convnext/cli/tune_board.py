"""`edge-convnext tune` on a board: the flags, the desk's side and the board's side."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_convnext.cli.console import Terminal, note, print_json, progress, show_read

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_convnext.cli.hosts import Remote
    from edge_convnext.core.recipe import Recipe

__all__ = ["OnBoard", "refuse_beside_search", "runs_on_board", "search_here", "tune_on_device"]

_ARM = frozenset({"aarch64", "arm64"})
Target = Literal["cpu", "arm-cpu", "tensorrt", "rtx"]


@dataclass(frozen=True)
class OnBoard:
    """The flags of a search that runs on a board."""

    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=10_000.0,
            help="Minutes of building engines and timing, in all; what was spent before counts. "
            "Evaluating the finalists comes on top. Default: 10, with engines 30; with --mode full "
            "no limit.",
        ),
    ] = None
    power_modes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODE",
            help="Power mode of a Jetson, by nvpmodel's number or name, in which the last race is "
            "repeated; repeatable, or 0,1,2. Needs root there. Afterwards the mode is as it was.",
        ),
    ] = None
    lock_clocks: Annotated[
        bool,
        typer.Option(
            "--lock-clocks",
            help="Hold a Jetson's clocks at maximum meanwhile, then restore them; needs root.",
        ),
    ] = False

    @property
    def modes(self) -> tuple[str, ...]:
        """The power modes that are listed."""
        listed = (one for text in self.power_modes or () for one in text.split(","))
        return tuple(dict.fromkeys(one.strip() for one in listed if one.strip()))

    def stated(self) -> list[str]:
        """The flags that are stated."""
        values = {
            "--minutes": self.minutes,
            "--power-modes": self.power_modes,
            "--lock-clocks": self.lock_clocks,
        }
        return [name for name, value in values.items() if value]


def runs_on_board(target: Target, board: OnBoard, remote: Remote) -> bool:
    """Whether graphs are raced on a board, or as on one: with the GPU, or in power modes.

    Raises:
        RecipeError: Flags of a board are stated where none is meant, or there are several hosts.
    """
    from edge_convnext.core.errors import RecipeError

    if remote.host and target == "rtx":
        raise RecipeError(
            "--target rtx needs no board, for it only models: with --host pass --target tensorrt, "
            "arm-cpu or cpu"
        )
    if len(remote.host or ()) > 1:
        raise RecipeError("tune searches on one board at a time: pass one --host")
    if target == "arm-cpu" and not remote.host and platform.machine().lower() not in _ARM:
        raise RecipeError(
            f"--target arm-cpu races on an Arm board, and this machine is {platform.machine()}: "
            "add --host user@board"
        )
    on_board = bool(remote.host) or target in ("arm-cpu", "tensorrt")
    if not on_board and (alone := board.stated()):
        raise RecipeError(f"{alone[0]} is about a board: add --host or --target tensorrt")
    return on_board


def tune_on_device(
    recipe: Recipe,
    target: Target,
    batches: Sequence[int] | None,
    gpu: tuple[str | None, str | None],
    full: bool,
    folder: Path,
    board: OnBoard,
    remote: Remote,
    terminal: Terminal,
) -> None:
    """Make graphs here, race them on the board, and print what won.

    Args:
        recipe: Recipe with what the command line states.
        target: Target, except `rtx`.
        batches: Images per inference, one size; None for the recipe's smallest.
        gpu: Device, or compute capability, that the cost model ranks for.
        full: True searches every plan.
        folder: Folder of the results.
        board: Time and power modes.
        remote: The board's address.
        terminal: Flags of the output.
    """
    from edge_convnext.build.tuning.board.tune import tune_board_to_files
    from edge_convnext.build.tuning.board.values import BoardAim
    from edge_convnext.build.tuning.cost_model import find_model_gpu

    assert target != "rtx"  # `runs_on_board` refused it
    aim = BoardAim(
        target,
        full,
        batches[0] if batches else None,
        remote.host[0] if remote.host else None,
        board.minutes,
        board.modes,
        find_model_gpu(*gpu) if target == "tensorrt" else None,
        remote.settings(()),
        board.lock_clocks,
    )
    silent = terminal.silent

    def say(text: str) -> None:
        note(text, silent)

    with progress(silent) as track:
        report = tune_board_to_files(recipe, aim, folder, track, say, on_read=show_read(silent))
    if terminal.json:
        print_json(report.to_json())
        return
    from rich.console import Console

    from edge_convnext.cli.views.board_tuning import print_board_search

    print_board_search(report.tuned.found, Console())
    for text in report.tuned.notes:
        note(text, terminal.quiet)
    typer.echo(f"\nBuild the winner: edge-convnext build --recipe {folder / 'tuned.yaml'}")


def refuse_beside_search(
    overrides: Collection[str], recipe: str | None, aimed: Sequence[str], remote: Remote
) -> None:
    """Refuse flags that a search has settled at the desk.

    Args:
        overrides: Fields of the recipe that are stated.
        recipe: Recipe that is stated.
        aimed: Flags of the aim that are stated.
        remote: Flags of another machine.

    Raises:
        RecipeError: One of them is stated.
    """
    from edge_convnext.core.errors import RecipeError

    own = (("--recipe", recipe), ("--host", remote.host))
    stated = [*(name for name, value in own if value), *aimed, *remote.stated()]
    if overrides or stated:
        first = next(iter(stated), None) or f"the flag of {next(iter(overrides))}"
        raise RecipeError(
            f"a search has its model, data and plans in it: leave out {first}; only --out, "
            "--minutes, --power-modes and --lock-clocks go with it"
        )


def search_here(search: Path, out: Path | None, board: OnBoard, terminal: Terminal) -> None:
    """On the board: run a search that was copied here."""
    from edge_convnext.devices.tuning import SearchSettings, search_bundle

    silent = terminal.silent
    settings = SearchSettings(board.minutes, board.modes, board.lock_clocks)
    folder = out or Path("board") / search.stem
    with progress(silent) as track:
        found = search_bundle(search, folder, settings, track, lambda text: note(text, silent))
    if terminal.json:
        print_json(found.to_json())
        return
    from rich.console import Console

    from edge_convnext.cli.views.board_tuning import print_board_search

    print_board_search(found, Console())
