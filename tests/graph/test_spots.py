import numpy as np
import pytest
from support.written_graphs import attending, branched, draw, forked, write

from edge_convnext.graph.placements import PLACEMENTS, quantized
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.roles import describe
from edge_convnext.graph.spots import find_never_negative, list_spots
from edge_convnext.graph.structure import read_structure


def spots(proto, placement, ignored=()):
    roles = describe(proto)
    wanted = quantized(roles, placement) - set(ignored)
    found = list_spots(
        read_structure(proto), Wiring(proto), roles, wanted, PLACEMENTS[placement], ignored
    )
    return {spot.tensor: spot for spot in found}


@pytest.mark.parametrize(
    ("placement", "tensors"),
    [
        ("weighted", ["images", "pooled", "silu", "sum", "flat"]),
        ("dense", ["images", "pooled", "silu", "sum", "flat"]),
        ("adds", ["images", "pooled", "silu", "two", "sum", "flat"]),
        (
            "closed",
            ["images", "relu6", "pooled", "one", "silu", "two", "sum", "left", "right", "both",
             "pool", "flat"],
        ),
        (
            "closed_gates",
            ["images", "relu6", "pooled", "one", "gate", "silu", "two", "sum", "left", "right",
             "both", "pool", "flat"],
        ),
    ],
)  # fmt: skip
def test_what_each_placement_quantizes_in_the_graphs_order(placement, tensors):
    assert list(spots(branched(), placement)) == tensors


def test_who_reads_the_quantized_tensor():
    assert spots(branched(), "dense")["sum"].readers == {"left"}  # `right` is grouped
    assert spots(branched(), "weighted")["sum"].readers == {"left", "right"}
    assert spots(branched(), "weighted")["pooled"].readers == {"one"}  # the sum reads it in float
    assert spots(branched(), "adds")["pooled"].readers is None


def test_the_energy_of_a_tensor_is_that_of_all_that_read_it():
    left, right = draw(6, 8, 1, 1, seed=3), draw(6, 4, 3, 3, seed=4)
    grouped = [np.square(right[3 * g : 3 * g + 3, c]).sum() for g in (0, 1) for c in range(4)]
    expected = np.square(left).sum(axis=(0, 2, 3)) + grouped
    np.testing.assert_allclose(spots(branched(), "weighted")["sum"].energy, expected, rtol=1e-5)


def test_sums_that_a_norm_reads_stay_float_and_attention_is_asked_for():
    assert list(spots(attending(), "closed")) == ["rows", "norm", "last"]
    assert {"query", "turned", "shares", "value"} < set(spots(attending(), "attention"))


def test_an_ignored_node_is_not_what_something_is_quantized_for():
    assert "gate" not in spots(branched(), "closed_gates", ("gate", "silu"))
    assert "two" in spots(branched(), "closed", ("sum",))  # as the output of its convolution
    assert "two" not in spots(branched(), "adds", ("sum",))


def never_negative(nodes, constants):
    proto = write(nodes, constants)
    return find_never_negative(read_structure(proto), Wiring(proto))


def test_what_is_never_negative_by_what_makes_it():
    proto = branched()
    found = find_never_negative(read_structure(proto), Wiring(proto))
    assert found == {"relu6", "pooled", "gate"}


@pytest.mark.parametrize(("low", "holds"), [(0.0, True), (-1.0, False)])
def test_a_clip_is_never_negative_by_its_bound(low, holds):
    found = never_negative([("Clip", ("images", "low"), "y")], {"low": np.float32(low)})
    assert ("y" in found) is holds


def test_a_constant_may_be_negative_and_a_mean_of_positive_values_is_not():
    nodes = [
        ("Relu", ("images",), "x"),
        ("Add", ("x", "c"), "y"),
        ("GlobalAveragePool", ("x",), "z"),
    ]
    found = never_negative(nodes, {"c": np.float32(-1)})
    assert "z" in found
    assert "y" not in found


def test_what_works_on_sizes_alone_is_not_quantized():
    """A class token is spread over a dynamic batch, by a Concat of int64 that no image changes."""
    nodes = [
        ("Shape", ("images",), "sizes"),
        ("Concat", ("sizes", "rest"), "spread", {"axis": 0}),
        ("Reshape", ("images", "shape"), "rows"),
        ("MatMul", ("rows", "weight"), "out"),
    ]
    constants = {
        "rest": np.array([4]),
        "shape": np.array([1, 16, 12]),
        "weight": draw(12, 5),
    }
    assert list(spots(write(nodes, constants), "closed")) == ["rows"]


@pytest.mark.parametrize(
    ("floats", "readers"),
    [
        (("stem", "left"), {"right"}),
        (("left",), None),  # the map is INT8 already
        (("stem",), None),
        (("stem", "left", "right"), "no pair"),
    ],
)
def test_a_float_product_reads_what_a_float_product_made_as_it_is(floats, readers):
    found = spots(forked(), "closed", floats)
    if readers == "no pair":
        assert "relu" not in found
    else:
        assert found["relu"].readers == readers
