"""Sensitivity: measure the cost of quantizing each operation, alone and with the others.

For each weighted operation two graphs are run on real images: only it is quantized, and all others
are. Their logits are compared with those of the float graph. This needs no labels and no new
calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.step import Stage
from edge_convnext.graph.file import read_proto
from edge_convnext.runtimes.infer import infer_proto

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["STAGE", "Sensitivity", "rank_operations"]

STAGE = Stage("sensitivity", 2, ("onnx", "onnxruntime"))


@dataclass(frozen=True)
class Sensitivity:
    """The cost of quantizing one weighted operation."""

    name: str  # the node's name
    alone_sqnr_db: float | None  # with only it quantized; None if the logits stay equal
    alone_agreement_pct: float
    spared_sqnr_db: float | None  # with all operations quantized except it
    spared_agreement_pct: float
    noise_share_pct: float  # its share of the sum of all operations' noise power, each alone


def rank_operations(
    quantized: AnyPath,
    reference: AnyPath,
    batches: Sequence[NDArray[np.float32]],
    track: Track = untracked,
) -> tuple[Sensitivity, ...]:
    """Measure every quantized operation, the most harmful first.

    Args:
        quantized: The graph with explicit Q/DQ.
        reference: The float graph that it was made from, with the same node names.
        batches: Normalised images, float32[n, C, H, W].
        track: Progress over the operations.

    Raises:
        ArtifactError: A file is missing or is not ONNX, `quantized` has no quantized operation, or
            `reference` does not belong to it.
    """
    quantized = Path(quantized)
    reference = Path(reference)
    from edge_convnext.core.metrics import compare_logits
    from edge_convnext.stages.keep_float import keep_float, quantized_operations

    proto, original = read_proto(quantized), read_proto(reference)
    names = quantized_operations(proto)
    if not names:
        raise ArtifactError(f"{quantized}: has no quantized operation; pass an INT8 Q/DQ graph")
    if missing := set(names) - {node.name for node in original.graph.node}:
        raise ArtifactError(
            f"{reference}: has no node '{min(missing)}'; pass the float graph that {quantized} "
            "was made from"
        )
    expected = infer_proto(original, batches)
    found = []
    for name in track(names, "sensitivity", len(names)):
        others = [other for other in names if other != name]
        alone = compare_logits(expected, infer_proto(keep_float(proto, original, others), batches))
        spared = compare_logits(expected, infer_proto(keep_float(proto, original, [name]), batches))
        found.append((name, alone, spared))
    noise = [0.0 if alone.sqnr_db is None else 10 ** (-alone.sqnr_db / 10) for _, alone, _ in found]
    total = sum(noise) or 1.0
    ranked = [
        Sensitivity(
            name, alone.sqnr_db, alone.agreement_pct, spared.sqnr_db, spared.agreement_pct,
            min(100.0, 100 * own / total),  # rounding reaches past it where one has all
        )
        for (name, alone, spared), own in zip(found, noise, strict=True)
    ]  # fmt: skip
    return tuple(sorted(ranked, key=lambda one: -one.noise_share_pct))
