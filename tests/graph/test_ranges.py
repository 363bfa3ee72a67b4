"""Which range each quantizer gets, on values small enough to search by hand."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.graph.activations import Activations
from edge_convnext.graph.affine import Grid, make_grid
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.ranges import choose_grid, choose_ranges, set_ranges, weight_energy

RANDOM = np.random.default_rng(0)
SHARES = 2.5 * 0.1 ** (np.arange(41) / 40)  # from 2.5 down to 0.25, in equal ratios


def seen_of(rows, low, high):
    return Activations(*(np.array(each, np.float32) for each in (low, high, rows)))


def cost(grid, rows, energy):
    """Squared error of each channel, weighted by what reads it."""
    errors = [np.mean((grid.round(row) - row).astype(np.float64) ** 2) for row in rows.T]
    return np.dot(errors, energy)


def test_without_a_search_the_range_is_that_of_the_values_seen():
    seen = seen_of([[9.0, 9.0]], [-1.0, -3.0], [2.0, 0.5])
    energy = np.ones(2, np.float32)
    assert choose_grid(seen, energy, "int8", clip=False) == make_grid(-3.0, 2.0, "int8")
    assert choose_grid(seen, energy, "uint8", clip=False) == make_grid(-3.0, 2.0, "uint8")


@pytest.mark.parametrize("spread", [0.05, 1.0, 3.0])
def test_a_signed_range_is_the_cheapest_of_all_shares(spread):
    rows = (RANDOM.standard_normal((200, 3)) * [spread, 1.0, 0.1]).astype(np.float32)
    seen = seen_of(rows, [-2.0, -1.0, -0.5], [1.5, 1.0, 0.2])
    energy = np.array([1.0, 0.5, 200.0], np.float32)
    grids = [make_grid(-2.0 * share, 1.5 * share, "int8") for share in SHARES]
    best = min(grids, key=lambda grid: cost(grid, rows, energy))
    found = choose_grid(seen, energy, "int8", clip=True)
    assert found.scale == pytest.approx(best.scale)
    assert (found.zero_point, found.kind) == (0, "int8")


def test_an_outlier_that_hardly_counts_is_clipped_and_one_that_counts_is_not():
    rows = RANDOM.uniform(-1, 1, (400, 2)).astype(np.float32)
    rows[0, 1] = 8.0
    seen = seen_of(rows, [-1.0, -1.0], [1.0, 8.0])
    clipped = choose_grid(seen, np.array([1.0, 1e-6], np.float32), "int8", clip=True)
    kept = choose_grid(seen, np.array([1e-6, 1.0], np.float32), "int8", clip=True)
    assert clipped.scale * 127 < 8.0 / 3
    assert kept.scale * 127 > 8.0 * 0.8


def test_the_ends_of_an_unsigned_range_are_searched_in_turn():
    rows = np.concatenate(
        [RANDOM.uniform(-0.5, 3.0, (300, 2)), [[6.0, -2.0]], RANDOM.uniform(3, 4, (30, 2))]
    ).astype(np.float32)
    seen = seen_of(rows, [-0.5, -2.0], [6.0, 4.0])
    energy = np.array([1.0, 0.3], np.float32)

    def price(low, high):
        return cost(make_grid(low, high, "uint8"), rows, energy)

    low, high = -2.0, 6.0
    for _ in range(2):
        low = min((-2.0 * share for share in SHARES), key=lambda end: price(end, high))
        high = min((6.0 * share for share in SHARES), key=lambda end: price(low, end))
    found = choose_grid(seen, energy, "uint8", clip=True)
    expected = make_grid(low, high, "uint8")
    assert found.scale == pytest.approx(expected.scale)
    assert (found.zero_point, found.kind) == (expected.zero_point, "uint8")


def product_of(kind, shape, **attributes):
    build = Builder()
    weight = RANDOM.standard_normal(shape).astype(np.float32)
    build.constant("w", weight)
    build.node(kind, ["x", "w"], "y", **attributes)
    graph = helper.make_graph(build.nodes, "g", [], [], build.constants)
    return Wiring(helper.make_model(graph)), build.nodes[0], weight


@pytest.mark.parametrize(
    ("kind", "shape", "attributes", "kept"),
    [
        ("Conv", (5, 3, 2, 2), {}, 1),
        ("Conv", (5, 3, 2, 2), {"group": 1}, 1),
        ("Conv", (6, 1, 7, 7), {"group": 6}, 0),
        ("Conv", (6, 3, 1, 1), {"strides": [2, 2], "group": 1}, 1),
        ("Gemm", (5, 3), {"transB": 1}, 1),
        ("Gemm", (5, 3), {}, 0),
        ("Gemm", (5, 3), {"transB": 0}, 0),
        ("MatMul", (5, 3), {}, 0),
        ("MatMul", (2, 5, 3), {}, 1),
    ],
)
def test_the_energy_of_weights_is_added_up_by_input_channel(kind, shape, attributes, kept):
    wiring, node, weight = product_of(kind, shape, **attributes)
    expected = (np.moveaxis(weight, kept, 0).reshape(shape[kept], -1) ** 2).sum(axis=1)
    np.testing.assert_allclose(weight_energy(wiring, node), expected, rtol=1e-6)


def float_twin(quantized):
    """The graph without its Q/DQ, under the same names, and its weight."""
    build = Builder()
    stored = {one.name: numpy_helper.to_array(one) for one in quantized.graph.initializer}
    conv = any(node.op_type == "Conv" for node in quantized.graph.node)
    scale = stored["weight_scale"].reshape((-1, 1, 1, 1) if conv else (1, -1))
    weight = stored["weight"].astype(np.float32) * scale
    build.constant("weights", weight)
    build.constant("bias", stored["bias"])
    if conv:
        result = build.node("Conv", ["images", "weights", "bias"], "product")
        shape = [1, CHANNELS, 4, 4]
    else:
        result = build.node(
            "Add", [build.node("MatMul", ["images", "weights"], "product"), "bias"], "sum"
        )
        shape = [1, 4, 4, CHANNELS]
    return build.model({"images": shape}, result, 4), weight


@pytest.mark.parametrize("kind", ["MatMul", "Conv"])
@pytest.mark.parametrize("clip", [True, False])
def test_the_quantizer_of_a_product_gets_the_range_of_its_input(kind, clip):
    quantized = quantized_product(kind)
    reference, weight = float_twin(quantized)
    shape = (4, CHANNELS, 4, 4) if kind == "Conv" else (4, 4, 4, CHANNELS)
    images = RANDOM.standard_normal(shape).astype(np.float32) * 2
    images[0, 0, 0, 0] = 40.0
    found = choose_ranges(quantized, reference, [images], "int8", clip=clip)
    assert found.keys() == {"q/QuantizeLinear"}
    kept = 1 if kind == "Conv" else 0
    energy = (np.moveaxis(weight, kept, 0).reshape(CHANNELS, -1) ** 2).sum(axis=1)
    expected = choose_grid(halves(images, kind), energy, "int8", clip=clip)
    assert found["q/QuantizeLinear"].scale == pytest.approx(expected.scale)


def halves(images, kind="MatMul"):
    """Ranges of every other image, rows of those between."""
    channels_last = np.moveaxis(images, 1 if kind == "Conv" else 3, -1)
    first, second = (channels_last[at::2].reshape(-1, CHANNELS) for at in (0, 1))
    return Activations(first.min(axis=0), first.max(axis=0), second)


def test_what_is_not_a_quantizer_of_a_products_input_gets_no_range():
    weight_only = quantized_product(quantize_input=False)
    reference, _ = float_twin(weight_only)
    images = RANDOM.standard_normal((2, 4, 4, CHANNELS)).astype(np.float32)
    assert choose_ranges(weight_only, reference, [images], "int8", clip=False) == {}
    moved = quantized_product()
    (product,) = [node for node in moved.graph.node if node.op_type == "MatMul"]
    move = helper.make_node("Transpose", ["dq"], ["moved"], name="moved", perm=[0, 2, 1, 3])
    product.input[0] = "moved"
    moved.graph.node.insert(2, move)
    assert choose_ranges(moved, reference, [images], "int8", clip=False) == {}


def test_two_products_of_one_tensor_add_up_their_energies():
    quantized = quantized_product()
    reference, weight = float_twin(quantized)
    louder = weight * np.float32(100) * (np.arange(CHANNELS) == 0)[:, None]  # of a small channel
    assert louder.dtype == np.float32
    reference.graph.initializer.append(numpy_helper.from_array(louder, "louder"))
    for proto, name in ((quantized, "weights"), (reference, "louder")):
        again = helper.make_node("MatMul", ["dq", name], ["again"], name="again/MatMul")
        again.input[0] = "dq" if proto is quantized else "images"
        proto.graph.node.append(again)
    images = RANDOM.standard_normal((8, 4, 4, CHANNELS)).astype(np.float32)
    images[..., 0] *= 0.01
    (found,) = choose_ranges(quantized, reference, [images], "int8", clip=True).values()
    energies = [np.square(one).sum(axis=1) for one in (weight, louder)]
    grids = [
        choose_grid(halves(images), energy, "int8", clip=True)
        for energy in (energies[0] + energies[1], *energies)
    ]
    assert found.scale == pytest.approx(grids[0].scale)
    assert found.scale != pytest.approx(grids[1].scale)


@pytest.mark.parametrize(("kind", "dtype"), [("int8", np.int8), ("uint8", np.uint8)])
def test_a_grid_is_written_into_a_quantizer_and_all_its_readers(kind, dtype):
    proto = quantized_product()
    second = onnx.NodeProto.FromString(proto.graph.node[1].SerializeToString())
    second.name, second.output[0] = "dq.2", "dq.2"
    proto.graph.node.insert(2, second)
    set_ranges(proto, {"q/QuantizeLinear": Grid(0.125, 5, kind)})
    names = ["q/QuantizeLinear.scale", "q/QuantizeLinear.zero_point"]
    assert [list(node.input[1:]) for node in proto.graph.node[:3]] == [names] * 3
    wiring = Wiring(proto)
    scale, zero_point = (wiring.value(name) for name in names)
    assert (scale.dtype, scale.shape, float(scale)) == (np.float32, (), 0.125)
    assert (zero_point.dtype, zero_point.shape, int(zero_point)) == (dtype, (), 5)
    assert wiring.constants.keys() == {
        *names, "weight", "weight_scale", "weight_zero", "bias",
    }  # fmt: skip
    onnx.checker.check_model(proto, full_check=True)


@pytest.mark.parametrize("groups", [2, 4])
def test_the_energy_of_a_grouped_convolution_is_of_each_groups_own_outputs(groups):
    weight = RANDOM.standard_normal((8, 8 // groups, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=groups)
    graph = helper.make_graph([node], "g", [], [], [numpy_helper.from_array(weight, "w")])
    energy = weight_energy(Wiring(helper.make_model(graph)), node)
    expected = [
        np.square(weight[group * 8 // groups : (group + 1) * 8 // groups, channel]).sum()
        for group in range(groups)
        for channel in range(8 // groups)
    ]
    np.testing.assert_allclose(energy, expected, rtol=1e-5)


def test_a_depthwise_convolution_may_have_several_outputs_a_channel():
    weight = RANDOM.standard_normal((6, 1, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=3)
    graph = helper.make_graph([node], "g", [], [], [numpy_helper.from_array(weight, "w")])
    energy = weight_energy(Wiring(helper.make_model(graph)), node)
    np.testing.assert_allclose(energy, np.square(weight).reshape(3, -1).sum(axis=1), rtol=1e-5)
