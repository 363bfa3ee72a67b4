from dataclasses import replace

import pytest
from support.pointwise_nets import Net
from support.written_graphs import attending, branched

from edge_convnext.graph.roles import describe
from edge_convnext.runtimes.onnxruntime.plan_rules import PLAN_RULES
from edge_convnext.runtimes.plan_rules import Way, default_plans


def test_convolutions_are_unsigned_and_not_fused_as_products():
    left = default_plans(describe(branched()), PLAN_RULES)
    assert left[:2] == (Way("closed", "uint8"), Way("closed_gates", "uint8"))
    assert {(way.activation_type, way.format) for way in left} == {("uint8", "qdq")}


def inverted(activation, *, window=None, gated=None):
    """Two inverted residuals of 48 channels, perhaps with a larger convolution or gates."""
    net = Net()

    def act(x, kind=activation):
        if kind != "Silu":
            return net.node(kind, [x], f"{x}_act")
        return net.node("Mul", [x, net.node("Sigmoid", [x], f"{x}_sigmoid")], f"{x}_act")

    x = net.conv("stem", "widen", 6, 48)
    if window:
        x = net.conv(x, "larger", 48, 48, side=window)
    for at in range(2):
        y = act(net.conv(x, f"expand{at}", 48, 192))
        y = act(net.depthwise(y, f"window{at}", 192))
        if gated:
            s = net.node("GlobalAveragePool", [y], f"pool{at}")
            s = act(net.conv(s, f"reduce{at}", 192, 8), gated)
            s = net.node("Sigmoid", [net.conv(s, f"gate{at}", 8, 192)], f"factor{at}")
            y = net.node("Mul", [y, s], f"scaled{at}")
        x = net.node("Add", [net.conv(y, f"project{at}", 192, 48), x], f"sum{at}")
    return net.head(x, 48)


FUSED = {Way(one, "int8", "onnxruntime", "linear") for one in ("dense", "inner")}


@pytest.mark.parametrize(
    ("network", "raced"),
    [
        (inverted("Silu"), True),
        (inverted("Silu", gated="Silu"), True),
        (inverted("Silu", gated="Relu"), False),
        (inverted("Relu"), False),
        (inverted("Tanh", gated="Tanh"), False),  # as many Sigmoids as gates
        (inverted("HardSwish"), False),
        (inverted("Clip"), False),
        (inverted("Silu", window=3), False),
        (branched(), False),  # SiLU and no depthwise one
        (attending(), False),
    ],
)
def test_products_are_fused_between_silus_and_depthwise_convolutions_alone(network, raced):
    left = set(default_plans(describe(network), PLAN_RULES))
    assert FUSED & left == (FUSED if raced else set())
    assert {way for way in left if way.form} <= FUSED


def test_transformers_keep_their_sums_in_float_and_may_be_fused():
    left = default_plans(describe(attending()), PLAN_RULES)
    assert not {"adds", "closed_gates", "closed_later"} & {way.placement for way in left}
    assert {way.format for way in left} == {"qdq", "onnxruntime"}
    assert Way("attention") in left


def test_a_start_in_float_is_raced_where_it_is_light():
    heavy = describe(branched())
    stem, *rest = heavy.products
    light = replace(heavy, products=(replace(stem, macs=1), *rest))
    later = Way("closed_later", "uint8")
    assert later not in default_plans(heavy, PLAN_RULES)
    assert default_plans(light, PLAN_RULES)[:2] == (Way("closed", "uint8"), later)
