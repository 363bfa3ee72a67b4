"""Which groups of products can change their type, and the plan that results."""

from dataclasses import replace

import pytest
from support.written_graphs import attending, draw, excited, write

from edge_convnext.build.tuning.changes import list_changes
from edge_convnext.core.product_groups import MOST_GROUPS
from edge_convnext.graph.placements import PLACEMENTS
from edge_convnext.networks.plans import Plan


def plan(placement="weighted", floats=(), int8=()):
    return Plan("raw", placement, "uint8", float_groups=floats, int8_groups=int8)


def found(proto, of):
    return {
        (one.group, one.to): (one.plan.float_groups, one.plan.int8_groups)
        for one in list_changes(proto, of)
    }


def test_what_is_quantized_goes_to_float_and_what_is_float_to_int8():
    assert found(excited(), plan()) == {
        ("first", "float"): (("first",), ()),
        ("depthwise@0", "float"): (("depthwise@0",), ()),
        ("gate", "int8"): ((), ("gate",)),
        ("last", "float"): (("last",), ()),
    }


def test_the_largest_come_first_with_their_share_of_the_work():
    changes = list_changes(excited(), plan())
    assert [one.group for one in changes] == ["first", "depthwise@0", "gate", "last"]
    assert sum(one.share_pct for one in changes) == pytest.approx(100.0)
    assert changes[0].words == "first in float (75 % of the work)"
    assert changes[2].words == "gate in INT8 (0 % of the work)"
    assert {replace(one.plan, float_groups=(), int8_groups=()) for one in changes} == {plan()}


def test_what_the_placement_says_itself_needs_no_name():
    changes = found(excited(), plan(floats=("first",), int8=("gate",)))
    assert changes["first", "int8"] == ((), ("gate",))
    assert changes["gate", "float"] == (("first",), ())
    assert changes["last", "float"] == (("first", "last"), ("gate",))


def test_a_group_that_is_both_can_go_either_way():
    # A window that halves the map is between stages, which `blocks` leaves float.
    pads = {"pads": [1, 1, 1, 1]}
    constants = {"w1": draw(8, 3, 3, 3), "w2": draw(8, 8, 3, 3), "w3": draw(5, 8)}
    proto = write(
        [
            ("Conv", ("images", "w1"), "stem", pads),
            ("Conv", ("stem", "w2"), "down", {**pads, "strides": [2, 2]}),
            ("Conv", ("down", "w2"), "inside", pads),
            ("GlobalAveragePool", ("inside",), "pool"),
            ("Flatten", ("pool",), "flat"),
            ("Gemm", ("flat", "w3"), "logits", {"transB": 1}),
        ],
        constants,
    )
    changes = found(proto, plan("blocks", (), ("last",)))
    assert changes["conv@1", "float"] == (("conv@1",), ("last",))
    assert changes["conv@1", "int8"] == ((), ("conv@1", "last"))


def test_something_stays_in_int8():
    assert ("last", "float") not in found(excited(), plan(floats=("first", "depthwise@0")))
    assert ("first", "int8") in found(excited(), plan(floats=("first", "depthwise@0")))


def test_attention_can_be_taken_in():
    changes = found(attending(), plan())
    assert ("attention@0", "int8") in changes


def test_a_plan_names_so_many_groups_and_no_more():
    names = ("first", "first@0", "gate", "gate@0") * 3
    assert len(names) == MOST_GROUPS
    assert ("last", "float") in found(excited(), plan(floats=names[1:]))
    assert ("last", "float") not in found(excited(), plan(floats=names))
    assert ("first", "float") not in found(excited(), plan(floats=names))


def test_what_has_no_stored_weight_is_left_as_it_is():
    proto = write(
        [
            ("Conv", ("images", "w1"), "stem"),
            ("GlobalAveragePool", ("stem",), "pool"),
            ("Flatten", ("pool",), "flat"),
            ("Transpose", ("w2",), "turned"),
            ("MatMul", ("flat", "turned"), "logits"),
        ],
        {"w1": draw(8, 3, 3, 3), "w2": draw(5, 8)},
    )
    assert {group for group, _ in found(proto, plan())} == set()
    assert found(proto, plan("inner")) == {("first", "int8"): ((), ("first",))}


def test_a_start_that_the_placement_leaves_float_can_be_taken_in():
    proto = write(
        [
            ("Conv", ("images", "w1"), "stem"),
            ("Conv", ("stem", "w2"), "wide", {"pads": [1, 1, 1, 1]}),
            ("GlobalAveragePool", ("wide",), "pool"),
            ("Flatten", ("pool",), "flat"),
            ("Gemm", ("flat", "w3"), "logits", {"transB": 1}),
        ],
        {"w1": draw(4, 3, 1, 1), "w2": draw(16, 4, 3, 3), "w3": draw(5, 16)},
    )
    start = next(name for name, one in PLACEMENTS.items() if one.float_start)
    changes = found(proto, plan(start))
    assert changes["first", "int8"] == ((), ("first",))
    assert ("first", "float") not in changes
