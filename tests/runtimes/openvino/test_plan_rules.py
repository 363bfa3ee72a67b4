from dataclasses import replace

from support.written_graphs import attending, branched, excited

from edge_convnext.graph.roles import describe
from edge_convnext.runtimes.openvino.plan_rules import PLAN_RULES
from edge_convnext.runtimes.plan_rules import Way, default_plans


def test_nothing_is_signed_behind_a_concat_of_convolutions():
    left = default_plans(describe(branched()), PLAN_RULES)
    assert {way.activation_type for way in left} == {"mixed", "uint8"}
    assert Way("adds", "mixed") in left


def test_without_one_signed_maps_are_tried():
    assert Way("weighted") in default_plans(describe(excited()), PLAN_RULES)


def test_transformers_keep_their_sums_in_float():
    left = default_plans(describe(attending()), PLAN_RULES)
    assert not {"adds", "closed", "closed_later"} & {way.placement for way in left}
    assert {Way("attention"), Way("attention", "mixed"), Way("weighted")} <= set(left)


def test_a_start_in_float_is_raced_where_it_is_light():
    heavy = describe(branched())
    stem, *rest = heavy.products
    light = replace(heavy, products=(replace(stem, macs=1), *rest))
    later = {Way("weighted_later", "uint8"), Way("closed_later", "uint8")}
    assert not later & set(default_plans(heavy, PLAN_RULES))
    assert later <= set(default_plans(light, PLAN_RULES))
