"""Write the graph of a user's own ONNX, as `export` writes that of a torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ExportError
from edge_convnext.core.version import __version__
from edge_convnext.graph.file import read_opset, read_proto, write_proto
from edge_convnext.graph.plain_writing import write_plainly
from edge_convnext.stages.to_float16 import halve_body

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.core.artifacts import FormName, Precision, Weights
    from edge_convnext.core.sections import ExportConfig

__all__ = ["write_own_graph"]


def write_own_graph(
    weights: Weights, form: FormName, precision: Precision, config: ExportConfig, output: Path
) -> OnnxModel:
    """Write the canonical graph with a batch, a precision, and what it says of itself.

    Args:
        weights: Weights of the family `onnx`.
        form: `raw`, or one of `graph.pointwise.FORMS`.
        precision: `fp32`, or `fp16` for a float16 body with float32 input and output.
        config: Opset, and batch.
        output: ONNX file to write.

    Returns:
        The graph: images float32[N, C, H, W] to logits float32[N, num_classes].

    Raises:
        ExportError: The graph can't have that batch or opset.
    """
    import onnx

    proto = read_proto(weights.path)
    proto = write_plainly(proto, form)
    name = weights.info.model
    if (own := read_opset(proto)) != config.opset:
        raise ExportError(
            f"{name} is an ONNX file, whose graphs are written at opset {own}, not {config.opset}; "
            "leave --opset out"
        )
    sizes = [one.type.tensor_type.shape.dim[0] for one in (proto.graph.input[0],
                                                           proto.graph.output[0])]  # fmt: skip
    only = sizes[0].dim_value
    if only and only != config.batch:
        raise ExportError(
            f"the operations of {name} allow batches of {only} alone, not {config.batch}; pass "
            f"--export-batch {only}"
        )
    for size in sizes:
        if config.batch == "dynamic":
            size.dim_param = "batch"
        else:
            size.dim_value = config.batch
    tools = f"edge-convnext {__version__}, onnx {onnx.__version__}"
    fields = weights.info.to_metadata(form=form, precision=precision, tools=tools)
    onnx.helper.set_model_props(proto, fields)
    proto.producer_name, proto.producer_version = "edge-convnext", __version__
    write_proto(proto, output)
    model = OnnxModel(output, "fp32", form)
    return halve_body(model, output) if precision == "fp16" else model
