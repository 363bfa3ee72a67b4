"""One ONNX operation, as its specification and as torch compute it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator

from edge_convnext.graph.torch_operations.table import make_operation

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> NDArray[np.float32]:
    return RANDOM.standard_normal(shape).astype(np.float32)


def both_ways(
    kind: str,
    x: NDArray[Any],
    *constants: Any,
    outputs: int = 1,
    opset: int = 20,
    **attributes: Any,
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Outputs of one node by ONNX's reference and by torch; None is an input that is left out."""
    values = [None if one is None else np.asarray(one) for one in constants]
    names = ["x", *("" if one is None else f"c{at}" for at, one in enumerate(values))]
    made = [f"y{at}" for at in range(outputs)]
    node = helper.make_node(kind, names, made, name=f"n/{kind}", **attributes)
    known = dict(zip(names[1:], values, strict=True))
    feeds = {"x": x, **{name: value for name, value in known.items() if value is not None}}
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
         for name, value in feeds.items()],
        [helper.make_tensor_value_info(name, 1, None) for name in made],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    expected = ReferenceEvaluator(proto).run(None, feeds)
    run = make_operation(node, [None, *values])
    tensors = [None if one is None else torch.from_numpy(np.array(one)) for one in values]
    found = run(torch.from_numpy(np.array(x)), *tensors)
    return list(expected), [one.numpy() for one in (found if outputs > 1 else [found])]


def assert_same(kind: str, x: NDArray[Any], *constants: Any, **named: Any) -> None:
    """Torch gives what the specification says."""
    expected, found = both_ways(kind, x, *constants, **named)
    for one, other in zip(expected, found, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)
