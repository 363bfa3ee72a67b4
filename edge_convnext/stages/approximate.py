"""Approximate: replace GELU by a cheaper function that is nearly equal.

This is not exact, so it is never chosen silently. A plan names the approximation (`gelu: tanh`),
and its accuracy is measured against the exact model like that of any other candidate.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.step import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnx import ModelProto, NodeProto

    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.graph.qdq import Wiring

__all__ = ["HARDSWISH_SLOPE", "STAGE", "use_hardswish", "use_tanh_gelu"]

STAGE = Stage("approximate", 1, ("onnx", "onnxruntime"))
# Of the slopes tried by hand on a trained atto, the nearest to GELU for its logits: 32 dB, where
# 1.9 has 25 (ConvNeXt V2 atto, 3 classes, 476 images, INT8).
HARDSWISH_SLOPE = 2.1


def use_tanh_gelu(model: OnnxModel, output: AnyPath) -> OnnxModel:
    """Turn every exact GELU into 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Args:
        model: An FP32 graph of opset 20 or later; earlier opsets have no Gelu operator.
        output: The file to write the graph to.

    Returns:
        The FP32 graph; the absolute error of each GELU is at most 5e-4.

    Raises:
        ExportError: The graph has no Gelu operator.
        ArtifactError: There is no such graph.

    Source:
        Hendrycks and Gimpel, arXiv 1606.08415; ONNX operators, Gelu.
    """

    def approximate(proto: ModelProto, exact: list[NodeProto]) -> None:
        from onnx import helper

        for node in exact:
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("approximate", "tanh"))

    return _rewrite(model, output, "tanh", approximate)


def use_hardswish(model: OnnxModel, output: AnyPath) -> OnnxModel:
    """Turn every exact GELU into HardSwish(a x) / a = x clip(a x / 6 + 0.5, 0, 1).

    It has no exponential, and differs far more from GELU than `tanh` does. So it is for graphs that
    are fine-tuned afterwards (`recover`). The factor a goes into the convolution in front, if that
    has constants of its own.

    Args:
        model: An FP32 graph of opset 20 or later; earlier opsets have no Gelu operator.
        output: The file to write the graph to.

    Returns:
        The FP32 graph; the absolute error of each activation is at most 0.2.

    Raises:
        ExportError: The graph has no Gelu operator.
        ArtifactError: There is no such graph.

    Source:
        Howard et al., arXiv 1905.02244 (HardSwish); the factor is this project's.
    """

    def approximate(proto: ModelProto, exact: list[NodeProto]) -> None:
        from edge_convnext.graph.qdq import Wiring, drop_unread_constants

        wiring = Wiring(proto)
        written = {node.output[0]: _swish(proto, wiring, node) for node in exact}
        # Once, at the end: the nodes that `wiring` knows are copied here, and changed no more.
        kept = [written.get(node.output[0], [node]) for node in proto.graph.node]
        nodes = [node for group in kept for node in group]
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)
        drop_unread_constants(proto)

    return _rewrite(model, output, "hardswish", approximate)


def _swish(proto: ModelProto, wiring: Wiring, gelu: NodeProto) -> list[NodeProto]:
    """HardSwish between two factors, for the place of a Gelu."""
    from onnx import helper

    source, made = gelu.input[0], gelu.output[0]
    nodes: list[NodeProto] = []

    def scale(value: str, factor: float, name: str) -> str:
        constant, scaled = f"{name}.factor", f"{name}/Mul"
        proto.graph.initializer.append(
            helper.make_tensor(constant, 1, [], [factor])  # 1: float32
        )
        nodes.append(helper.make_node("Mul", [value, constant], [scaled], name=scaled))
        return scaled

    path = gelu.name.rpartition("/")[0] or gelu.name
    if not _scale_product(proto, wiring, source, HARDSWISH_SLOPE):
        source = scale(source, HARDSWISH_SLOPE, f"{path}.before")
    swished = f"{path}/HardSwish"
    nodes.append(helper.make_node("HardSwish", [source], [swished], name=swished))
    scale(swished, 1 / HARDSWISH_SLOPE, f"{path}.behind")
    nodes[-1].output[:] = [made]
    return nodes


def _scale_product(proto: ModelProto, wiring: Wiring, value: str, factor: float) -> bool:
    """Multiply a convolution's constants, if nothing else reads what it makes."""
    import numpy as np

    from edge_convnext.graph.qdq import scale_constant

    product = wiring.producer.get(value)
    if product is None or product.op_type != "Conv" or not wiring.is_private(value):
        return False
    if any(name not in wiring.constants for name in product.input[1:]):
        return False
    for position in range(1, len(product.input)):
        scale_constant(proto, wiring, product, position, np.array(factor, np.float32))
    return True


def _rewrite(
    model: OnnxModel,
    output: AnyPath,
    name: str,
    approximate: Callable[[ModelProto, list[NodeProto]], Any],
) -> OnnxModel:
    """Write the graph with its Gelu nodes changed."""
    output = Path(output)
    import onnx

    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    proto = onnx.load(str(model.path))
    exact = [node for node in proto.graph.node if node.op_type == "Gelu"]
    if not exact:
        raise ExportError(
            f"{model.path}: has no Gelu operation to approximate; export with --opset 20 or "
            f"later, or leave out --gelu {name}"
        )
    approximate(proto, exact)
    with atomic_path(output) as scratch:
        scratch.write_bytes(proto.SerializeToString(deterministic=True))
    return replace(model, path=output)
