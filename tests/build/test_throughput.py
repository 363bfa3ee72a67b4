"""Throughput in a build: of what the verdict is about, and only where it is asked for."""

from types import SimpleNamespace

import numpy as np
import pytest

from edge_convnext.build import throughput
from edge_convnext.build.throughput import serve_chosen
from edge_convnext.core.progress import untracked
from edge_convnext.networks.recipe_file import make_recipe

INT8, FLOAT, RAW = (SimpleNamespace(name=name) for name in ("int8", "float", "raw"))


def prepared(asked, runtimes=("openvino",)):
    recipe = make_recipe({"benchmark": {"throughput": asked}, "seed": 5})
    return SimpleNamespace(
        runner=SimpleNamespace(recipe=recipe, track=untracked),
        runtimes=runtimes,
        samples=SimpleNamespace(load=lambda: [np.zeros((2, 3, 4, 4)), np.ones((1, 3, 4, 4))]),
    )


@pytest.fixture
def served(monkeypatch):
    calls = []
    monkeypatch.setattr(throughput, "measure_throughput", lambda *rest: calls.append(rest) or "x")
    return calls


def choice(chosen, best_float=FLOAT):
    return SimpleNamespace(chosen=chosen, best_float=best_float)


def test_what_ships_is_served_beside_the_best_float_and_the_raw_export(served):
    found = serve_chosen(prepared(True), SimpleNamespace(raw=RAW), choice(INT8))
    ((candidates, images, config, wanted, seed, _),) = served
    assert (found, candidates, images.shape, seed) == ("x", [INT8, FLOAT, RAW], (3, 3, 4, 4), 5)
    assert config.throughput
    assert (wanted.percentile, wanted.limit_ms) == (90.0, None)


def test_a_float_that_ships_is_served_once(served):
    serve_chosen(prepared(True), SimpleNamespace(raw=None), choice(FLOAT))
    assert served[0][0] == [FLOAT]


@pytest.mark.parametrize(
    ("asked", "runtimes", "chosen"),
    [(False, ("openvino",), INT8), (True, (), INT8), (True, ("openvino",), None)],
)
def test_nothing_is_served_unasked_or_without_a_candidate(served, asked, runtimes, chosen):
    entrants = SimpleNamespace(raw=RAW)
    assert serve_chosen(prepared(asked, runtimes), entrants, choice(chosen)) is None
    assert served == []
