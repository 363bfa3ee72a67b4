import numpy as np
import onnx
import onnxruntime
import pytest
from support.written_graphs import branched, draw, write

from edge_convnext.graph.whole_windows import pool_whole_maps


def pooled(kind="AveragePool", images=("n", 3, 4, 6), **named):
    return write([(kind, ("images",), "pool", named), ("Flatten", ("pool",), "flat")], {}, images)


def kinds(proto):
    return [node.op_type for node in proto.graph.node]


def run(proto, images):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"images": images})[0]


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize(
    "named",
    [
        {"kernel_shape": [4, 6]},
        {"kernel_shape": [9, 9], "strides": [9, 9], "ceil_mode": 1},
        {"kernel_shape": [4, 9], "strides": [4, 9], "ceil_mode": 1, "pads": [0] * 4},
    ],
)
def test_a_window_of_the_whole_map_is_global(kind, named):
    proto, images = pooled(kind, **named), draw(2, 3, 4, 6)
    expected = run(proto, images)
    assert pool_whole_maps(proto) == 1
    assert kinds(proto) == [f"Global{kind}", "Flatten"]
    onnx.checker.check_model(proto, full_check=True)
    np.testing.assert_allclose(run(proto, images), expected, rtol=1e-5, atol=1e-6)
    exact = images.mean((2, 3)) if kind == "AveragePool" else images.max((2, 3))
    np.testing.assert_allclose(run(proto, images), exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "named",
    [
        {"kernel_shape": [4, 5]},  # two windows
        {"kernel_shape": [4, 6], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [4, 6], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [2, 6], "dilations": [3, 1]},
    ],
)
def test_other_windows_stay(named):
    proto = pooled(**named)
    before = proto.SerializeToString()
    assert pool_whole_maps(proto) == 0
    assert proto.SerializeToString() == before


def test_a_map_of_unknown_size_stays():
    assert pool_whole_maps(pooled(images=("n", 3, "h", "w"), kernel_shape=[4, 6])) == 0
    assert pool_whole_maps(branched()) == 0
