"""Simplify: onnxsim in a child process, kept only where it changes nothing that matters.

onnxsim is native code that is known to crash (daquexian/onnx-simplifier#187, #426), and its
optimizer rewrites MatMul + Add over NHWC into Reshape + Gemm + Reshape. ONNX Runtime then
loses the INT8 kernel of a quantized MatMul and runs at half speed, so a result with another
number of these operations is thrown away: that is decided by structure, never by a timing.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import ArtifactError, SimplifyError
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.core.step import Stage
from edge_convnext.core.third_party import import_onnxruntime

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import OnnxModel, Precision
    from edge_convnext.core.sections import SimplifyConfig

__all__ = ["STAGE", "Simplified", "simplify"]

STAGE = Stage("simplify", 2, ("onnx", "onnxsim", "onnxruntime"))

_PRODUCTS = ("MatMul", "Gemm")
# Tried in this order. onnxsim ignores the name of an optimizer that it does not have.
_ATTEMPTS: tuple[dict[str, Any], ...] = (
    {
        "skipped_optimizers": [
            "fuse_matmul_add_bias_into_gemm",
            "fuse_matmul_add_bias_into_gemm_batched",
        ]
    },
    {"perform_optimization": False},
)
# Largest difference of a logit, relative to the largest logit: float rounding and no more.
_TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "int8": 2e-2}


@dataclass(frozen=True)
class Simplified:
    """The graph to go on with: simplified, or as it was, with the reason."""

    model: OnnxModel
    reason: str | None


def simplify(
    model: OnnxModel, images: NDArray[np.float32], config: SimplifyConfig, output: AnyPath
) -> Simplified:
    """Simplify a graph if onnxsim can do so without harm.

    Args:
        model: Any graph of this package.
        images: float32[n, C, H, W], real and normalized, of the graph's batch size. The logits
            of both graphs are compared on them in ONNX Runtime.
        config: Time limit.
        output: Where the graph goes; an unchanged copy when onnxsim is not installed, crashes,
            runs out of time, or changes the outputs or the matrix products.

    Returns:
        The graph at `output`. Node names, metadata and the number of matrix products are kept.

    Raises:
        ArtifactError: There is no such graph.
        SimplifyError: No child process can be started.
    """
    output = Path(output)
    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    with atomic_path(output) as scratch:
        arguments = (model.path.absolute(), scratch, images, _TOLERANCE[model.precision])
        try:
            reason = run_isolated(_simplify_file, arguments, config.timeout_s)
        except OSError as error:
            raise SimplifyError(
                f"can't start a child process for onnxsim ({error.strerror}); "
                "--no-simplify goes on without it"
            ) from error
        if isinstance(reason, IsolatedFailure):
            reason = f"onnxsim: {reason.reason}"
        if reason is not None:
            shutil.copyfile(model.path, scratch)
    return Simplified(replace(model, path=output), reason)


def _simplify_file(
    source: Path, target: Path, images: NDArray[np.float32], tolerance: float
) -> str | None:
    """The child's work: write `target`, or say why not."""
    import onnx

    try:
        import onnxsim
    except ImportError:
        return "onnxsim is not installed: pip install 'edge-convnext[build]'"
    before = onnx.load(source)
    for options in _ATTEMPTS:
        after, _ = onnxsim.simplify(before, check_n=0, **options)
        changed = _changed_products(before, after)
        if not changed:
            break
    else:
        return f"onnxsim rewrites matrix products ({changed}), which is slower once quantized"
    _clean(after, before)
    onnx.checker.check_model(after, full_check=True)
    data = after.SerializeToString(deterministic=True)
    error = _relative_error(source.read_bytes(), data, images)
    if not error <= tolerance:  # not: NaN is a failure too
        return f"onnxsim changes the logits by {error:.1e} of the largest"
    target.write_bytes(data)
    return None


def _changed_products(before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    old, new = (Counter(node.op_type for node in proto.graph.node) for proto in (before, after))
    changed = [kind for kind in _PRODUCTS if old[kind] != new[kind]]
    if new["Reshape"] > old["Reshape"]:  # fewer are welcome
        changed.append("Reshape")
    return ", ".join(f"{kind} {old[kind]} -> {new[kind]}" for kind in changed)


def _clean(after: onnx.ModelProto, before: onnx.ModelProto) -> None:
    """Undo what onnxsim adds: its own metadata, and inferred shapes that any runtime infers."""
    after.ClearField("metadata_props")
    after.metadata_props.extend(before.metadata_props)
    after.producer_name, after.producer_version = before.producer_name, before.producer_version
    after.graph.ClearField("value_info")
    after.graph.value_info.extend(before.graph.value_info)
    for part in (after.graph, *after.graph.node, *after.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _relative_error(before: bytes, after: bytes, images: NDArray[np.float32]) -> float:
    import numpy as np

    onnxruntime = import_onnxruntime()
    logits = []
    for graph in (before, after):
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        logits.append(session.run(None, {session.get_inputs()[0].name: images})[0])
    reference, candidate = logits
    if reference.shape != candidate.shape:
        return float("nan")
    largest = max(float(np.abs(reference).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(candidate - reference).max()) / largest
