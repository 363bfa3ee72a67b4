"""`edge-convnext gate`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_convnext.cli.console import JsonFlag, QuietFlag, VerboseFlag, note, print_json

if TYPE_CHECKING:
    from edge_convnext.report.gate.baseline import Baseline
    from edge_convnext.report.gate.evidence import Evidence
    from edge_convnext.report.gate.limits import Limits

__all__ = ["gate"]

_FLAGS = {
    "max_drop_pp": "--max-drop",
    "min_top1_pct": "--min-top1",
    "min_agreement_pct": "--min-agreement",
    "max_class_drop_pp": "--max-class-drop",
    "min_speedup": "--min-speedup",
    "max_latency_ratio": "--max-latency-ratio",
    "max_size_mb": "--max-size-mb",
}
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # a file that GitHub shows on the run's page
_SHOWN_FLIPS = 20


def gate(
    report: Annotated[Path, typer.Argument(help="report.json, or the folder of a build.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Compare with an earlier build, from --save-baseline.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="Top-1 budget in pp, against FP32 and the baseline. [1.0]")
    ] = None,
    preset: Annotated[
        Literal["mlperf-99", "mlperf-99.9"] | None,
        typer.Option(help="Budget as a share of FP32's top-1, in place of --max-drop."),
    ] = None,
    min_top1: Annotated[
        float | None, typer.Option(help="Images classed right, in percent: a floor.")
    ] = None,
    min_agreement: Annotated[
        float | None, typer.Option(help="Images with FP32's class, in percent.")
    ] = None,
    max_class_drop: Annotated[
        float | None,
        typer.Option(help="Budget of every class, in pp, against FP32 and the baseline."),
    ] = None,
    min_speedup: Annotated[
        float | None, typer.Option(help="Over the best float, raced in the same run.")
    ] = None,
    max_latency_ratio: Annotated[
        float | None, typer.Option(help="To the baseline's, both against raw FP32 in their run.")
    ] = None,
    max_size_mb: Annotated[float | None, typer.Option(help="Of the gated model.")] = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict",
            help="Fail where the figures can't tell yet. On where the variable CI is true.",
        ),
    ] = None,
    save_baseline: Annotated[
        Path | None, typer.Option(help="Write this build as a baseline to commit, if it passes.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the classes and images that flipped.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown, for a comment.")] = None,
    annotations: Annotated[
        bool | None,
        typer.Option(
            "--annotations/--no-annotations",
            help="GitHub's annotations and step summary. On where GITHUB_ACTIONS is set.",
        ),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Decide whether a build may pass: exit code 0, or 1 where a limit is not kept.

    The files must be those the report was written about. A limit passes or fails when the 95 %
    interval lies on one side of it, and is inconclusive when it straddles it.
    """
    from edge_convnext.core.errors import EdgeConvNextError
    from edge_convnext.report.gate.baseline import read_baseline
    from edge_convnext.report.gate.decide import is_strict, judge
    from edge_convnext.report.gate.evidence import read_evidence
    from edge_convnext.report.gate.outputs import (
        refusal_annotation,
        refusal_junit,
        refusal_markdown,
        to_annotations,
        to_json,
        to_junit,
        to_markdown,
        to_text,
    )

    if preset is not None and max_drop is not None:
        raise typer.BadParameter("--preset and --max-drop both state the budget; pass one")
    stated = {
        "max_drop_pp": 1.0 if max_drop is None and preset is None else max_drop,
        "min_top1_pct": min_top1,
        "min_agreement_pct": min_agreement,
        "max_class_drop_pp": max_class_drop,
        "min_speedup": min_speedup,
        "max_latency_ratio": max_latency_ratio,
        "max_size_mb": max_size_mb,
    }
    sure = is_strict(strict)
    on_github = bool(os.environ.get("GITHUB_ACTIONS")) if annotations is None else annotations
    try:
        evidence = read_evidence(report)
        earlier = read_baseline(baseline) if baseline else None
        with _flags_named():
            result = judge(evidence, _limits(preset, stated), earlier)
    except EdgeConvNextError as error:  # CI shows files, not what stderr said
        reason = str(error)
        _tell_unwritten(
            _write_files(
                junit, refusal_junit(reason), markdown, refusal_markdown(reason), on_github
            )
        )
        if on_github and not json:
            typer.echo(refusal_annotation(reason), nl=False)
        raise
    as_markdown = to_markdown(result, sure)
    unwritten = _write_files(junit, to_junit(result, sure), markdown, as_markdown, on_github)
    passed = result.passed(sure)
    saved: list[str] = []
    unsaved: list[OSError] = []
    if save_baseline is not None and passed:  # what failed is nothing to compare the next with
        unsaved = _try(save_baseline, lambda: saved.extend(_save(evidence, earlier, save_baseline)))
    if json:
        fields = to_json(result, sure)
        if save_baseline is not None:
            fields["baseline"] = {"path": str(save_baseline), "written": passed and not unsaved}
        if explain:
            fields["flips"] = _flips(evidence, earlier)
        print_json(fields)
    else:
        typer.echo(to_text(result, sure))
        if on_github:
            typer.echo(to_annotations(result, sure), nl=False)
        if explain:
            _print_flips(evidence, earlier)
    if save_baseline is not None:
        if passed and not unsaved:
            note(f"baseline written to {save_baseline}", quiet or json)
            for text in saved:
                note(text, json)
        elif not passed:  # even under --quiet: what was asked for was not done
            note(f"baseline not written to {save_baseline}: the gate failed", json)
    unwritten += unsaved
    if not passed:  # a file that could not be written is told, and does not hide it
        _tell_unwritten(unwritten)
        raise typer.Exit(1)
    if unwritten:
        _tell_unwritten(unwritten[1:])
        first = unwritten[0]
        raise OSError(first.errno, _why_unwritten(first), first.filename) from first


