from dataclasses import replace

from support.written_graphs import attending, branched

from edge_convnext.graph.roles import describe
from edge_convnext.runtimes.onnxruntime.plan_rules import PLAN_RULES
from edge_convnext.runtimes.plan_rules import Way, default_plans


def test_convolutions_are_unsigned_and_not_fused_as_products():
    left = default_plans(describe(branched()), PLAN_RULES)
    assert left[:2] == (Way("closed", "uint8"), Way("closed_gates", "uint8"))
    assert {(way.activation_type, way.format) for way in left} == {("uint8", "qdq")}


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
