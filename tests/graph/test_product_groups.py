"""Groups of products: by role and stage, never by name."""

import pytest
from support.written_graphs import branched, excited

from edge_convnext.core.errors import QuantizationError
from edge_convnext.core.product_groups import Regrouping
from edge_convnext.graph.placements import find_placement, quantized, regroup
from edge_convnext.graph.product_groups import group_of, is_in_group, list_groups
from edge_convnext.graph.roles import describe

ROLES = describe(excited())
BRANCHED = describe(branched())


def named(groups):
    return {name: [one.name for one in products] for name, products in groups.items()}


def test_each_product_is_in_one_group_the_largest_first():
    assert named(list_groups(ROLES)) == {
        "first": ["stem"], "depthwise@0": ["window"], "gate": ["reduce", "expand"],
        "last": ["logits"],
    }  # fmt: skip
    groups = list_groups(BRANCHED)
    assert named(groups) == {
        "first": ["stem"], "pointwise@1": ["one", "two", "left"], "grouped@1": ["right"],
        "last": ["logits"],
    }  # fmt: skip
    work = [sum(one.macs for one in products) for products in groups.values()]
    assert work == sorted(work, reverse=True)
    assert all(is_in_group(one, group_of(one)) for one in (*ROLES.products, *BRANCHED.products))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pointwise", {"one", "two", "left"}),
        ("pointwise@1", {"one", "two", "left"}),
        ("pointwise@0", set()),
        ("pointwise@11", set()),
        ("first@0", {"stem"}),
        ("conv", set()),  # the only one is the first product
        ("grouped", {"right"}),
        ("linear", set()),
        ("last", {"logits"}),
    ],
)
def test_a_name_without_a_stage_means_every_stage(name, found):
    assert {one.name for one in BRANCHED.products if is_in_group(one, name)} == found


def test_groups_go_before_what_the_placement_says():
    def taken(placement, floats=(), int8=()):
        changed = regroup(find_placement(placement), Regrouping(floats, int8), ROLES)
        return quantized(ROLES, changed)

    assert taken("weighted", ("first", "depthwise@0")) == {"logits"}
    assert taken("inner", (), ("gate", "last")) == {"reduce", "expand", "logits"}
    assert taken("last_blocks", ("last",), ("depthwise",)) == {"window"}
    assert taken("weighted", ("gate",)) == taken("weighted") == {"stem", "window", "logits"}


def test_a_group_that_the_network_has_not_is_refused_with_those_it_has():
    for groups in (Regrouping(("attention@0",)), Regrouping((), ("attention@0",))):
        with pytest.raises(
            QuantizationError,
            match=r"'attention@0', which has no product.* first, depthwise@0, gate, last",
        ):
            regroup(find_placement("weighted"), groups, ROLES)
