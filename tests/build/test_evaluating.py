from types import SimpleNamespace

import numpy as np
import pytest
from support.evaluations import evaluation_of, images

from edge_convnext.build import evaluating
from edge_convnext.build.evaluating import Evaluator
from edge_convnext.build.search_images import SearchImages, choose_search_images


def named(name):
    return SimpleNamespace(name=name)


@pytest.fixture
def evaluator(monkeypatch):
    """Evaluates 200 images; what each option gets right, the test states."""
    runner = SimpleNamespace(
        recipe=SimpleNamespace(evaluate=SimpleNamespace(fallback=True), seed=0)
    )
    inputs = SimpleNamespace(evaluation=images(200), splits=None, calibration=None, weights=None)
    prepared = SimpleNamespace(runner=runner, inputs=inputs, graphs=None, samples=None)
    right = {}

    def evaluate(options, weights, images, runner, machine):
        return evaluation_of({option.name: right[option.name] for option in options})

    monkeypatch.setattr(evaluating, "evaluate_options", evaluate)
    made = Evaluator(prepared, "machine")
    made.right = right
    return made


def test_what_is_reported_of_a_fallback_is_of_images_the_search_never_saw(evaluator, monkeypatch):
    search = choose_search_images(images(200), None, (), 0)
    lucky = np.ones(200, bool)
    lucky[search.judges[:30]] = False  # good wherever the search looks
    evaluator.right |= {"full": np.zeros(200, bool), "found": lucky}
    seen = []

    def hold(runner, graphs, options, evaluation, look, samples):
        assert evaluation.comparisons["full"].n_images == 200
        seen.append(look([named("found")]).comparisons["found"])
        return [SimpleNamespace(options=(named("found"),), replaced=tuple(options))]

    monkeypatch.setattr(evaluating, "hold_budget", hold)
    evaluator.add([named("full")])
    further = evaluator.hold_budget([named("full")])
    assert [one.name for one in further] == ["found"]
    assert (seen[0].n_images, seen[0].top1_drop_pp) == (100, 0.0)
    judged = evaluator.found.comparisons["found"]
    assert (judged.n_images, judged.lost) == (100, 30)
    assert evaluator.found.comparisons["full"].n_images == 100
    assert len(evaluator.found.reference.labels) == 100
    evaluator.right["late"] = np.ones(200, bool)
    evaluator.add([named("late")])  # a float that the race brought up
    assert evaluator.found.comparisons["late"].n_images == 100
    assert isinstance(evaluator.searched, SearchImages)


def test_where_no_fallback_is_found_every_image_judges(evaluator, monkeypatch):
    missed = SimpleNamespace(options=(), replaced=())
    monkeypatch.setattr(evaluating, "hold_budget", lambda *_: [missed])
    evaluator.right["full"] = np.zeros(200, bool)
    evaluator.add([named("full")])
    assert evaluator.hold_budget([named("full")]) == []
    assert evaluator.found.comparisons["full"].n_images == 200
    assert (evaluator.fallbacks, evaluator.searched) == ([missed], None)
