"""`edge-convnext gate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_convnext.cli.console import Terminal, note, print_json
from edge_convnext.cli.gate_files import (
    GateFiles,
    attempt,
    save_baseline,
    tell_unwritten,
    why_unwritten,
)
from edge_convnext.cli.signature import command, flag_of, in_panel

if TYPE_CHECKING:
    from edge_convnext.report.compare.compare import Comparison
    from edge_convnext.report.gate.baseline import Baseline
    from edge_convnext.report.gate.decide import GateResult
    from edge_convnext.report.gate.evidence import Evidence
    from edge_convnext.report.gate.explain import Explanation
    from edge_convnext.report.gate.limits import Limits

__all__ = ["gate"]

_USUAL_DROP_PP = 1.0
_EXPLAIN = typer.Option(
    "--explain",
    help="Show the classes and images that flipped, and what differs from the baseline.",
)


@dataclass(frozen=True)
class Asked:
    """The flags of the limits; except for the preset, the fields are those of `Limits`."""

    max_drop_pp: Annotated[
        float | None,
        typer.Option(
            "--max-drop",
            help="Largest drop of top-1 in pp, against FP32 and the baseline. Default: 1.0.",
        ),
    ] = None
    preset: Annotated[
        Literal["mlperf-99", "mlperf-99.9"] | None,
        typer.Option(help="Largest drop as a share of FP32's top-1, in place of --max-drop."),
    ] = None
    min_top1_pct: Annotated[
        float | None,
        typer.Option("--min-top1", help="Smallest share of images classed right, in percent."),
    ] = None
    min_agreement_pct: Annotated[
        float | None,
        typer.Option(
            "--min-agreement", help="Smallest share of images with FP32's class, in percent."
        ),
    ] = None
    max_class_drop_pp: Annotated[
        float | None,
        typer.Option(
            "--max-class-drop",
            help="Largest drop of any class in pp, against FP32 and the baseline.",
        ),
    ] = None
    min_speedup: Annotated[
        float | None,
        typer.Option(help="Smallest speed-up over the best float, raced in the same run."),
    ] = None
    max_latency_ratio: Annotated[
        float | None,
        typer.Option(
            help="Largest ratio of the latency to the baseline's, each relative to raw FP32 in its "
            "own run."
        ),
    ] = None
    max_size_mb: Annotated[
        float | None, typer.Option(help="Largest size of the gated model, in MB.")
    ] = None

    def refuse_both(self) -> None:
        """Refuse two accuracy budgets.

        Raises:
            BadParameter: Both a preset and `--max-drop` are stated.
        """
        if self.preset is not None and self.max_drop_pp is not None:
            raise typer.BadParameter("--preset and --max-drop both state the budget; pass one")

    def limits(self) -> Limits:
        """The flags as the library's limits.

        Raises:
            RecipeError: A limit is out of its range; the message names its flag.
        """
        from edge_convnext.report.gate.limits import Limits

        stated = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "preset"}
        if self.preset is not None:
            return Limits.of_preset(self.preset, **stated)
        if self.max_drop_pp is None:
            stated["max_drop_pp"] = _USUAL_DROP_PP
        return Limits(**stated)


@command
def gate(
    *,
    report: Annotated[
        Path, typer.Argument(help="Report to judge: report.json, or the folder of a build.")
    ],
    baseline: Annotated[
        Path | None,
        typer.Option(help="Earlier build to compare with: a file that --save-baseline wrote."),
    ] = None,
    asked: Annotated[Asked, in_panel("Limits")],
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict",
            help="Fail also if a limit is inconclusive. On if the variable CI is true.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save-baseline", help="Write this build as a baseline to commit, if it passes."
        ),
    ] = None,
    explain: Annotated[bool, _EXPLAIN] = False,
    files: Annotated[GateFiles, in_panel("For CI")],
    terminal: Terminal,
) -> None:
    """Decide whether a build may pass: exit code 0, or 1 if a limit is not kept.

    The files must be those the report was written about. A limit passes or fails when the 95 %
    interval lies on one side of it, and is inconclusive when it straddles it.
    """
    from edge_convnext.build.apart import require_apart
    from edge_convnext.report.gate.baseline import read_baseline
    from edge_convnext.report.gate.decide import is_strict, judge
    from edge_convnext.report.gate.evidence import read_evidence
    from edge_convnext.report.gate.explain import explain as find_flips
    from edge_convnext.report.gate.outputs import to_junit, to_markdown

    asked.refuse_both()
    require_apart((files.junit, files.markdown, save), [report], make_folder=True)
    # A new baseline may take the place of the one before.
    require_apart((files.junit, files.markdown), [baseline] if baseline else [], make_folder=True)
    sure = is_strict(strict)
    with files.refusals_written(terminal.json):
        evidence = read_evidence(report)
        earlier = read_baseline(baseline) if baseline else None
        with _flags_named():
            result = judge(evidence, asked.limits(), earlier)
    flips = find_flips(evidence, earlier) if explain else None
    beside = _beside(report, baseline, earlier) if explain else None
    unwritten = files.write(to_junit(result, sure), _markdown(to_markdown(result, sure), beside))
    passed = result.passed(sure)
    saving = _save(save, passed, evidence, earlier) if save is not None else None
    if terminal.json:
        _print_json(result, sure, saving, flips, beside)
    else:
        _print_text(result, sure, files.on_github, flips, beside)
    if saving is not None:
        saving.tell(terminal)
        unwritten += saving.unwritten
    if not passed:  # goes before the error of a file that could not be written
        tell_unwritten(unwritten)
        raise typer.Exit(1)
    if unwritten:
        tell_unwritten(unwritten[1:])
        first = unwritten[0]
        raise OSError(first.errno, why_unwritten(first), first.filename) from first


def _beside(report: Path, path: Path | None, baseline: Baseline | None) -> Comparison | None:
    """The build beside the baseline, as `compare` shows them; None without a baseline."""
    if path is None or baseline is None:
        return None
    from edge_convnext.report.compare.compare import compare_sides
    from edge_convnext.report.compare.sides import read_side, side_of_baseline

    before = side_of_baseline(path, "the baseline", baseline)
    return compare_sides([before, read_side(report, "this build")])


def _markdown(of_gate: str, beside: Comparison | None) -> str:
    if beside is None:
        return of_gate
    from edge_convnext.report.compare.outputs import to_markdown

    return f"{of_gate}\n{to_markdown(beside)}"


@dataclass(frozen=True)
class _Saving:
    """The result of `--save-baseline`."""

    path: Path
    passed: bool  # a build that failed is not saved
    notes: list[str]
    unwritten: list[OSError]

    @property
    def written(self) -> bool:
        """Whether the file is there."""
        return self.passed and not self.unwritten

    def tell(self, terminal: Terminal) -> None:
        """Report the result on stderr; a failure with `--quiet` too."""
        if self.written:
            note(f"baseline written to {self.path}", terminal.silent)
            for text in self.notes:
                note(text, terminal.json)
        elif not self.passed:
            note(f"baseline not written to {self.path}: the gate failed", terminal.json)


def _save(path: Path, passed: bool, evidence: Evidence, earlier: Baseline | None) -> _Saving:
    notes: list[str] = []
    if not passed:
        return _Saving(path, passed, notes, [])
    unwritten = attempt(path, lambda: notes.extend(save_baseline(evidence, earlier, path)))
    return _Saving(path, passed, notes, unwritten)


@contextmanager
def _flags_named() -> Iterator[None]:
    """In this block, an error of a limit names the flag that stated it."""
    from edge_convnext.core.errors import RecipeError

    try:
        yield
    except RecipeError as error:
        name, _, rest = str(error).partition(" ")
        known = name in (one.name for one in fields(Asked))
        raise RecipeError(f"{flag_of(Asked, name) if known else name} {rest}") from error


def _print_json(
    result: GateResult,
    sure: bool,
    saving: _Saving | None,
    flips: Explanation | None,
    beside: Comparison | None,
) -> None:
    from edge_convnext.report.gate.outputs import to_json

    shown = to_json(result, sure)
    if saving is not None:
        shown["baseline"] = {"path": str(saving.path), "written": saving.written}
    if flips is not None:
        shown["flips"] = asdict(flips)
    if beside is not None:
        from edge_convnext.report.compare.outputs import to_json as comparison_json

        shown["comparison"] = comparison_json(beside)
    print_json(shown)


def _print_text(
    result: GateResult,
    sure: bool,
    on_github: bool,
    flips: Explanation | None,
    beside: Comparison | None,
) -> None:
    from edge_convnext.cli.views.flips import flip_lines
    from edge_convnext.report.gate.outputs import to_annotations, to_text

    typer.echo(to_text(result, sure))
    if on_github:
        typer.echo(to_annotations(result, sure), nl=False)
    if beside is not None:
        from rich.console import Console

        from edge_convnext.cli.views.comparison import print_comparison

        typer.echo()
        print_comparison(beside, Console())
    if flips is not None:
        typer.echo("\n".join(flip_lines(flips)))
