"""What runs every stage: logits of whole sets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.stage_lab import SAMPLES, WEIGHTS, Lab, tools

from edge_convnext.build import runner
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ExportError
from edge_convnext.core.step import Stage
from edge_convnext.data.preprocess import PIXELS


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


RUNS = {
    "torch": {"artefact": "t", "runtime": "torch"},
    "one": {"artefact": "1", "runtime": "onnxruntime", "hint": "f32"},
    "two": {"artefact": "2", "runtime": "openvino", "hint": "bf16"},
}


def logits_of(name):
    return np.full((2, 3), sorted(RUNS).index(name), np.float32)


def run_logits(one, asked, runs=RUNS, **changes):
    def infer(names):
        asked.append(list(names))
        return {name: logits_of(name) for name in names}

    fields = {"images": "set", "preprocess": {"size": 8}, "machine": "m"} | changes
    return one.logits(runs, infer=infer, **fields)


def test_logits_are_run_in_one_pass_and_kept_apart(lab):
    asked = []
    first = run_logits(lab.runner, asked)
    assert asked == [["torch", "one", "two"]]
    assert list(first) == list(RUNS)
    for name, step in first.items():
        np.testing.assert_array_equal(step.value, logits_of(name))
        assert step.status == "done"
    shares = {step.seconds for step in first.values()}
    assert len(shares) == 1
    assert lab.fields[1] == (
        "evaluate",
        {
            "run": RUNS["one"], "images": "set", "preprocess": {"size": 8}, "machine": "m",
            "pixels": PIXELS, "batch": 7, "threads": 2,
            "tools": tools("edge-convnext", "pillow", "numpy", "onnxruntime"),
        },
    )  # fmt: skip
    assert lab.fields[2][1]["tools"]["openvino"] == "not installed"
    second = run_logits(lab.again(), asked)
    assert len(asked) == 1
    assert {step.status for step in second.values()} == {"cached"}
    assert {step.seconds for step in second.values()} == {0.0}
    np.testing.assert_array_equal(second["two"].value, logits_of("two"))


def test_the_time_of_a_pass_is_shared_by_those_that_ran(lab, monkeypatch):
    run_logits(lab.runner, [], {"one": RUNS["one"]})
    ticks = iter(range(1000))
    monkeypatch.setattr(runner.time, "perf_counter", lambda: 10.0 * next(ticks))
    found = run_logits(lab.again(), [])
    assert {name: step.seconds for name, step in found.items()} == {
        "torch": 5.0, "one": 0.0, "two": 5.0,
    }  # fmt: skip


def test_only_missing_logits_are_run_and_damaged_ones_alone(lab):
    asked = []
    run_logits(lab.runner, asked, {"one": RUNS["one"]})
    run_logits(lab.again(), asked)
    assert asked == [["one"], ["torch", "two"]]
    key = lab.keys[0]
    (lab.cache.root / "evaluate" / key / "logits.npy").write_bytes(b"damage")
    found = run_logits(lab.again(), asked)
    assert asked[2:] == [["one"]]
    np.testing.assert_array_equal(found["one"].value, logits_of("one"))
    assert "damaged" in found["one"].reason
    assert found["one"].seconds > 0.0


@pytest.mark.parametrize(
    "change",
    [{"images": "other"}, {"preprocess": {"size": 9}}, {"machine": "n"}],
)
def test_logits_of_anything_else_are_others(lab, change):
    asked = []
    run_logits(lab.runner, asked)
    run_logits(lab.again(), asked, **change)
    assert len(asked) == 2


def test_logits_that_differ_are_told_with_the_stage_the_limit_and_a_remedy():
    good = np.full((3, 2), 2.0, np.float32)
    for own, words in ((False, "report it with"), (True, "export the ONNX file again")):
        with pytest.raises(ExportError, match=f"accepted; {words}") as caught:
            runner.parity_result(good, good * 1.5, 1e-4, own, "lower")
        assert str(caught.value).startswith("lower: the logits differ from the model's by up to 1 ")
        assert "3 real images, and at most 0.0002 is accepted" in str(caught.value)
        assert "doctor --json" in str(caught.value)
    assert runner.parity_result(good, good * 1.00001, 1e-4, True)["parity"]["n_images"] == 3


def test_the_model_as_it_came_is_run_once_for_all_forms_on_the_same_images(lab, monkeypatch):
    asked = []

    def answer(model, batches):
        asked.append(model)
        return np.zeros((1, 2), np.float32)

    monkeypatch.setattr(runner, "logits_of", answer)
    monkeypatch.setattr(runner, "onnx_logits", lambda *_: np.zeros((1, 2), np.float32))
    other = replace(SAMPLES, digest="other images")
    for name, one, images in (
        ("a", lab.runner, SAMPLES),
        ("b", lab.runner.with_recipe(lab.runner.recipe), SAMPLES),
        ("c", lab.runner, other),
    ):
        one.graph(
            Stage("export", 1), OnnxModel(Path(), "fp32", "raw"), _made,
            file="g.onnx", what=None, compare_with=WEIGHTS, samples=images, key={"name": name},
        )  # fmt: skip
    assert asked == [WEIGHTS, WEIGHTS]


def _made(output):
    output.write_text("a graph")
    return OnnxModel(output, "fp32", "raw")