@contextmanager
def _flags_named() -> Iterator[None]:
    """Inside, what is wrong with a limit is told by the flag that stated it."""
    from edge_convnext.core.errors import RecipeError

    try:
        yield
    except RecipeError as error:
        name, _, rest = str(error).partition(" ")
        raise RecipeError(f"{_FLAGS.get(name, name)} {rest}") from error


def _limits(
    preset: Literal["mlperf-99", "mlperf-99.9"] | None, stated: dict[str, float | None]
) -> Limits:
    from edge_convnext.report.gate.limits import Limits

    return Limits(**stated) if preset is None else Limits.of_preset(preset, **stated)


def _save(evidence: Evidence, earlier: Baseline | None, path: Path) -> list[str]:
    """Write the baseline, with the best proven build of the one before; what to say of it.

    Without `--baseline` the one before is what lies at the path, as far as it can be read.
    """
    from edge_convnext.core.errors import ArtifactError
    from edge_convnext.report.gate.baseline import (
        is_comparable,
        make_baseline,
        read_baseline,
        write_baseline,
    )
    from edge_convnext.report.gate.speed import why_no_baseline_of_speed

    told = []
    if earlier is None and path.exists():
        with suppress(ArtifactError):
            earlier = read_baseline(path)
        if earlier is None or not is_comparable(evidence, earlier):
            told.append("it starts anew: what was there can't be compared with this build")
    made = make_baseline(evidence, earlier)
    write_baseline(made, path)
    if busy := why_no_baseline_of_speed(evidence):
        told.append(f"no later speed can be compared with it: this build {busy}")
    if made.best_top1_pct is not None and made.best_top1_pct > made.top1_pct:
        told.append(
            f"it keeps the best proven build beside this one, with top-1 {made.best_top1_pct:.2f} "
            f"% where this one has {made.top1_pct:.2f} %; to give that up, delete the file first"
        )
    return told


def _write_files(
    junit: Path | None, as_junit: str, markdown: Path | None, as_markdown: str, on_github: bool
) -> list[OSError]:
    """Write what is asked for; what can't be written comes back, for after the decision."""
    from edge_convnext.core.files import write_text_atomic

    unwritten = []
    if junit is not None:
        unwritten += _try(junit, partial(write_text_atomic, junit, as_junit))
    if markdown is not None:
        unwritten += _try(markdown, partial(write_text_atomic, markdown, as_markdown))
    if on_github and (summary := os.environ.get(_STEP_SUMMARY)):
        unwritten += _try(Path(summary), partial(_append, Path(summary), as_markdown))
    return unwritten


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def _try(path: Path, write: Callable[[], None]) -> list[OSError]:
    try:
        write()
    except OSError as error:  # of a temporary file or a folder above; what was asked for is told
        return [OSError(error.errno, error.strerror, str(path))]
    return []


def _tell_unwritten(unwritten: list[OSError]) -> None:
    for error in unwritten:
        note(f"error: {error.filename}: {_why_unwritten(error)}", False)


def _why_unwritten(error: OSError) -> str:
    return f"can't be written ({error.strerror}); choose another place for it"


def _flips(evidence: Evidence, baseline: Baseline | None) -> dict[str, Any]:
    from dataclasses import asdict

    from edge_convnext.report.gate.explain import explain

    return asdict(explain(evidence, baseline))


def _print_flips(evidence: Evidence, baseline: Baseline | None) -> None:
    from edge_convnext.core.text import printable
    from edge_convnext.report.gate.explain import explain

    found = explain(evidence, baseline)
    if not found.flips:
        typer.echo(f"\nNo image flipped against {found.against}.")
        return
    typer.echo(
        f"\n{len(found.flips)} images flipped against {found.against}; by class, worst first:"
    )
    for one in found.classes:
        typer.echo(
            f"  {printable(one.label)}: {one.drop_pp:+.2f} pp drop, {one.lost} lost, "
            f"{one.won} won of {one.n}"
        )
    for flip in found.flips[:_SHOWN_FLIPS]:
        what = "lost" if flip.lost else "won" if flip.now == flip.label else "other"
        label, before, now = map(printable, (flip.label, flip.before, flip.now))
        typer.echo(
            f"  {printable(flip.sha256[:16])} {what}: '{label}' was '{before}', "
            f"is '{now}' by {flip.margin:.2f}"
        )
    if (more := len(found.flips) - _SHOWN_FLIPS) > 0:
        typer.echo(f"  and {more} more; --json lists all")
