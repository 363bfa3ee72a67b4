"""What ships, what it has to beat, and who is judged, chosen from a race."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.measure import choose as choices
from edge_convnext.measure import worth
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.choose import (
    choose_each,
    choose_float,
    choose_option,
    list_contested,
    list_finalists,
    list_left,
    list_rivals,
)
from edge_convnext.measure.speed import Ratio
from edge_convnext.networks.recipe_file import make_recipe

RECIPE = make_recipe(
    {"model": "convnextv2_atto", "evaluate": {"max_drop_pp": 1.0}, "precision": "int8"}
)  # its plan in OpenVINO is of `conv_moments`


def option(form, precision="fp32", hint="f32", runtime="openvino"):
    model = OnnxModel(Path(f"{form}.{precision}.onnx"), precision, form)
    return Candidate.of(Step(model, "done", 0.0, form), runtime, hint, may_ship=True)


class Timings:
    """Milliseconds by option, over the rounds that choose."""

    def __init__(self, *pairs):
        self.ms = {one.name: ms for one, ms in pairs}

    def selecting_ms(self, name, batch):
        assert batch == 8
        return self.ms[name]


def drops(*pairs, db=30.0):
    return measured(*((one, drop, db) for one, drop in pairs))


def measured(*found):
    """An evaluation of options: each with its drop in pp, its SQNR in dB, and its agreement."""
    comparisons = {
        one.name: SimpleNamespace(
            top1_drop_pp=drop,
            sqnr_db=db,
            agreement_pct=agreement[0] if agreement else 98.0,
            n_images=200,
        )
        for one, drop, db, *agreement in found
    }
    return SimpleNamespace(comparisons=comparisons)


@pytest.fixture(autouse=True)
def tied(monkeypatch):
    """Names that the intervals can't tell apart: all, unless a test says which."""
    said = SimpleNamespace(names=None)
    for module in (choices, worth):
        monkeypatch.setattr(
            module,
            "in_the_running",
            lambda _, names, batch: names if said.names is None else said.names,
        )
    return said


FLOAT, A, B, C = option("raw"), *(option(name, "int8") for name in ("nhwc", "conv", "linear"))
TIMES = Timings((FLOAT, 0.5), (A, 3.0), (B, 1.0), (C, 2.0))


@pytest.mark.parametrize(
    ("evaluation", "chosen"),
    [
        (None, B),
        (drops((A, 0.0), (B, 1.0), (C, 0.0)), B),  # exactly the budget keeps it
        (drops((A, 0.0), (B, 1.1), (C, 0.5)), C),
        (drops((A, 0.0), (C, 5.0)), B),  # not evaluated: it counts
        (drops((A, 5.0), (B, 6.0), (C, 7.0)), B),  # none keeps it: the fastest
    ],
)
def test_the_fastest_that_keeps_the_budget_is_chosen(evaluation, chosen):
    assert choose_option([FLOAT, A, B, C], "int8", TIMES, evaluation, 1.0, 8) is chosen


NEAR = Timings((FLOAT, 2.0), (A, 1.05), (B, 1.0), (C, 1.06))


@pytest.mark.parametrize(
    ("found", "running", "chosen"),
    [
        ([(A, 0.0, 29.0), (B, 0.0, 28.5), (C, 0.0, 40.0)], None, A),  # C is slower by 6 %
        ([(A, 0.0, 22.4), (B, 0.0, 20.0)], ["B"], B),  # A is slower beyond the interval
        ([(A, 0.0, 22.6), (B, 0.0, 20.0)], ["B"], A),  # and near enough to be worth 5 %
        ([(A, 0.0, 20.5), (B, 0.0, 20.0), (C, 0.0, 24.0)], None, C),  # 4 dB are worth 6 %
        ([(A, 0.0, 30.0), (B, 0.0, 30.0)], None, B),
        ([(A, 0.0, None), (B, 0.0, 99.0)], None, A),  # equal logits
        ([(A, 0.0, 28.4, 97.0), (B, 0.0, 25.7, 98.0)], None, B),  # A answers fewer as FP32
        ([(A, 0.0, 28.4, 97.5), (B, 0.0, 25.7, 98.0)], None, A),  # by one image of 200
        ([(A, 0.0, 28.4, 98.0), (B, 0.0, 25.7, 97.0), (C, 0.0, 40.0, 96.0)], None, A),
        ([(A, 0.0, 24.0), (B, 0.0, 20.0), (C, 0.0, 24.1)], None, A),  # 0.1 dB are not worth 6 %
        ([(B, 0.0, 9.0)], None, B),  # A was not evaluated
        ([(A, 1.5, 30.0), (B, 0.0, 20.0)], None, B),  # A is past the budget
        ([(A, 1.5, 30.0), (B, 2.0, 20.0)], None, C),  # C alone may keep it
    ],
)
def test_of_those_as_fast_the_nearest_to_fp32_is_chosen(tied, found, running, chosen):
    tied.names = running and [B.name]
    assert choose_option([FLOAT, A, B, C], "int8", NEAR, measured(*found), 1.0, 8) is chosen


