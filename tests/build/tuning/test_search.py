"""A whole search over a tiny model, with a clock of its own: no timing is real."""

import numpy as np
import pytest
from support.builds import write_images

from edge_convnext.build.tuning import lab, search
from edge_convnext.build.tuning import tune as tune_module
from edge_convnext.build.tuning.report import tune_to_files
from edge_convnext.build.tuning.tune import tune, tuned_recipe
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import RecipeError
from edge_convnext.measure.benchmark import BenchmarkResult
from edge_convnext.networks.convnext import sizes
from edge_convnext.networks.plans import plan_for
from edge_convnext.networks.recipe_file import load_recipe, make_recipe


class Row:
    def __init__(self, name, times):
        self.artifact, self.round_latency_ms_p50 = name, tuple(times)


class Stopwatch:
    """Stands in for the benchmark; every label has a latency that the test states."""

    def __init__(self, latency_ms, other_load_pct=3.0):
        self.latency_ms, self.other_load_pct, self.raced = latency_ms, other_load_pct, []

    def __call__(self, candidates, images, config, *_arguments, **_options):
        names = [candidate.name for candidate in candidates]
        self.raced.append(names)
        random = np.random.default_rng(len(self.raced))
        rows = [
            Row(name, self.latency_ms(name) * random.normal(1.0, 1e-4, config.rounds))
            for name in names
        ]
        return BenchmarkResult(tuple(rows), (), self.other_load_pct)


@pytest.fixture(scope="module", autouse=True)
def small():
    """Turn `atto` into a network that exports in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sizes.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    pytest.importorskip("nncf", reason="the build extra is not installed")
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    counts = {"train/cat": 8, "train/dog": 8, "val/cat": 2, "val/dog": 2}
    return write_images(tmp_path_factory.mktemp("images"), counts)


def recipe_of(root, **fields):
    return make_recipe(
        {
            "runtime": "onnxruntime",
            "load": {"weights": "random", "num_classes": 2},
            "data": {"source": str(root)},
            "preprocess": {"image_size": 32},
            "quantize": {"subset_size": 12, "placement": "inner", "activation_type": "int8"},
            "simplify": {"enabled": False},
            **fields,
        }
    )


def linear_is_fast(name):
    base = 1.0 if name.startswith("linear.inner.ort") else 2.0
    return base * (0.9 if "allow_spinning" in name else 1.0)


@pytest.mark.slow
def test_a_full_search_refines_what_won_and_is_remembered(root, cache, monkeypatch, tmp_path):
    watch = Stopwatch(linear_is_fast)
    monkeypatch.setattr(lab, "benchmark", watch)
    recipe = recipe_of(root)
    report = tune_to_files(recipe, "full", tmp_path / "tune", lambda x, *_: x, cache)
    (winner,) = [one for one in report.result.trials if one.won]
    assert (winner.plan.form, winner.plan.format) == ("linear", "onnxruntime")
    assert winner.plan.settings == (("session.intra_op.allow_spinning", "0"),)  # worth 10 %
    assert winner.lap is not None
    assert winner.heat == 2
    assert report.result.winners == {"onnxruntime": winner.plan}
    assert all(one.reason for one in report.result.trials)
    # What the recipe states is not searched, and what is not searched says so.
    raced = {name for names in watch.raced for name in names}
    assert all(".inner" in name and "uint8" not in name for name in raced)
    assert any("states the placement inner" in one.reason for one in report.result.trials)
    tuned = load_recipe(str(tmp_path / "tune" / "tuned.yaml"))
    assert plan_for(tuned, "onnxruntime") == winner.plan
    assert tuned.benchmark == recipe.benchmark  # the batch that was tuned for is not a wish
    watch.raced.clear()
    again = tune(recipe, "full", cache)
    assert again.winners == report.result.winners
    assert watch.raced == []


@pytest.mark.slow
def test_a_quick_search_stops_at_its_limit_whoever_spent_it(root, cache, monkeypatch):
    monkeypatch.setattr(lab, "benchmark", Stopwatch(linear_is_fast))
    monkeypatch.setattr(tune_module, "_QUICK_LIMIT_S", 0.0)
    recipe = recipe_of(root)
    first = tune(recipe, "quick", cache)
    second = tune(recipe, "quick", cache)
    assert first.stopped == second.stopped == {"onnxruntime": "the time limit of 0 s"}
    assert first.winners == second.winners
    assert first.refined == {"onnxruntime": "not run: ConvNeXt is not placed by role"}
    assert all(one.heat == 1 for one in first.trials)
    assert plan_for(tuned_recipe(recipe, first), "onnxruntime") == first.winners["onnxruntime"]


@pytest.mark.slow
def test_a_recipe_that_leaves_no_plan_is_one_line(root, cache):
    recipe = recipe_of(root, export={"form": "raw"})
    with pytest.raises(RecipeError, match="tune has no graph for onnxruntime: the recipe leaves"):
        tune(recipe, "quick", cache)


@pytest.mark.slow
def test_a_quick_search_calibrates_in_full_until_one_finalist_holds_the_budget(
    root, cache, monkeypatch
):
    monkeypatch.setattr(lab, "benchmark", Stopwatch(linear_is_fast))
    recipe = recipe_of(root)
    found = tune(recipe, "quick", cache)
    checked = [one for one in found.trials if one.parity is not None]
    assert checked == [one for one in found.trials if one.won]
    answers = iter([False, True])
    monkeypatch.setattr(search, "holds", lambda *_: next(answers))
    found = tune(recipe, "quick", cache)
    assert len([one for one in found.trials if one.parity is not None]) == 2
    assert not list(answers)


@pytest.mark.slow
def test_what_was_timed_under_load_is_not_remembered(root, cache, monkeypatch):
    watch = Stopwatch(lambda name: 1.0 if "linear" in name else 3.0, other_load_pct=60.0)
    monkeypatch.setattr(lab, "benchmark", watch)
    recipe = recipe_of(root)
    # No other test races this batch size.
    first = tune(recipe, "quick", cache, batch=2)
    assert first.other_load_pct == 60.0
    rungs = len(watch.raced)
    tune(recipe, "quick", cache, batch=2)
    assert len(watch.raced) > rungs
    quiet = Stopwatch(watch.latency_ms)
    monkeypatch.setattr(lab, "benchmark", quiet)
    tune(recipe, "quick", cache, batch=2)
    assert quiet.raced
    quiet.raced.clear()
    tune(recipe, "quick", cache, batch=2)
    assert not quiet.raced


@pytest.mark.slow
def test_what_a_recipe_states_of_gelu_and_ranges_holds_for_every_plan(root, cache, monkeypatch):
    monkeypatch.setattr(lab, "benchmark", Stopwatch(linear_is_fast))
    ptq = {"subset_size": 12, "placement": "inner", "activation_type": "int8"}
    stated = {"activations_range_estimator": "minmax"}
    recipe = recipe_of(root, quantize={**ptq, **stated}, export={"gelu": "tanh"})
    found = tune(recipe, "quick", cache)
    raced = [one.plan for one in found.trials if one.lap is not None]
    assert {(plan.gelu, plan.range_estimator) for plan in raced} == {("tanh", "minmax")}
