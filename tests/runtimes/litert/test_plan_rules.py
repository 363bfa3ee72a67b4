"""Ways to quantize for LiteRT."""

from __future__ import annotations

from edge_convnext.runtimes.litert.plan_rules import PLAN_RULES


def test_each_way_is_in_its_own_format_with_signed_weights():
    assert {(way.format, way.activation_type) for way in PLAN_RULES.ways} == {("litert", "int8")}
    assert {way.placement for way in PLAN_RULES.ways} == {"dense", "inner"}
