from support.written_graphs import attending, branched, excited

from edge_convnext.graph.roles import describe
from edge_convnext.runtimes.plan_rules import Way, default_plans
from edge_convnext.runtimes.tensorrt.plan_rules import PLAN_RULES


def test_everything_is_signed_and_what_fuses_comes_first():
    for make in (attending, branched, excited):
        left = default_plans(describe(make()), PLAN_RULES)
        assert left[0] == Way("fused")
        assert {(way.activation_type, way.format) for way in left} == {("int8", "qdq")}


def test_depthwise_convolutions_stay_float():
    assert Way("weighted") in default_plans(describe(branched()), PLAN_RULES)
    assert Way("weighted") not in default_plans(describe(excited()), PLAN_RULES)
