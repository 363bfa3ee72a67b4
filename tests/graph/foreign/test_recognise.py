import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.graph.foreign.recognise import recognise

SHAPE = [2, 5, 12]


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def __call__(self, kind, *inputs, **attributes):
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], **attributes))
        return name

    def constant(self, value):
        kind = np.int64 if isinstance(value, list) else np.float32
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def model(self, last, *more):
        values = [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in ("x", last, *more)
        ]
        graph = helper.make_graph(self.nodes, "g", values[:1], values[1:], self.weights)
        opset = helper.make_opsetid("", 20)
        return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def kinds(proto):
    return [node.op_type for node in proto.graph.node]


def same_after(proto):
    """Recognise, and compare the values in ONNX Runtime."""
    import onnxruntime

    shown = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32) * 4
    before = proto.SerializeToString()
    found = recognise(proto)
    onnx.checker.check_model(proto, full_check=True)
    one, other = (
        onnxruntime.InferenceSession(data).run(None, {"x": shown})[0]
        for data in (before, proto.SerializeToString())
    )
    assert np.abs(one - other).max() < 2e-5
    return found


# x * clip(x + 3, 0, 6) / 6 in the orders that tools write it in.
def torchs(g):
    return g("Div", g("Mul", "x", g("Clip", g("Add", "x", 3.0), 0.0, 6.0)), 6.0)


def keras(g):
    return g("Mul", "x", g("Mul", g("Min", g("Max", g("Add", 3.0, "x"), 0.0), 6.0), 1 / 6))


def scaled_first(g):
    return g("Mul", g("Clip", g("Add", g("Mul", "x", 1 / 6), 0.5), 0.0, 1.0), "x")


def by_hard_sigmoid(g):
    return g("Mul", g("HardSigmoid", "x", alpha=1 / 6, beta=0.5), "x")


@pytest.mark.parametrize("write", [torchs, keras, scaled_first, by_hard_sigmoid])
def test_hard_swish_in_any_order(write):
    g = Graph()
    proto = g.model(write(g))
    assert same_after(proto) == {"HardSwish": 1}
    assert kinds(proto) == ["HardSwish"]


def test_gelu_with_the_half_on_either_side():
    for half_first in (True, False):
        g = Graph()
        raised = g("Add", g("Erf", g("Mul", "x", 2**-0.5)), 1.0)
        if half_first:
            last = g("Mul", g("Mul", "x", 0.5), raised)
        else:
            last = g("Mul", 0.5, g("Mul", raised, "x"))
        proto = g.model(last)
        assert same_after(proto) == {"Gelu": 1}
        assert kinds(proto) == ["Gelu"]


def test_the_cube_of_tanhs_gelu_as_products():
    g = Graph()
    cube = g("Mul", g("Mul", "x", "x"), "x")
    inner = g("Mul", g("Add", "x", g("Mul", cube, 0.044715)), (2 / np.pi) ** 0.5)
    proto = g.model(g("Mul", g("Mul", 0.5, "x"), g("Add", 1.0, g("Tanh", inner))))
    assert same_after(proto) == {"Gelu": 1}


def test_mish_softplus_sigmoid_and_relu():
    g = Graph()
    mish = g("Mul", "x", g("Tanh", g("Softplus", "x")))
    sigmoid = g("Reciprocal", g("Add", g("Exp", g("Neg", mish)), 1.0))
    proto = g.model(g("Max", g("Max", sigmoid, 0.0), 0.0))
    found = same_after(proto)
    assert found["Mish"] == 1
    assert "Sigmoid" in found or "Relu" in found


@pytest.mark.parametrize(
    "write",
    [
        lambda g: g("Div", g("Mul", "x", g("Clip", g("Add", "x", 3.0), 0.0, 6.0)), 5.0),
        lambda g: g("Mul", "x", g("Add", g("Erf", g("Mul", "x", 0.7)), 1.0)),
        lambda g: g("Min", g("Max", "x", 0.0), 50.0),  # a bound beyond the usual
        lambda g: g("Mul", g("Add", "x", 1.0), g("Sigmoid", "x")),
    ],
)
def test_what_is_nearly_a_known_function_stays(write):
    g = Graph()
    proto = g.model(write(g))
    before = kinds(proto)
    assert same_after(proto) == {}
    assert kinds(proto) == before


def test_a_value_inside_that_others_read_is_kept_for_them():
    g = Graph()
    raised = g("Clip", g("Add", "x", 3.0), 0.0, 6.0)
    last = g("Div", g("Mul", "x", raised), 6.0)
    proto = g.model(g("Add", last, raised))
    assert same_after(proto) == {"HardSwish": 1}
    assert sorted(kinds(proto)) == ["Add", "Add", "Clip", "HardSwish"]


def mean(g, value):
    return g("ReduceMean", value, [-1], keepdims=1)


def test_layer_norms_of_torch_and_of_tensorflow():
    random = np.random.default_rng(2)
    gain, shift = random.uniform(0.5, 2, SHAPE[-1]), random.standard_normal(SHAPE[-1])

    def torchs(g):
        centred = g("Sub", "x", mean(g, "x"))
        variance = mean(g, g("Pow", centred, 2.0))
        normal = g("Div", centred, g("Sqrt", g("Add", variance, 1e-6)))
        return g("Add", g("Mul", normal, gain), shift)

    def tensorflows(g):
        average = mean(g, "x")
        difference = g("Sub", "x", average)
        variance = mean(g, g("Mul", difference, difference))
        factor = g("Mul", g("Reciprocal", g("Sqrt", g("Add", variance, 1e-3))), gain)
        return g("Add", g("Mul", "x", factor), g("Sub", shift, g("Mul", average, factor)))

    for write in (torchs, tensorflows):
        g = Graph()
        proto = g.model(write(g))
        assert same_after(proto) == {"LayerNormalization": 1}
        assert kinds(proto) == ["LayerNormalization"]


def test_a_norm_over_another_axis_or_of_another_power_stays():
    for axis, power in (([1], 2.0), ([-1], 3.0)):
        g = Graph()
        centred = g("Sub", "x", g("ReduceMean", "x", axis, keepdims=1))
        variance = g("ReduceMean", g("Pow", centred, power), axis, keepdims=1)
        lifted = g("Abs", g("Add", variance, 1e-5))
        proto = g.model(g("Div", centred, g("Sqrt", lifted)))
        assert same_after(proto) == {}
