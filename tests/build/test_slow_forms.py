"""What a race showed to be slower is left out by the next build on the same machine, and told."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.races import candidate
from support.stage_lab import INFO

from edge_convnext.build import slow_forms as module
from edge_convnext.build.runner import Runner
from edge_convnext.build.slow_forms import (
    SlowForm,
    list_slow_forms,
    remember_slow_forms,
    tell_slow_forms,
)
from edge_convnext.core.cache import Cache
from edge_convnext.core.progress import untracked
from edge_convnext.measure.speed import Ratio
from edge_convnext.networks.recipe_file import make_recipe

PLANS = {
    "onnxruntime": {"form": "nhwc", "placement": "inner"},
    "openvino": {"form": "conv_moments", "placement": "inner"},
}
RECIPE = make_recipe({"model": "convnextv2_atto", "plans": PLANS, "benchmark": {"batches": [8, 2]}})
BOTH = ("onnxruntime", "openvino")


class Race:
    """Ratios to the planned form by name of the candidate; what is not named is a tie."""

    def __init__(self, folder, monkeypatch):
        self.runner = Runner(Cache(folder), RECIPE, {}, untracked)
        self.lows, self.load = {}, 0.0
        monkeypatch.setattr(module, "speedup", self.speedup)
        monkeypatch.setattr(module, "has_bf16", lambda _: True)

    def speedup(self, timings, usual, name, batch):
        assert batch == 2
        assert usual.split()[0] == ("nhwc" if "onnxruntime" in usual else "conv_moments")
        return Ratio(9.0, self.lows.get(name, 0.99), 9.9, 20)

    def run(self, *slow, **lows):
        """A race in which some forms were slower everywhere, and others as far as is said."""
        floats = [
            candidate("int8", precision="int8"),
            *(
                candidate(f"{form} {runtime} {hint}", form=form, runtime=runtime, hint=hint)
                for form in ("raw", "linear", "conv", "nhwc", "conv_moments")
                for runtime, hint in (
                    ("onnxruntime", "f32"),
                    ("openvino", "f32"),
                    ("openvino", "bf16"),
                )
            ),
        ]
        self.lows = {one.name: 1.2 for one in floats if one.model.form in slow}
        self.lows |= {f"linear {where}": low for where, low in lows.items()}
        timings = SimpleNamespace(other_load_pct=self.load, throttled_periods=None)
        remember_slow_forms(self.runner, INFO, floats, timings, "machine")

    def listed(self, info=INFO, runtimes=BOTH, machine="machine", runner=None):
        forms = ("linear", "conv")
        return [
            one.form
            for one in list_slow_forms(runner or self.runner, info, forms, runtimes, machine)
        ]


@pytest.fixture
def race(tmp_path, monkeypatch):
    return Race(tmp_path, monkeypatch)


def test_a_form_that_was_slower_everywhere_is_left_out_and_one_that_tied_once_is_not(race):
    assert race.listed() == []
    race.run("linear", "conv")
    race.lows = {}
    assert race.listed() == ["linear", "conv"]


@pytest.mark.parametrize("low", [1.03, 1.0, 0.99, None])
def test_one_runtime_in_which_it_may_be_as_fast_keeps_it_in_the_race(race, low):
    race.run("linear", "conv", **{"openvino bf16": low})
    assert race.listed() == ["conv"]
    assert race.listed(runtimes=("onnxruntime",)) == ["linear", "conv"]


def test_another_machine_network_or_size_races_again(race):
    race.run("linear", "conv")
    assert race.listed(machine="another") == []
    assert race.listed(replace(INFO, model="convnextv2_pico")) == []
    small = replace(INFO.preprocess, image_size=INFO.preprocess.image_size + 32)
    assert race.listed(replace(INFO, preprocess=small)) == []
    assert race.listed(replace(INFO, num_classes=INFO.num_classes + 1)) == []
    threads = RECIPE.benchmark.model_copy(update={"threads": 7})
    other = race.runner.with_recipe(RECIPE.model_copy(update={"benchmark": threads}))
    assert race.listed(runner=other) == []
    weights = replace(INFO, weights_sha256="other")
    assert race.listed(weights) == ["linear", "conv"]


def test_a_busy_machine_teaches_nothing(race):
    race.load = 50.0
    race.run("linear", "conv")
    assert race.listed() == []


def test_what_was_pruned_between_two_looks_is_raced_again(race, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "holds", lambda *_: True)
        assert race.listed() == []
    race.run("linear", "conv")  # the look left nothing that stands in the way
    assert race.listed() == ["linear", "conv"]


def test_the_report_says_when_and_by_how_much(race):
    race.run("linear", **{"openvino bf16": 1.05})
    (found,) = list_slow_forms(race.runner, INFO, ("linear", "conv"), BOTH, "machine")
    assert found.slowdown_lo == 1.05  # of all its races the one in which it was nearest
    told = tell_slow_forms(
        [SlowForm("linear", 1.054, "2026-11-30"), SlowForm("conv", 2, "2026-1-1")]
    )
    assert (
        "linear (2026-11-30, at least 1.05 times as slow), "
        "conv (2026-1-1, at least 2.00 times as slow)" in told
    )
