"""All operations that a graph can be trained with, by their name in ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import UntrainableError
from edge_convnext.graph.torch_operations.elementwise import ELEMENTWISE
from edge_convnext.graph.torch_operations.moves import MOVES
from edge_convnext.graph.torch_operations.products import PRODUCTS
from edge_convnext.graph.torch_operations.reductions import REDUCTIONS

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.torch_operations.interface import Constants, Make, Run

__all__ = ["OPERATIONS", "make_operation"]

OPERATIONS: dict[str, Make] = {**PRODUCTS, **ELEMENTWISE, **REDUCTIONS, **MOVES}


def make_operation(node: NodeProto, constants: Constants) -> Run:
    """A node as a function of tensors, which has its attributes and knows its constants.

    Args:
        node: One of ONNX's own operations.
        constants: By input, its value, or None where it is computed.

    Returns:
        A function of all inputs, None for one that is left out, to the output; to a tuple of
        them for a node that has several.

    Raises:
        UntrainableError: The operation, or the way it is used, has no form here.
    """
    from onnx import defs, helper

    make = OPERATIONS.get(node.op_type) if not node.domain else None
    if make is None or len(node.input) > defs.get_schema(node.op_type).max_input:
        raise UntrainableError(
            f"{node.name}: {node.op_type} can't be trained: fine-tuning does not support it; "
            "build without --recover"
        )
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    try:
        return make(attributes, constants)
    except UntrainableError as error:
        raise UntrainableError(f"{node.name}: {error} can't be trained") from None