@pytest.mark.parametrize(("float_ms", "chosen"), [(1.12, C), (1.11, B), (1.04, B), (0.5, B)])
def test_nearness_is_worth_nothing_that_int8_has_not_won_over_the_float(float_ms, chosen):
    """A nearer INT8 that is no faster than the float would ship the float."""
    timings = Timings((FLOAT, float_ms), (B, 1.0), (C, 1.06))
    found = measured((B, 0.0, 24.0), (C, 0.0, 28.0))
    assert choose_option([FLOAT, B, C], "int8", timings, found, 1.0, 8) is chosen


def test_a_float_is_chosen_by_speed_alone():
    slow, fast = option("conv"), option("linear")
    times, found = (
        Timings((slow, 1.01), (fast, 1.0)),
        measured((slow, 0.0, 90.0), (fast, 0.0, 50.0)),
    )
    assert choose_option([slow, fast], "fp32", times, found, 1.0, 8) is fast


def test_without_timings_the_first_that_keeps_the_budget_is_chosen():
    assert choose_option([FLOAT, A, B], "int8", None, drops((A, 9.0)), 1.0, 8) is B
    assert choose_option([FLOAT], "int8", None, None, 1.0, 8) is None
    assert choose_option([FLOAT], "int8", TIMES, None, 1.0, 8) is None


# The plan's form in float32 and in bfloat16, another form, and another runtime.
USUAL, PLAIN = option("conv_moments", hint="bf16"), option("conv_moments")
RIVAL, ELSEWHERE = option("conv", hint="bf16"), option("nhwc", runtime="onnxruntime")
FLOATS = [PLAIN, USUAL, RIVAL, ELSEWHERE, A]


def race(fastest):
    return Timings(*((one, 1.0 if one is fastest else 2.0) for one in FLOATS))


@pytest.fixture
def ratio(monkeypatch):
    """What the race says of the fastest against the usual."""
    said = SimpleNamespace(value=Ratio(1.02, 0.99, 1.05, 20), asked=[])

    def speedup(timings, candidate, reference, batch):
        said.asked.append((candidate, reference, batch))
        return said.value

    monkeypatch.setattr(choices, "speedup", speedup)
    return said


@pytest.mark.parametrize(
    ("low", "chosen"), [(None, USUAL), (0.99, USUAL), (1.0, USUAL), (1.001, RIVAL)]
)
def test_another_form_than_the_plans_ships_where_it_was_faster_for_sure(ratio, low, chosen):
    ratio.value = Ratio(1.02, low, 1.05, 20)
    assert choose_float(RECIPE, FLOATS, race(RIVAL), None, 8) is chosen
    assert ratio.asked == [(RIVAL.name, USUAL.name, 8)]


def test_where_the_plans_form_was_fastest_or_nothing_was_timed_nothing_is_compared(ratio):
    assert choose_float(RECIPE, FLOATS, race(USUAL), None, 8) is USUAL
    assert choose_float(RECIPE, FLOATS, race(PLAIN), None, 8) is PLAIN  # in float32, as it ran
    assert choose_float(RECIPE, FLOATS, None, None, 8) is PLAIN
    assert choose_float(RECIPE, [A], race(A), None, 8) is None
    assert ratio.asked == []


def test_a_form_past_the_budget_neither_ships_nor_stands_in(ratio):
    ratio.value = Ratio(1.02, 1.01, 1.05, 20)
    assert choose_float(RECIPE, FLOATS, race(RIVAL), drops((USUAL, 1.5)), 8) is RIVAL
    assert ratio.asked == []
    within = drops((USUAL, 0.1), (RIVAL, 1.5))
    assert choose_float(RECIPE, [PLAIN, USUAL, RIVAL], race(RIVAL), within, 8) is PLAIN


