"""`build --target tensorrt`, or `rtx`, on a machine with the GPU: the result is measured at once.

The bundle, bench and merge are those of any board, so the figures have the same meaning.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.progress import Track, untracked
from edge_convnext.devices.bench.bench import BoardSettings, bench_bundle
from edge_convnext.devices.bench.builders import find_builders
from edge_convnext.devices.bench.merge import merge_boards
from edge_convnext.devices.bundle.write import bundle_build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_convnext.devices.bench.engines import EngineBuilder
    from edge_convnext.report.contract import Report
    from edge_convnext.report.verdict import Requirement

__all__ = ["builders_for", "measure_here"]

_RUNTIMES = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}


def builders_for(targets: Sequence[str]) -> tuple[tuple[EngineBuilder, ...], str | None]:
    """Find the builders for these targets on this machine's GPU.

    Args:
        targets: Targets that the user named; without a GPU target there is no builder.

    Returns:
        The builders, and the reason if a target has none.
    """
    wanted = [target for target in targets if target in _RUNTIMES]
    if not wanted:
        return (), None
    builders, reason = find_builders()
    fitting = tuple(one for one in builders if one.runtime in {_RUNTIMES[one] for one in wanted})
    found = {one.runtime for one in fitting}
    lacking = [target for target in wanted if _RUNTIMES[target] not in found]
    if not lacking:
        return fitting, None
    return fitting, reason or f"no TensorRT of the target {' or '.join(lacking)} runs here"


def measure_here(
    report: Report,
    builders: Sequence[EngineBuilder],
    require: Requirement | None = None,
    track: Track = untracked,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Build the engines of a finished build here, time and evaluate them, and merge the result.

    The bundle stays in the build's folder, and the bench's files in its `boards/here`. After an
    interruption, `bench BUNDLE -o` with that folder continues with the finished engines.

    Args:
        report: Report of the build.
        builders: Builders of engines, from `builders_for`.
        require: Verdict that the user requires; None requires nothing.
        track: Progress over engines, images and timings.
        say: Called with each line that the user should read at once.

    Returns:
        The build's report, with this machine among its boards.

    Raises:
        EdgeConvNextError: Nothing could be measured; the build itself stays as it is.
    """
    folder = Path(report.folder)
    bundle = bundle_build(folder, track, say)
    out = folder / "boards" / "here"
    settings = BoardSettings(require=require)
    bench_bundle(bundle, out, settings, track, say, builders=builders)
    return merge_boards(folder, [out], say)
