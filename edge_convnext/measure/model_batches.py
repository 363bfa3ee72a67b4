"""The batch sizes that built models can be timed at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.file import fixed_batch
from edge_convnext.runtimes.tensorrt.sidecar import is_engine_file, read_facts

__all__ = ["check_batches", "usual_batches"]


def usual_batches(paths: Sequence[Path]) -> tuple[int, ...]:
    """Batch sizes to time if none is asked for: 1 and 8, or those that the models can run.

    Raises:
        ArtifactError: Two of the models have no batch size in common.
    """
    static = {batch: path for path in paths if (batch := _fixed_batch(path)) is not None}
    if len(static) > 1:
        (one, first), (other, second) = list(static.items())[:2]
        raise ArtifactError(
            f"{second}: is of batch {other}, and {first} of batch {one}: pass models of one batch "
            "size"
        )
    if static:
        return tuple(static)
    engines = [read_facts(path) for path in paths if is_engine_file(path)]
    return (1, min((facts.max_batch for facts in engines), default=8))


def check_batches(paths: Sequence[Path], batches: Sequence[int]) -> None:
    """Refuse batch sizes that a model can't run, before the first one is timed."""
    for path in paths:
        fixed = _fixed_batch(path)
        if fixed is not None and set(batches) != {fixed}:
            raise ArtifactError(f"{path}: is of batch {fixed} alone; pass --batch {fixed}")


def _fixed_batch(path: Path) -> int | None:
    return read_facts(path).batch if is_engine_file(path) else fixed_batch(path)
