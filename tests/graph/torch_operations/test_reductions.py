import numpy as np
import pytest
import torch
from onnx import helper
from support.one_operation import assert_same, both_ways, normal

from edge_convnext.core.errors import UntrainableError
from edge_convnext.graph.torch_operations.table import make_operation

MAP = normal(2, 4, 7, 9)
ROW = np.abs(normal(4)) + 0.5


@pytest.mark.parametrize(
    "kind",
    ["ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
     "ReduceSumSquare"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("constants", "attributes"),
    [
        ([np.array([1])], {}),
        ([np.array([-1, 2])], {"keepdims": 0}),
        ([], {}),
        ([], {"noop_with_empty_axes": 1}),
    ],
)
def test_a_reduction(kind, constants, attributes):
    if "noop_with_empty_axes" in attributes and kind != "ReduceMean":
        return  # releases of ONNX's reference differ there
    assert_same(kind, MAP, *constants, **attributes)


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_a_pool_of_the_whole_map(kind):
    assert_same(kind, MAP)


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [3, 3]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ],
)
def test_the_largest_value_of_a_window(attributes):
    assert_same("MaxPool", MAP, **attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ],
)
def test_the_mean_of_a_window(attributes):
    assert_same("AveragePool", MAP, **attributes)


def test_norms():
    assert_same("LayerNormalization", MAP, normal(9), normal(9), axis=-1, epsilon=1e-3)
    assert_same("LayerNormalization", MAP, normal(9), axis=-1)
    assert_same("BatchNormalization", MAP, ROW, normal(4), normal(4), ROW, epsilon=1e-3)
    assert_same("InstanceNormalization", MAP, ROW, normal(4), epsilon=1e-3)
    assert_same("LpNormalization", MAP, axis=1, p=2)


def test_a_group_has_one_scale_or_each_channel_its_own():
    x, scale, bias = (torch.from_numpy(one) for one in (MAP, normal(2), normal(2)))
    node = helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2)
    run = make_operation(node, [None, scale.numpy(), bias.numpy()])
    groups = x.reshape(2, 2, -1)
    mean, deviation = groups.mean(-1, keepdim=True), groups.std(-1, keepdim=True, correction=0)
    expected = (groups - mean) / deviation * scale[:, None] + bias[:, None]
    torch.testing.assert_close(run(x, scale, bias), expected.reshape(x.shape), rtol=1e-4, atol=1e-4)
    each = [one.repeat_interleave(2) for one in (scale, bias)]
    torch.testing.assert_close(run(x, *each), expected.reshape(x.shape), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "attributes", "words"),
    [
        ("AveragePool", {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}, "padded at one end"),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1]}, "padded at one end"),
        ("MaxPool", {"kernel_shape": [3]}, "not over two axes"),
    ],
)
def test_what_has_no_form_is_refused_by_name(kind, attributes, words):
    x = MAP if len(attributes["kernel_shape"]) == 2 else MAP[..., 0]
    with pytest.raises(UntrainableError, match=f"n/{kind}: an? {kind} .*{words} can't be trained"):
        both_ways(kind, x, **attributes)
