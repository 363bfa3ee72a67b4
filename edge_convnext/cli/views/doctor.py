"""Print the examination of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from edge_convnext.cli.views.tables import grid, printer
from edge_convnext.report.summary import MISSING

if TYPE_CHECKING:
    from rich.console import Console

    from edge_convnext.devices.catalog.installed import Stack
    from edge_convnext.devices.catalog.this_board import Board
    from edge_convnext.devices.catalog.this_gpu import GpuTarget
    from edge_convnext.devices.doctor import Examination
    from edge_convnext.devices.jetson.now import BoardNow

__all__ = ["print_examination"]


def print_examination(examination: Examination, console: Console) -> None:
    """Print what `edge-convnext doctor` found."""
    show = printer(console)
    show(Text("This machine", style="bold"))
    show(grid(_machine_rows(examination), "ll"))
    show(Text("\nWhat works here", style="bold"))
    works = [
        (ability.kind, ability.name, "yes" if ability.works else "no", ability.reason or "")
        for ability in examination.abilities
    ]
    show(grid(works, "llll"))
    show(Text("\nPackages", style="bold"))
    packages = [
        (
            package.name,
            package.version or ("not whole" if package.damage else "not installed"),
            "" if package.version else package.damage or package.install,
        )
        for package in examination.packages
    ]
    show(grid(packages, "lll"))


def _quota(examination: Examination) -> str:
    quota = examination.cpu_quota
    return "" if quota is None else f", a quota grants the time of {quota:g}"


def _machine_rows(examination: Examination) -> list[tuple[str, str]]:
    memory = examination.memory_bytes
    rows = [
        ("edge-convnext", examination.edge_convnext),
        ("python", examination.python),
        ("platform", examination.platform),
        ("cpu", examination.cpu_model),
        ("flags", " ".join(examination.cpu_flags) or MISSING),
        *_int8_rows(examination),
        ("cores", f"{examination.cores} usable{_quota(examination)}"),
        ("memory", f"{memory / (1 << 30):.1f} GiB" if memory else MISSING),
    ]
    for gpu in examination.gpus:
        facts = (f"compute capability {gpu.compute_capability}", f"driver {gpu.driver}")
        rows.append(("gpu", ", ".join((gpu.name, *facts))))
    for target in examination.gpu_targets:
        rows += _target_rows(target)
    if not examination.gpus:
        rows.append(("gpu", "no NVIDIA GPU found"))
    if examination.jetson:
        rows.append(("jetson", examination.jetson))
    if examination.board:
        rows += _board_rows(examination.board, examination.board_now)
    return [*rows, ("cache", examination.cache_folder)]


def _int8_rows(examination: Examination) -> list[tuple[str, str]]:
    """Rows on what each feature means for INT8."""
    rows = [("int8", f"{name}: {meaning}") for name, meaning in examination.int8]
    warning = examination.int8_warning
    return [*rows, *([("warning", warning)] if warning else [])]


def _board_rows(board: Board, now: BoardNow | None) -> list[tuple[str, str]]:
    module = board.title or "not in the table"
    rows = [("module", f"{module} ({board.part})" if board.part else module)]
    if board.jetpack:
        rows.append(("jetpack", board.jetpack))
    if board.expected:
        rows.append(("expected", _stack_text(board.expected)))
    rows += [("found", _stack_text(board.found)), ("power mode", board.power_mode or "unknown")]
    rows += now.lines if now else ()
    return [*rows, *_target_rows(board)]


def _target_rows(target: Board | GpuTarget) -> list[tuple[str, str]]:
    """Rows on what can be delivered to this device, and the precision to try first."""
    rows = []
    if way := target.delivery:
        rows.append(("delivery", way.text))
    if target.advice:
        rows.append(("precision", target.advice.text))
    return [*rows, *(("note", note) for note in target.notes)]


def _stack_text(stack: Stack) -> str:
    versions = {"CUDA": stack.cuda, "TensorRT": stack.tensorrt, "Python": stack.python}
    return ", ".join(f"{name} {found or 'not found'}" for name, found in versions.items())
