"""Merge boards' reports into the report of the build that their bundles came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath
from edge_convnext.devices.bundle.graphs import published_hashes
from edge_convnext.report.boards import raced
from edge_convnext.report.contract import BoardRun, Report
from edge_convnext.report.manifest import MANIFEST, require_unedited
from edge_convnext.report.stages import StageReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["as_run", "merge_boards"]


def merge_boards(
    build_dir: AnyPath, reports: Sequence[Path], say: Callable[[str], None] = lambda _: None
) -> Report:
    """Write boards' results into a build's report, and its new hashes into the manifest.

    If a board has several reports, the latest counts; its environment's fingerprint identifies a
    board. Merging the same report again changes nothing.

    Args:
        build_dir: Folder of the build.
        reports: Reports that `bench BUNDLE` wrote, or their folders.
        say: Called with a line for each report that is left out or replaced; a wrong clock on a
            board can be the cause.

    Returns:
        The build's report with `boards`.

    Raises:
        ArtifactError: A report is not a board's, belongs to another build, or was edited; or a
            file of this build was changed. Nothing is written then.
    """
    build_dir = Path(build_dir)
    from edge_convnext.report.file_names import REPORT
    from edge_convnext.report.folder import amend_report, check_addable

    path = build_dir / REPORT
    build = Report.read(path)
    if build.board is not None:
        raise ArtifactError(f"{path}: is a board's report; name the build's folder first")
    check_addable(build_dir, build)
    runs = {run.environment.fingerprint: run for run in build.boards}
    for one in reports:
        run = _read_run(one / REPORT if one.is_dir() else one, build)
        known = runs.get(run.environment.fingerprint)
        if known is None or run.created > known.created:
            runs[run.environment.fingerprint] = run
            if known is not None:
                say(
                    f"{one}: replaces the report of the same board, {run.board.name}, made "
                    f"{known.created:%Y-%m-%d %H:%M} ({raced(known)} raced; now {raced(run)})"
                )
        elif run != known:
            say(
                f"{one}: made {run.created:%Y-%m-%d %H:%M}, before the report of the same board "
                f"that is merged ({known.created:%Y-%m-%d %H:%M}); left out"
            )
    boards = tuple(runs[fingerprint] for fingerprint in sorted(runs))
    merged = build.model_copy(update={"boards": boards, "stages": _tell_engines(build, boards)})
    if merged != build:
        amend_report(merged, build_dir, build)
    return merged


def _tell_engines(build: Report, boards: Sequence[BoardRun]) -> tuple[StageReport, ...]:
    """Return the stages; that of engines names the boards that built those the build did not."""
    names = [
        run.board.name
        for run in boards
        if run.benchmark and any(row.runtime == "tensorrt" for row in run.benchmark.rows)
    ]
    if not names:
        return build.stages
    reason = f"classic TensorRT built and ran its engines on {', '.join(dict.fromkeys(names))}"

    def tell(stage: StageReport) -> StageReport:
        left = [one for one in stage.variants if one.target == "tensorrt" and one.reason]
        if stage.name != "engine" or not left:
            return stage
        variants = tuple(
            one.model_copy(update={"reason": reason}) if one in left else one
            for one in stage.variants
        )
        text = (stage.reason or "").replace(str(left[0].reason), reason)
        return stage.model_copy(update={"reason": text, "variants": variants})

    return tuple(tell(stage) for stage in build.stages)


def _read_run(path: Path, build: Report) -> BoardRun:
    report = Report.read(path)
    if path.with_name(MANIFEST).is_file():  # the report may have been copied without it
        require_unedited(path)
    board = report.board
    if board is None:
        raise ArtifactError(
            f"{path}: is not a board's report; pass one that `edge-convnext bench BUNDLE` wrote"
        )
    published = published_hashes(build)
    foreign = [graph for graph in board.graphs if published.get(graph.path) != graph.sha256]
    if foreign or report.model.weights.sha256 != build.model.weights.sha256:
        what = foreign[0].path if foreign else "the weights"
        raise ArtifactError(
            f"{path}: belongs to another build ({what} differs); bundle this build and run it again"
        )
    return as_run(report)


def as_run(report: Report) -> BoardRun:
    """Convert a board's report to the form that a build's report contains.

    Raises:
        ValueError: The report is not a board's.
    """
    if report.board is None:
        raise ValueError("not a board's report")
    return BoardRun(
        created=report.created,
        environment=report.environment,
        board=report.board,
        accuracy=report.accuracy,
        benchmark=report.benchmark,
        verdict=report.verdict,
        outputs=report.outputs,
        notes=report.notes,
    )
