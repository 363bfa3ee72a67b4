import numpy as np
import pytest
import torch
from onnx import helper
from support.one_operation import assert_same, normal

from edge_convnext.graph.torch_operations.elementwise import ELEMENTWISE
from edge_convnext.graph.torch_operations.table import make_operation

X = 3 * normal(2, 3, 4)


@pytest.mark.parametrize(
    "kind",
    [
        "Abs", "Cos", "Erf", "Exp", "HardSwish", "Mish", "Neg", "Relu", "Sigmoid", "Sin",
        "Softplus", "Softsign", "Tanh", "Reciprocal",
    ],
)  # fmt: skip
def test_a_function_of_one_value(kind):
    assert_same(kind, X)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Celu", {"alpha": 0.7}),
        ("Elu", {"alpha": 0.7}),
        ("Gelu", {}),
        ("Gelu", {"approximate": "tanh"}),
        ("HardSigmoid", {}),
        ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.4}),
        ("LeakyRelu", {}),
        ("LeakyRelu", {"alpha": 0.3}),
        ("LogSoftmax", {"axis": 1}),
        ("Selu", {}),
        ("Selu", {"alpha": 1.1, "gamma": 0.9}),
        ("Softmax", {}),
        ("Softmax", {"axis": 1}),
    ],
)
def test_a_function_with_attributes(kind, attributes):
    assert_same(kind, X, **attributes)


@pytest.mark.parametrize("kind", ["Add", "Div", "Mul", "Sub", "Max", "Min"])
def test_two_values_are_broadcast(kind):
    assert_same(kind, X, 0.5 + np.abs(normal(3, 1)))


@pytest.mark.parametrize("kind", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_a_comparison(kind):
    assert_same(kind, np.array([1.0, 2.0, 3.0], np.float32), np.float32([2, 2, 2]))


def test_powers_roots_and_logarithms_of_what_is_above_zero():
    positive = np.abs(X) + 0.1
    for kind in ("Sqrt", "Log"):
        assert_same(kind, positive)
    assert_same("Pow", positive, np.float32(2.5))


def test_a_clip_may_lack_either_bound():
    assert_same("Clip", X, np.float32(-1), np.float32(2))
    assert_same("Clip", X, None, np.float32(0.5))
    assert_same("Clip", X, np.float32(0.5))
    assert_same("Clip", X)


def test_a_slope_for_each_channel_and_a_choice():
    assert_same("PRelu", X, np.abs(normal(3, 1)))
    assert_same("Where", X > 0, X, np.float32(-2))
    assert_same("Not", X > 0)


def test_sizes_are_divided_as_integers_are():
    assert_same("Div", np.array([7, -7]), np.array([2, 2]))


def test_what_quantization_made_zero_has_a_finite_slope():
    for kind in ("Sqrt", "Reciprocal"):
        run = make_operation(helper.make_node(kind, ["x"], ["y"]), [None])
        x = torch.zeros(3, requires_grad=True)
        run(x).sum().backward()
        assert x.grad.isfinite().all()
    assert {"Sqrt", "Reciprocal"} <= ELEMENTWISE.keys()
