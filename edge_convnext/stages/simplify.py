"""Simplify: run onnxsim in a child process, and use its result only if it does no harm.

onnxsim is native code that is known to crash (daquexian/onnx-simplifier#187, #426). Its optimizer
rewrites MatMul + Add over NHWC into Reshape + Gemm + Reshape. Then ONNX Runtime has no INT8 kernel
for the quantized MatMul and runs at half speed. So a result with another number of these operators
is discarded. The graph's structure decides this, never a timing.
"""

from __future__ import annotations

import shutil
import sys
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
# Settings of onnxsim, tried in this order. It ignores names of optimizers that it does not have.
_ATTEMPTS: tuple[dict[str, Any], ...] = (
    {
        "skipped_optimizers": [
            "fuse_matmul_add_bias_into_gemm",
            "fuse_matmul_add_bias_into_gemm_batched",
        ]
    },
    {"perform_optimization": False},
)
# Largest difference of a logit, relative to the largest logit: only float rounding is accepted.
_TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-2, "int8": 2e-2}


@dataclass(frozen=True)
class Simplified:
    """The resulting graph: simplified, or unchanged with the reason."""

    model: OnnxModel
    reason: str | None


def simplify(
    model: OnnxModel, images: NDArray[np.float32], config: SimplifyConfig, output: AnyPath
) -> Simplified:
    """Simplify a graph if onnxsim can do so without harm.

    Args:
        model: Any graph of this package.
        images: Normalised real images, float32[n, C, H, W], of the graph's batch size. On them,
            the logits of both graphs are compared in ONNX Runtime.
        config: Time limit.
        output: The file to write the graph to.

    Returns:
        The graph at `output`, with the same node names, metadata and number of matrix products. It
        is an unchanged copy if onnxsim is not installed, crashes, runs out of time, or changes the
        logits or the matrix products.

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
    """Write `target`, or return why not; this runs in the child process."""
    import onnx

    # onnxsim imports torch for a package that is not there, which takes half of this process's
    # time. It goes on without.
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
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
    if not error <= tolerance:  # written so that NaN is a failure too
        return f"onnxsim changes the logits by {error:.1e} of the largest"
    target.write_bytes(data)
    return None


def _changed_products(before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    old, new = (Counter(node.op_type for node in proto.graph.node) for proto in (before, after))
    changed = [kind for kind in _PRODUCTS if old[kind] != new[kind]]
    if new["Reshape"] > old["Reshape"]:  # fewer are an improvement
        changed.append("Reshape")
    return ", ".join(f"{kind} {old[kind]} -> {new[kind]}" for kind in changed)


def _clean(after: onnx.ModelProto, before: onnx.ModelProto) -> None:
    """Remove what onnxsim adds: its metadata, and shapes that any runtime infers itself."""
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
