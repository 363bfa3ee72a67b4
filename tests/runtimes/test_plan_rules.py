"""Default plans by structure: what every runtime's table leaves of its ways."""

import pytest
from support.written_graphs import attending, branched, excited

from edge_convnext.graph.placements import PLACEMENTS
from edge_convnext.graph.roles import Roles, describe
from edge_convnext.runtimes.load import RUNTIMES, find_runtime, runtime_names
from edge_convnext.runtimes.plan_rules import (
    PORTABLE,
    Bar,
    PlanRules,
    Way,
    default_plans,
    is_convolutional,
    list_barred,
    multiplies_gates,
)

NETWORKS = {make.__name__: describe(make()) for make in (attending, branched, excited)}
MOST = 12


@pytest.mark.parametrize("runtime", runtime_names("graphs"))
@pytest.mark.parametrize("network", NETWORKS)
def test_a_few_ways_are_left_for_every_kind_of_network(runtime, network):
    rules = find_runtime(runtime).PLAN_RULES
    left = default_plans(NETWORKS[network], rules)
    assert 2 <= len(left) <= MOST
    assert set(left) <= set(rules.ways)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_each_way_is_one_that_there_is_and_each_bar_has_its_evidence(runtime):
    rules = find_runtime(runtime).PLAN_RULES
    assert len(set(rules.ways)) == len(rules.ways)
    assert all(way.placement in PLACEMENTS for way in rules.ways)
    assert all(bar.why and bar.source for bar in rules.bars)


def test_engines_are_raced_by_no_build():
    assert all(not find_runtime(one).PLAN_RULES.ways for one in runtime_names("engines"))


def test_what_is_barred_has_the_first_rule_that_bars_it():
    first = Bar(lambda _roles, way: way.placement == "adds", "first", "here")
    both = Bar(lambda _roles, _way: True, "both", "here")
    rules = PlanRules((Way("adds"), Way("dense")), (first, both))
    barred = list_barred(Roles((), {}), rules)
    assert [(way.placement, bar.why) for way, bar in barred] == [
        ("adds", "first"),
        ("dense", "both"),
    ]
    assert default_plans(Roles((), {}), rules) == ()
    assert default_plans(Roles((), {}), PlanRules(rules.ways)) == rules.ways


def test_what_a_placement_has_nothing_for_is_not_raced_twice():
    def left(network):
        return {way.placement for way in default_plans(NETWORKS[network], PORTABLE)}

    assert "dense" in left("branched")  # a grouped convolution
    assert "dense" not in left("attending")
    assert "adds" in left("branched")


def test_kinds_of_networks():
    assert is_convolutional(NETWORKS["branched"])
    assert not is_convolutional(NETWORKS["attending"])
    assert multiplies_gates(NETWORKS["branched"])  # SiLU
    assert multiplies_gates(NETWORKS["excited"])
    assert not multiplies_gates(NETWORKS["attending"])