def test_what_is_far_behind_is_left_out_floats_over_all_and_the_built_in_each_runtime():
    elsewhere = option("conv", "int8", runtime="onnxruntime")
    slow = option("linear", "int8", runtime="onnxruntime")
    ms = (
        (USUAL, 2.0), (PLAIN, 2.6), (RIVAL, 2.61), (ELSEWHERE, 9.0), (A, 1.0), (B, 1.3), (C, 1.31),
        (elsewhere, 5.0), (slow, 7.0),
    )  # fmt: skip
    times = Timings(*ms)
    times.rows = [SimpleNamespace(artifact=one.name, batch=8) for one, _ in ms]
    options = [one for one, _ in ms]
    unrun = option("raw")
    left = list_left(RECIPE, [*options, unrun], times, 8)
    assert left == [USUAL, PLAIN, A, B, elsewhere]
    floats = RECIPE.model_copy(update={"precision": "fp32"})
    assert list_left(floats, [USUAL, PLAIN, RIVAL], times, 8) == [USUAL, PLAIN]
    times.rows = []
    assert list_left(RECIPE, options, times, 8) == []


def test_further_rounds_are_for_what_they_may_choose_or_pass_over():
    alone = option("conv", "int8", runtime="onnxruntime")
    near = option("linear", "int8", runtime="litert")
    times = Timings((USUAL, 2.0), (PLAIN, 2.6), (A, 1.0), (B, 1.2), (alone, 5.0), (near, 1.3))
    left = [USUAL, PLAIN, A, B, alone, near]
    assert list_contested(RECIPE, left, times, 8) == [USUAL, PLAIN, A, B, near]
    # One float and one graph of each runtime, far from each other: nothing is left to choose.
    assert list_contested(RECIPE, [USUAL, A, alone], times, 8) == []
    floats = RECIPE.model_copy(update={"precision": "fp32"})
    assert list_contested(floats, [USUAL, PLAIN], times, 8) == [USUAL, PLAIN]


@pytest.fixture
def running(monkeypatch):
    """Who may be the fastest: the names that were asked for, the last one first."""
    asked = []

    def in_the_running(timings, names, batch):
        asked.append((timings, list(names), batch))
        return list(reversed(names))[:3]

    monkeypatch.setattr(choices, "in_the_running", in_the_running)
    return asked


def test_rivals_are_the_floats_that_may_be_the_fastest(running):
    times = race(RIVAL)
    assert list_rivals(RECIPE, FLOATS, times, None, 8) == [ELSEWHERE, RIVAL, USUAL]
    assert running == [(times, [one.name for one in (PLAIN, USUAL, RIVAL, ELSEWHERE)], 8)]
    past = drops((RIVAL, 1.5), (USUAL, 1.0))
    assert list_rivals(RECIPE, FLOATS, times, past, 8) == [ELSEWHERE, USUAL, PLAIN]


def test_finalists_are_the_choice_the_rivals_and_the_plans_float_each_once(running):
    times = race(A)
    found = list_finalists(RECIPE, [PLAIN, USUAL, RIVAL, A], times, None, 8)
    assert found == [A, RIVAL, USUAL, PLAIN]  # of RIVAL's runtime and hint, USUAL is the plan's
    alone = list_finalists(RECIPE, [option("conv"), PLAIN], Timings(
        (option("conv"), 1.0), (PLAIN, 2.0)), None, 8)  # fmt: skip
    assert [one.model.form for one in alone] == ["conv_moments", "conv"]
    last = [PLAIN, *(option(form) for form in ("raw", "linear", "conv"))]
    four = list_finalists(RECIPE, last, Timings(*((one, 1.0) for one in last)), None, 8)
    assert [one.model.form for one in four] == ["conv", "linear", "raw", "conv_moments"]


def test_each_runtime_has_what_ships_in_it_alone(ratio):
    ratio.value = Ratio(1.2, 1.1, 1.3, 20)
    slow, fast = (option(form, "int8", runtime="onnxruntime") for form in ("conv", "linear"))
    options = [*FLOATS, B, C, slow, fast]
    times = Timings(
        (PLAIN, 4.0), (USUAL, 3.0), (RIVAL, 2.0), (ELSEWHERE, 9.0), (A, 5.0), (B, 1.0), (C, 1.5),
        (slow, 3.4), (fast, 1.4),
    )  # fmt: skip
    found = choose_each(RECIPE, options, times, drops((B, 4.0)), 8)
    assert [one.name for one in found] == [one.name for one in (RIVAL, C, ELSEWHERE, fast)]
    assert choose_each(RECIPE, [slow], times, None, 8) == [slow]
