"""What a candidate is called, where it runs, and how it is loaded."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.races import candidate

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.measure import candidates
from edge_convnext.measure.candidates import Candidate, load_candidate, load_each
from edge_convnext.runtimes import RuntimeOptions


def of(name="conv.fp32", precision="fp32", hint="f32", settings=(), runtime="openvino"):
    model = OnnxModel(Path(f"{name}.onnx"), precision, "conv", "pointwise")
    graph = Step(model, "done", 0.0, f"digest of {name}")
    return Candidate.of(graph, runtime, hint, may_ship=False, settings=settings)


FLOAT = of()
INT8 = of("conv.int8", "int8", settings=(("A", "1"), ("B", "2")), runtime="onnxruntime")


def test_a_candidate_has_a_name_that_tells_all_that_sets_it_apart():
    assert FLOAT.name == "conv.fp32.onnx openvino f32"
    assert INT8.name == "conv.int8.onnx onnxruntime f32+A=1+B=2"
    assert INT8.label("model.int8.onnx") == "model.int8.onnx onnxruntime f32+A=1+B=2"
    assert replace(FLOAT, hint="bf16").name == "conv.fp32.onnx openvino bf16"
    assert replace(INT8, title="an engine").name == "an engine"


def test_a_candidate_of_a_step_is_its_graph():
    assert (INT8.model.path, INT8.digest) == (Path("conv.int8.onnx"), "digest of conv.int8")
    assert (INT8.runtime, INT8.hint, INT8.may_ship) == ("onnxruntime", "f32", False)


def test_a_candidate_has_no_settings_and_may_ship_unless_it_says_otherwise():
    one = Candidate(OnnxModel(Path("a.onnx"), "fp32", "raw"), "a", "onnxruntime")
    assert (one.hint, one.settings, one.may_ship, one.batch) == (None, (), True, None)


@pytest.mark.parametrize(
    ("runtime", "on_gpu"),
    [("onnxruntime", False), ("openvino", False), ("tensorrt", True), ("tensorrt_rtx", True)],
)
def test_engines_run_on_a_gpu(runtime, on_gpu):
    assert candidate("a", runtime=runtime).on_gpu is on_gpu


def test_a_candidate_of_one_batch_size_fits_that_alone():
    assert [candidate("a").fits(batch) for batch in (1, 2)] == [True, True]
    assert [replace(candidate("a"), batch=2).fits(batch) for batch in (1, 2)] == [False, True]


def test_a_candidate_is_loaded_as_it_runs(monkeypatch):
    calls = []
    monkeypatch.setattr(candidates, "load_runtime", lambda *given: calls.append(given))
    load_candidate(INT8, 3, 2)
    load_candidate(replace(FLOAT, batch=4), 3, None)
    load_candidate(FLOAT, None, None)
    settings = (("A", "1"), ("B", "2"))
    assert calls == [
        ("onnxruntime", Path("conv.int8.onnx"), RuntimeOptions(2, 3, "f32", settings)),
        ("openvino", Path("conv.fp32.onnx"), RuntimeOptions(None, 4, "f32")),
        ("openvino", Path("conv.fp32.onnx"), RuntimeOptions(None, None, "f32")),
    ]


def test_a_runtime_is_loaded_first_by_the_thread_that_asks_and_then_two_at_a_time(monkeypatch):
    seen = []

    def load(_runtime, path, _options):
        seen.append(threading.current_thread() is threading.main_thread())
        return path.name

    monkeypatch.setattr(candidates, "_LOADED", set())
    monkeypatch.setattr(candidates, "usable_cores", lambda: 2)
    monkeypatch.setattr(candidates, "load_runtime", load)
    two = [of("a"), of("b")]
    for _ in range(2):
        assert load_each(two, lambda one: load_candidate(one, 1, None)) == ["a.onnx", "b.onnx"]
    assert seen == [True, True, False, False]


def test_what_one_runtime_loaded_says_nothing_of_another(monkeypatch):
    seen = []
    monkeypatch.setattr(candidates, "_LOADED", {"openvino"})
    monkeypatch.setattr(candidates, "usable_cores", lambda: 2)
    load_each([FLOAT, INT8], lambda _: seen.append(threading.current_thread().name))
    assert seen == [threading.main_thread().name] * 2
