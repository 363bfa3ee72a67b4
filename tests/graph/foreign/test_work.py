import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.graph.foreign.work import count_work


@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_parameters_and_products_of_one_image(batch):
    shapes = {"k": (8, 3, 3, 3), "d": (8, 1, 3, 3), "w": (8, 5), "s": ()}
    weights = [numpy_helper.from_array(np.ones(v, np.float32), n) for n, v in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["images", "k"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "d"], ["b"], group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["b", "s"], ["bs"]),
        helper.make_node("GlobalAveragePool", ["bs"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["logits"]),
    ]
    values = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("images", [batch, 3, 8, 8]), ("logits", [batch, 5]))
    ]
    proto = helper.make_model(
        helper.make_graph(nodes, "g", values[:1], values[1:], weights),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    params, macs = count_work(proto)
    assert params == 8 * 27 + 8 * 9 + 40
    assert macs == 16 * 8 * 27 + 16 * 8 * 9 + 40
