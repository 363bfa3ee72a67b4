from itertools import product

import numpy as np
import pytest

from edge_convnext.graph.least_cut import Pipes

VERTICES = 5  # beside the source and the sink


def draw(seed):
    """Pipes between all vertices, some of which can't be cut; the source never joins the sink."""
    random = np.random.default_rng(seed)
    ends = [(a, b) for a in range(VERTICES + 2) for b in range(VERTICES + 2) if a != b]
    chosen = [ends[at] for at in random.choice(len(ends), 14, replace=False)]
    return [
        (tail, head, None if random.random() < 0.2 and {tail, head} != {0, 1} else cost)
        for (tail, head), cost in zip(chosen, random.integers(1, 6, 14).tolist(), strict=True)
    ]


def cost_of(pipes, last):
    cut = [cost for tail, head, cost in pipes if tail not in last and head in last]
    return None if None in cut else sum(cut)


@pytest.mark.parametrize("seed", range(40))
def test_no_other_cut_is_cheaper_and_none_as_cheap_has_fewer_vertices(seed):
    pipes = draw(seed)
    made = Pipes()
    for _ in range(VERTICES):
        made.vertex()
    for one in pipes:
        made.join(*one)
    every = [
        {1, *(at + 2 for at, there in enumerate(sides) if there)}
        for sides in product((False, True), repeat=VERTICES)
    ]
    costs = {frozenset(last): cost_of(pipes, last) for last in every}
    possible = [cost for cost in costs.values() if cost is not None]
    if not possible:
        pytest.skip("every cut of these is forbidden")
    found = made.sink_side()
    assert costs[found] == min(possible)
    assert all(found <= last for last, cost in costs.items() if cost == min(possible))


def test_a_long_chain_is_cut_where_it_is_cheapest():
    made, before = Pipes(), 0
    for at in range(5000):
        after = made.vertex()
        made.join(before, after, 2 if at == 3000 else 3)
        before = after
    made.join(before, 1, 3)
    assert len(made.sink_side()) == 5000 - 3000 + 1


def test_what_nothing_joins_is_on_the_side_of_the_source():
    made = Pipes()
    made.vertex()
    assert made.sink_side() == {1}
