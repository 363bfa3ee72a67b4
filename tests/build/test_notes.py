"""The sentences that a reader needs to judge a build's figures."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from support.races import candidate

from edge_convnext.build import notes as module
from edge_convnext.build.notes import (
    arm_notes,
    calibration_notes,
    gpu_notes,
    list_notes,
    untimed_note,
)
from edge_convnext.core.artifacts import Parity
from edge_convnext.graph.findings import Finding
from edge_convnext.measure.accuracy import Comparison
from edge_convnext.measure.timings import BenchmarkResult
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import HALF_SEARCHED
from edge_convnext.report.stages import FallbackReport

RECIPE = make_recipe({})


def inputs(**fields):
    usual = {
        "info": SimpleNamespace(weights_licence=None), "splits": None, "demo": False,
        "borrowed": False, "random": False, "calibration": None, "notes": (),
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **fields})


def notes(own=None, recipe=RECIPE, evaluation=None, timings=None, fallbacks=(), for_gpu=()):
    return list_notes(own or inputs(), recipe, evaluation, timings, fallbacks, for_gpu)


def test_a_build_with_nothing_to_note_has_no_notes():
    assert notes() == ()


def test_terms_borrowed_images_and_what_was_read_are_noted_each_once():
    own = inputs(
        info=SimpleNamespace(weights_licence="CC BY"), borrowed=True, notes=("Read.", "Read.")
    )
    licence, borrowed, read = notes(own)
    assert "licence, CC BY," in licence
    assert borrowed.startswith("No data was given")
    assert read == "Read."


@pytest.mark.parametrize(
    ("evaluated", "by_seed", "demo", "told"),
    [
        (True, True, False, 1),
        (False, True, False, 0),
        (True, False, False, 0),
        (True, True, True, 0),
    ],
)
def test_accuracies_on_a_split_drawn_here_are_doubted(evaluated, by_seed, demo, told):
    own = inputs(splits=SimpleNamespace(by_seed=by_seed), demo=demo)
    found = notes(own, evaluation="evaluation" if evaluated else None)
    assert len([one for one in found if "has no split of its own" in one]) == told


def test_fp16_on_a_cpu_says_little():
    (note,) = notes(recipe=make_recipe({"precision": "fp16"}))
    assert note.startswith("FP16 graphs are for GPUs")


QUIET = BenchmarkResult((), (), 0.0)


def test_a_busy_machine_is_told_with_what_to_do():
    busy = BenchmarkResult((), (), 60.0)
    (note,) = notes(timings=busy)
    assert note.endswith("machine, or wait for one with --wait-quiet MINUTES.")
    waited = make_recipe({"benchmark": {"wait_quiet_min": 5}})
    (note,) = notes(recipe=waited, timings=busy)
    assert note.endswith("machine, for which 5 minutes of waiting were not enough.")


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_notes_on_calibration_are_for_int8(precision):
    own = inputs(calibration=SimpleNamespace(notes=("Few.",)))
    recipe = make_recipe({"precision": precision})
    found = calibration_notes(own, recipe, evaluated=True)
    assert found == (["Few."] if precision == "int8" else [])
    own.borrowed = True
    assert calibration_notes(own, recipe, evaluated=True) == []


def fallback(**fields):
    usual = {
        "graph": "conv.inner", "kept_float": ("a", "b"), "quantized_ops": 9,
        "top1_drop_before_pp": 3.0, "top1_drop_pp": 0.5, "searched_on": "training images",
        "n_searched": 1200, "n_judged": 300, "sensitivity": (),
    }  # fmt: skip
    return FallbackReport(**{**usual, **fields})


def test_what_was_done_about_a_graph_past_the_budget_is_told():
    (note,) = notes(fallbacks=[fallback(speedup_vs_full=0.875)], timings=QUIET)
    assert note == (
        "INT8 conv.inner lost 3.00 pp of top-1: 2 of its 9 operations were returned to float, "
        "chosen on 1,200 images (training images). On the 300 evaluation images that were not "
        "looked at, which every accuracy here is of, that leaves 0.50 pp, at 0.88x its speed: a, b."
    )
    (note,) = notes(fallbacks=[fallback(searched_on=HALF_SEARCHED)])
    assert note.endswith(
        "a, b. Only half of the images that are added will be used to judge: add twice as many."
    )
    (note,) = notes(fallbacks=[fallback(kept_float=None)])
    assert note.endswith("and no fallback to float holds the budget.")
    (note,) = notes(fallbacks=[fallback(reason="there is no data")])
    assert note.endswith("and no fallback to float was looked for: there is no data.")


def test_on_a_busy_machine_what_a_fallback_costs_is_its_interval():
    busy = BenchmarkResult((), (), 60.0)
    known = fallback(speedup_vs_full=0.875, speedup_vs_full_ci95=(0.8, 0.9))
    for one, cost in (
        (known, ", at >0.80x its speed: a, b."),
        (fallback(speedup_vs_full=0.875), ": a, b."),
    ):
        note = notes(fallbacks=[one], timings=busy)[-1]
        assert note.endswith(f"that leaves 0.50 pp{cost}")


def test_rounds_that_are_too_few_for_a_verdict_are_told():
    few = {"benchmark": {"rounds": 5}}
    (note,) = notes(recipe=make_recipe(few))
    assert note.startswith("--rounds 5 is too few for a verdict on speed")
    assert notes(recipe=make_recipe({**few, "precision": "fp32"})) == ()


def test_a_verdict_without_a_race_says_what_it_rests_on():
    assert untimed_note(None, built=False) == "No engine was built: nothing was timed."
    assert untimed_note("a.onnx", built=True) == (
        "The engines were built and never run: that accuracy is of a.onnx in ONNX Runtime, and "
        "nothing was timed."
    )


def lineage(path, digest):
    final = SimpleNamespace(value=SimpleNamespace(path=Path(path)))
    before = SimpleNamespace(digest=digest)
    return SimpleNamespace(final=final, before=lambda _: before)


def test_what_was_measured_of_graphs_for_tensorrt_is_told_with_the_files_made_of_it():
    made = [lineage("int8.b1.onnx", "q"), lineage("int8.b8.onnx", "q"), lineage("x.onnx", "r")]
    graph, other = candidate("q", precision="int8"), candidate("f")
    found = Comparison(8, 1.5, (0.0, 3.0), 3, 2, 87.5, None)
    evaluation = SimpleNamespace(comparisons={"q": found, "f": found})
    assert list(gpu_notes(made, [graph, other], None, None)) == []
    measured, engines = gpu_notes(made, [graph, other], evaluation, "built, not timed")
    assert measured.endswith("drop 1.50 pp, agreement 87.50 %, equal logits.")
    assert measured.count(" and gpu/") == 1
    assert engines == "The engines were built, not timed."


def arm_graphs():
    near, equal = Parity(32, 0.1, 30.25, 100.0), Parity(32, 0.0, None, 100.0)
    return {
        "cpu/int8.arm.onnx": SimpleNamespace(
            digest="q", parity=near, value=SimpleNamespace(path=Path("pairs.onnx"))
        ),
        "cpu/fp32.openvino.onnx": SimpleNamespace(digest="f", parity=equal, value=None),
        "cpu/fp32.onnxruntime.onnx": SimpleNamespace(digest="g", parity=None, value=None),
    }


NAMES = {"q": "model.int8.onnx", "f": "cpu/fp32.openvino.onnx", "g": "model.fp32.onnx"}


def test_of_graphs_for_arm_it_is_told_what_was_compared_and_that_nothing_was_timed(monkeypatch):
    monkeypatch.setattr(module, "lint", lambda *_: ())
    graph = candidate("q", precision="int8")
    found = Comparison(8, 1.5, (0.0, 3.0), 3, 2, 87.5, None)
    evaluation = SimpleNamespace(comparisons={"q": found})
    (told,) = arm_notes(("arm-cpu",), arm_graphs(), NAMES, evaluation, graph)
    assert told.startswith("For Arm CPUs nothing was timed: ")
    assert told.endswith(
        "in ONNX Runtime on this CPU: model.int8.onnx 30.2 dB on 32 images; cpu/fp32.openvino.onnx "
        "equal logits on 32 images; model.fp32.onnx was not compared. On the evaluation images: "
        "drop 1.50 pp, agreement 87.50 %, equal logits."
    )
    (told,) = arm_notes(("arm-cpu",), arm_graphs(), NAMES, None, graph)
    assert told.endswith("model.fp32.onnx was not compared.")
    assert list(arm_notes(("cpu",), arm_graphs(), NAMES, evaluation, graph)) == []
    assert list(arm_notes(("cpu",), {}, {}, None, None)) == []


def test_what_openvino_does_not_compile_on_arm_is_told_of_every_build(monkeypatch):
    asked = []

    def lint(path, target):
        asked.append((path.name, target))
        warning = Finding("float-on-arm", "warning", "b", "slow", "none")
        return (warning, Finding("reduced-axes", "error", "a", "is not compiled", "nhwc"))

    monkeypatch.setattr(module, "lint", lint)
    (told,) = arm_notes(("cpu",), arm_graphs(), NAMES, None, None)
    assert asked == [("pairs.onnx", "openvino-aarch64")]
    assert told == ("On an Arm CPU, ONNX Runtime alone runs model.int8.onnx: a: is not compiled.")
