"""Logits of models on a few real images, and how far those of a stage are from its reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel, Weights
from edge_convnext.core.errors import ExportError
from edge_convnext.core.metrics import compare_logits
from edge_convnext.measure.accuracy import predict
from edge_convnext.networks.family import family_of
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.pytorch import TorchRuntime
from edge_convnext.runtimes.reference import load_reference

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import FormName

__all__ = ["ANY_RUNTIME", "Logits", "logits_of", "onnx_logits", "parity_result", "torch_logits"]

Logits: TypeAlias = NDArray[np.float32]
ANY_RUNTIME: CpuRuntimeName = "onnxruntime"  # it loads every ONNX graph


def parity_result(
    reference: Logits,
    candidate: Logits,
    limit: float | None = None,
    own_graph: bool = False,
    stage: str = "build",
) -> dict[str, Any]:
    """Compare two stages' logits; `limit` bounds the largest error over the largest logit.

    Args:
        reference: Logits of the model as it came.
        candidate: Logits of the graph.
        limit: Largest error that is accepted; None: any.
        own_graph: True where the model came as an ONNX file, for the advice in the message.
        stage: Name of the stage that made the graph, for the message.

    Raises:
        ExportError: The logits are further apart than `limit`.
    """
    parity = compare_logits(reference, candidate)
    most = np.inf if limit is None else limit * float(np.abs(reference).max())
    within = limit is None or parity.max_abs_err <= most
    if not within:  # NaN is not within it either
        remedy = "export the ONNX file again at opset 20, or " if own_graph else ""
        raise ExportError(
            f"{stage}: the logits differ from the model's by up to {parity.max_abs_err:.3g} on "
            f"{parity.n_images} real images, and at most {most:.3g} is accepted; {remedy}report it "
            "with `edge-convnext doctor --json`"
        )
    return {"parity": asdict(parity)}


def logits_of(model: OnnxModel | Weights, batches: Sequence[NDArray[np.float32]]) -> Logits:
    """Run a graph in ONNX Runtime, or weights as they came: see `runtimes.reference`."""
    if isinstance(model, OnnxModel):
        return onnx_logits(model.path, batches)
    return torch_logits(model, "raw", batches)


def torch_logits(
    weights: Weights, form: FormName, batches: Sequence[NDArray[np.float32]]
) -> Logits:
    """Run the network of one form in torch; of `raw` it is the reference, whatever runs that."""
    if form == "raw":
        return predict(load_reference(weights), batches)
    return predict(TorchRuntime(family_of(weights).build(weights, form)), batches)


def onnx_logits(
    path: Path, batches: Sequence[NDArray[np.float32]], runtime: CpuRuntimeName = ANY_RUNTIME
) -> Logits:
    """Run a graph in ONNX Runtime, or in the one runtime that loads it."""
    return predict(load_runtime(runtime, path, RuntimeOptions()), batches)
