import pytest
from support.written_graphs import excited

from edge_convnext.core.errors import RecipeError
from edge_convnext.graph.placements import PLACEMENTS, count_start, find_placement, quantized
from edge_convnext.graph.roles import Product, Roles, describe

ROLES = describe(excited())


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ("weighted", {"stem", "window", "logits"}),
        ("dense", {"stem", "logits"}),
        ("inner", set()),
        ("closed", {"stem", "window", "logits"}),
        ("closed_gates", {"stem", "reduce", "expand", "window", "logits"}),
        ("fused", {"stem", "logits"}),
    ],
)
def test_what_a_placement_takes_by_role(placement, expected):
    assert quantized(ROLES, placement) == expected


def product(name, kind, stage, macs=1):
    return Product(
        name, kind, first=False, last=False, gate=False, computed=False, downsample=False,
        stage=stage, macs=macs, behind="nothing", activation="x", weight="w", axis=1,
    )  # fmt: skip


def test_attention_is_taken_where_it_is_asked_for_and_late_stages_count_from_the_end():
    roles = Roles(
        tuple(product(f"{kind}{stage}", kind, stage) for stage in range(3) for kind in "ab"), {}
    )
    assert quantized(roles, "late_blocks") == {"a1", "b1", "a2", "b2"}
    assert quantized(roles, "last_blocks") == {"a2", "b2"}
    attention = Roles((product("qk", "attention", 0), product("v", "linear", 0)), {})
    assert quantized(attention, "weighted") == {"v"}
    assert quantized(attention, "attention") == {"qk", "v"}


def test_each_entry_has_its_reason_and_its_name():
    assert all(one.why and name == one.name for name, one in PLACEMENTS.items())


def test_an_unknown_placement_is_refused_with_those_that_there_are():
    with pytest.raises(
        RecipeError, match=r"unknown placement 'everything'.*weighted, weighted_later, dense"
    ):
        find_placement("everything")


def test_the_first_products_stay_float_while_together_they_do_little():
    macs = {"stem": 3, "window": 1, "project": 4, "expand": 1, "last": 91}
    roles = Roles(tuple(product(name, "conv", 0, count) for name, count in macs.items()), {})
    assert [count_start(roles, share) for share in (0.0, 0.03, 0.079, 0.08, 0.09)] == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert quantized(roles, "closed_later") == {"expand", "last"}
    assert quantized(roles, "weighted_later") == {"expand", "last"}
    assert quantized(roles, "closed") == set(macs)
    assert count_start(Roles((), {}), 0.08) == 0


@pytest.mark.parametrize("share", [0.0, 0.08])
@pytest.mark.parametrize("macs", [(0, 0, 0), (0, 4, 96)])
def test_a_product_whose_work_is_unknown_is_not_taken_for_a_light_one(macs, share):
    roles = Roles(tuple(product(f"p{at}", "conv", 0, count) for at, count in enumerate(macs)), {})
    assert count_start(roles, share) == 0
    assert quantized(roles, "closed_later") == quantized(roles, "weighted") == {"p0", "p1", "p2"}
