"""What a build evaluates, races and chooses, and when it evaluates more."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.races import candidate

from edge_convnext.build import entrants as module
from edge_convnext.build.entrants import (
    Entrants,
    choose_entrants,
    evaluate_entrants,
    race_entrants,
    verdict_batch,
)
from edge_convnext.networks.recipe_file import make_recipe

RECIPE = make_recipe({"benchmark": {"batches": [8, 2]}})
FLOAT, RAW = candidate("float", hint="f32"), candidate("raw", hint="f32")
BF16, OTHER = (candidate(name, runtime="openvino", hint="bf16") for name in ("bf16", "other"))
RIVAL = replace(candidate("form", hint="f32"), may_ship=False)
INT8, HELD = (candidate(name, precision="int8", hint="f32") for name in ("int8", "held"))
GPU = candidate("gpu", precision="int8", hint="f32")


class Evaluator:
    """Notes what it is asked to evaluate."""

    def __init__(self, known=(), further=(), fallbacks=()):
        self.found = SimpleNamespace(comparisons={})
        self.known = {one.name for one in known}
        self.further, self.fallbacks = list(further), fallbacks
        self.added = []

    def add(self, options):
        self.added.append([one.name for one in options])
        self.known |= {one.name for one in options}

    def knows(self, option):
        return option.name in self.known

    def hold_budget(self, options):
        return self.further


def prepared(precision="int8", runtimes=("onnxruntime",)):
    recipe = RECIPE.model_copy(update={"precision": precision})
    return SimpleNamespace(
        runner=SimpleNamespace(recipe=recipe, track="track"),
        graphs=SimpleNamespace(for_gpu=()),
        runtimes=runtimes,
        targets=("cpu",) if runtimes else ("rtx",),
        samples=SimpleNamespace(load=lambda: [np.zeros((2, 3)), np.ones((1, 3))]),
    )


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr(module, "list_options", lambda *_, **__: [FLOAT, RIVAL, INT8])
    monkeypatch.setattr(module, "list_gpu_options", lambda *_, **__: [GPU])
    monkeypatch.setattr(module, "raw_reference", lambda _: RAW)


def test_what_may_ship_is_evaluated_and_a_fallback_takes_the_place_of_what_it_mends(listed):
    evaluator = Evaluator(further=[HELD], fallbacks=[SimpleNamespace(replaced=(INT8,))])
    found = evaluate_entrants(prepared(), evaluator)
    assert evaluator.added == [["int8", "gpu"]]  # of the floats the race will ask for some
    assert found.options == [FLOAT, RIVAL, INT8, HELD]
    assert found.judged == [FLOAT, RIVAL, HELD]
    assert (found.for_gpu, found.raw) == ([GPU], RAW)


def test_of_a_float_build_every_form_may_ship_and_nothing_is_mended(listed):
    evaluator = Evaluator(further=[HELD])
    found = evaluate_entrants(prepared("fp32"), evaluator)
    assert evaluator.added == [["float", "form", "int8", "gpu"]]
    assert HELD not in found.options


def test_without_a_runtime_of_a_cpu_the_graphs_for_tensorrt_are_judged(listed):
    assert evaluate_entrants(prepared(runtimes=()), Evaluator()).judged == [GPU]


ARM, ARM_FLOAT = candidate("arm", precision="int8", hint="f32"), candidate("arm float", hint="f32")


@pytest.mark.parametrize("runtimes", [(), ("onnxruntime",)])
def test_graphs_for_arm_are_evaluated_and_judged_where_nothing_runs_here(
    listed, monkeypatch, runtimes
):
    monkeypatch.setattr(module, "list_arm_options", lambda _: [ARM, ARM_FLOAT])
    alone = []
    monkeypatch.setattr(
        module, "list_gpu_options", lambda *_, **how: alone.append(how["alone"]) or [GPU]
    )
    monkeypatch.setattr(module, "list_options", lambda *_, **__: [FLOAT, INT8] if runtimes else [])
    replaced = INT8 if runtimes else ARM
    evaluator = Evaluator(further=[HELD], fallbacks=[SimpleNamespace(replaced=(replaced,))])
    found = evaluate_entrants(prepared(runtimes=runtimes), evaluator)
    assert alone == [False]  # the float graph is there already
    if runtimes:
        assert evaluator.added == [["int8", "arm", "gpu"]]
        assert (found.judged, found.for_arm) == ([FLOAT, HELD], [ARM, ARM_FLOAT])
    else:
        assert evaluator.added == [["arm", "gpu"]]
        assert (found.judged, found.options) == ([ARM_FLOAT, HELD, GPU], [])
        assert found.for_arm == [ARM, ARM_FLOAT, HELD]


def test_the_cpu_decides_whether_exact_products_are_tried_too(listed, monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "list_options", lambda *_, **how: asked.append(how["overflows"]) or [FLOAT, INT8]
    )
    for flags in (("avx2",), ("avx2", "avx_vnni")):
        monkeypatch.setattr(module, "read_cpu", lambda _root, flags=flags: ("some CPU", flags))
        evaluate_entrants(prepared(), Evaluator())
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("scope", "evaluated"), [("full", ["bf16", "int8", "gpu"]), ("decision", ["int8", "gpu"])]
)
def test_of_the_floats_those_whose_accuracy_may_rule_them_out_are_evaluated(
    listed, monkeypatch, scope, evaluated
):
    monkeypatch.setattr(module, "list_options", lambda *_, **__: [FLOAT, BF16, RIVAL, INT8])
    own = prepared()
    timing = own.runner.recipe.benchmark.model_copy(update={"scope": scope})
    own.runner.recipe = own.runner.recipe.model_copy(update={"benchmark": timing})
    evaluator = Evaluator()
    evaluate_entrants(own, evaluator)
    assert evaluator.added == [evaluated]


TOLD = ("track", "--wait-quiet MINUTES waits for a quiet machine")


@pytest.fixture
def raced(monkeypatch):
    """What was raced; rivals are those that the accuracy does not rule out."""

    class Calls(list):
        further = None

    calls = Calls()

    def race(candidates, images, recipe, finalists, track, left, contested, measure_memory=True):
        calls.append((candidates, len(images), finalists("timings"), track))
        further.append((recipe.benchmark.batches, left, contested, measure_memory))
        return "race"

    further = calls.further = []

    def list_rivals(recipe, judged, timings, evaluation, batch):
        assert (timings, batch) == ("timings", 2)
        return [BF16] if evaluation.comparisons == {} else [OTHER, FLOAT]

    monkeypatch.setattr(module, "race", race)
    monkeypatch.setattr(module, "tell_load", lambda *told: calls.append(told))
    monkeypatch.setattr(module, "list_rivals", list_rivals)
    monkeypatch.setattr(module, "list_finalists", lambda *_: [INT8])
    return calls


def test_a_rival_in_bfloat16_is_evaluated_before_it_counts_and_lets_another_in(raced):
    evaluator = Evaluator(known=[FLOAT])

    def add(options, real=evaluator.add):
        real(options)
        evaluator.found.comparisons["bf16"] = "past the budget"

    evaluator.add = add
    entrants = Entrants([FLOAT, INT8], [GPU], [FLOAT, INT8], RAW)
    assert race_entrants(prepared(), entrants, evaluator) == "race"
    assert evaluator.added == [["bf16"], ["other"]]
    assert raced == [TOLD, ([FLOAT, INT8, RAW], 3, [INT8, RAW], "track")]


UNFIT = candidate("unfit", runtime="openvino", hint="f32")


def test_a_float_that_may_not_ship_is_raced_and_judged_and_never_among_the_choices(
    raced, monkeypatch
):
    pools = []

    def list_rivals(recipe, floats, timings, evaluation, batch):
        pools.append(list(floats))
        return [UNFIT, FLOAT] if UNFIT in floats else [FLOAT]

    def list_finalists(recipe, judged, *_):
        assert UNFIT not in judged
        return [INT8, FLOAT]

    monkeypatch.setattr(module, "list_rivals", list_rivals)
    monkeypatch.setattr(module, "list_finalists", list_finalists)
    entrants = Entrants([FLOAT, INT8], [], [FLOAT, INT8], RAW, [UNFIT])
    race_entrants(prepared(), entrants, Evaluator(known=[FLOAT]))
    entered, _, finalists, _ = raced[1]
    assert entered == [FLOAT, INT8, UNFIT, RAW]
    assert finalists == [INT8, FLOAT, UNFIT, RAW]

    def never_unfit(*given):
        assert UNFIT not in given[1]
        return [FLOAT]

    monkeypatch.setattr(module, "choose_each", never_unfit)
    monkeypatch.setattr(module, "choose_float", lambda *given: never_unfit(*given)[0])
    monkeypatch.setattr(
        module, "choose_option", lambda judged, *_: never_unfit(None, judged) and INT8
    )
    known = Evaluator(known=[FLOAT])
    found = choose_entrants(RECIPE, [FLOAT, INT8], "timings", known, [UNFIT])
    assert (found.chosen, found.best_float) == (INT8, FLOAT)
    assert found.rivals == [FLOAT, UNFIT]
    assert choose_entrants(RECIPE, [FLOAT], None, known, [UNFIT]).rivals == []


def test_without_a_runtime_or_a_reference_there_is_less_to_race(raced):
    entrants = Entrants([FLOAT], [], [FLOAT], None)
    assert race_entrants(prepared(runtimes=()), entrants, Evaluator()) is None
    race_entrants(prepared(), entrants, Evaluator(known=[BF16]))
    assert raced == [TOLD, ([FLOAT], 3, [INT8], "track")]


def test_a_build_that_waits_for_a_quiet_machine_needs_no_advice_to(raced):
    waiting = prepared()
    waiting.runner.recipe = make_recipe({"benchmark": {"batches": [2], "wait_quiet_min": 1.0}})
    race_entrants(waiting, Entrants([FLOAT], [], [FLOAT], None), Evaluator(known=[BF16]))
    assert len(raced) == 1


def test_what_the_first_batch_size_leaves_goes_on_with_the_judged_and_the_reference(
    raced, monkeypatch
):
    entrants = Entrants([FLOAT, RIVAL, OTHER, INT8], [], [FLOAT, INT8], RAW)
    evaluator = Evaluator(known=[BF16])
    race_entrants(prepared(), entrants, evaluator)
    ((batches, left, contested, memory),) = raced.further
    assert (batches, memory) == ((8, 2), True)
    asked = []
    monkeypatch.setattr(module, "list_left", lambda *given: asked.append(given) or [INT8])
    judged = SimpleNamespace(names=(OTHER.name,))
    timings = SimpleNamespace(judged=judged)
    assert left(timings) == [OTHER, INT8, RAW]
    assert left(SimpleNamespace(judged=None)) == [INT8, RAW]
    assert asked[0][1:] == ([FLOAT, RIVAL, OTHER, INT8, RAW], timings, 2)
    monkeypatch.setattr(module, "list_contested", lambda *given: given[1:])
    assert contested(timings) == ([INT8], timings, 2)


def test_a_build_of_the_decision_alone_races_one_batch_size_and_measures_no_memory(raced):
    quick = prepared()
    quick.runner.recipe = make_recipe({"benchmark": {"batches": [8, 2], "scope": "decision"}})
    race_entrants(quick, Entrants([FLOAT], [], [FLOAT], None), Evaluator(known=[BF16]))
    ((batches, left, contested, memory),) = raced.further
    assert (batches, left, memory) == ((2,), None, False)
    assert contested is not None


@pytest.fixture
def choices(monkeypatch):
    monkeypatch.setattr(module, "list_rivals", lambda *_: [FLOAT])
    monkeypatch.setattr(module, "choose_option", lambda *_: INT8)
    monkeypatch.setattr(module, "choose_each", lambda *_: [OTHER])
    floats = iter([BF16, FLOAT])
    monkeypatch.setattr(module, "choose_float", lambda *_: next(floats))


def test_a_float_is_evaluated_before_it_ships(choices):
    evaluator = Evaluator(known=[FLOAT])
    found = choose_entrants(RECIPE, [FLOAT], "timings", evaluator)
    assert evaluator.added == [["bf16"]]
    assert (found.chosen, found.best_float) == (INT8, FLOAT)
    assert (found.rivals, found.for_runtimes) == ([FLOAT], [OTHER])


def test_of_a_float_build_the_float_is_chosen_and_without_a_race_nobody_was_a_rival(choices):
    recipe = RECIPE.model_copy(update={"precision": "fp32"})
    found = choose_entrants(recipe, [FLOAT], None, Evaluator(known=[BF16]))
    assert (found.chosen, found.best_float) == (BF16, BF16)
    assert (list(found.rivals), list(found.for_runtimes)) == ([], [])


def test_the_smallest_batch_size_decides():
    assert verdict_batch(RECIPE) == 2
