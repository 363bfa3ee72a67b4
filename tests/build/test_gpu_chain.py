"""Stages of graphs for TensorRT: their keys, what they run on, are held to and say."""

from dataclasses import replace

import pytest
from support.stage_lab import CALIBRATION, RECIPE, SAMPLES, Lab, check, graph, tools

from edge_convnext.build import gpu_chain, runner
from edge_convnext.build.gpu_chain import finish_step, gpu_lineage, place_step
from edge_convnext.build.lineage import Lineage
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import QuantizationError
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.report.file_names import gpu_graph_name
from edge_convnext.stages import place_qdq, write_for_tensorrt

PLAN = Plan("nhwc", "blocks", batch=8, family="typed")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def test_place(lab, monkeypatch):
    before, asked = graph("nhwc.onnx"), []
    lab.replace(
        place_qdq, "place_qdq", lambda output: OnnxModel(output, "int8", "nhwc", "blocks", 9)
    )

    def keep(quantized, reference, patterns, types):
        asked.append((quantized.name, reference, patterns, *types))
        return 7

    monkeypatch.setattr(gpu_chain, "keep_matching", keep)
    recipe = RECIPE.model_copy(
        update={
            "quantize": RECIPE.quantize.model_copy(
                update={"ignored_names": ("a.b",), "ignored_patterns": ("c.*",)}
            )
        }
    )
    name = "nhwc.blocks.b8.int8.onnx"
    step = check(
        lab,
        lambda one: place_step(one.with_recipe(recipe), before, PLAN, CALIBRATION, SAMPLES),
        (
            "place",
            {
                "model": "digest of nhwc.onnx", "placement": "blocks", "name": name,
                "ignored": ("a\\.b", "c.*"), "calibration": "digest of calibration",
                "images": "digest of samples",
                "tools": tools("edge-convnext", "numpy", "onnx", "onnxruntime"),
            },
        ),
        name,
        "quantizing the nhwc form",
    )  # fmt: skip
    assert step.value == OnnxModel(step.value.path, "int8", "nhwc", "blocks", 7)
    assert step.stage.reported_as == "quantize"
    ((_, arguments, _),) = lab.calls
    assert arguments[:3] == (before.value, ["calibration"], "blocks")
    assert asked == [(name, before.value.path, ("a\\.b", "c.*"))]
    assert lab.parities == [(("onnx", "nhwc.onnx", ["samples"]), ("onnx", name, ["samples"]), None)]


@pytest.mark.parametrize(
    ("plan", "precision", "made", "name", "halved", "opset_17"),
    [
        (PLAN, "int8", "int8", "int8.b8.onnx", True, False),
        (replace(PLAN, family="tensorrt8"), "int8", "int8", "int8.b8.opset17.onnx", False, True),
        (float_plan("nhwc", "fp16", 1, "typed"), "fp32", "fp16", "fp16.b1.onnx", True, False),
        (
            float_plan("nhwc", "fp16", 1, "tensorrt8"), "fp32", "fp32", "fp32.b1.opset17.onnx",
            False, True,
        ),
        (float_plan("nhwc", "fp32", 1, "typed"), "fp32", "fp32", "fp32.b1.onnx", False, False),
    ],
)  # fmt: skip
def test_finish(lab, monkeypatch, plan, precision, made, name, halved, opset_17):
    before, reference = graph("placed.onnx", precision, quantized_ops=5), graph("nhwc.onnx")
    warned = {"error": None, "warnings": {"slow": 2}}
    monkeypatch.setattr(runner, "lint_result", lambda path, target: warned)
    lab.replace(write_for_tensorrt, "write_for_tensorrt", lambda output: before.value)
    step = check(
        lab,
        lambda one: finish_step(one, before, plan, reference, SAMPLES, ["tensorrt10", "rtx"]),
        (
            "finish",
            {
                "model": "digest of placed.onnx", "name": name, "images_type": "float16",
                "reference": "digest of nhwc.onnx", "images": "digest of samples",
                "targets": ["rtx", "tensorrt10"],
                "tools": tools("edge-convnext", "numpy", "onnx", "onnxruntime"),
            },
        ),
        name,
        f"writing {name} for TensorRT",
    )  # fmt: skip
    assert step.value == replace(before.value, path=step.value.path, precision=made)
    assert step.reason == "lint: tensorrt10 slow x2, rtx slow x2"
    ((_, (model, output, images_type), named),) = lab.calls
    assert (model, output.name, images_type) == (before.value, name, "float16")
    assert named == {"halved": halved, "opset_17": opset_17}
    assert lab.parities == [(("onnx", "nhwc.onnx", ["samples"]), ("onnx", name, ["samples"]), None)]
    assert gpu_graph_name(step.value.path) == f"gpu/{name}"


def test_what_a_target_refuses_is_refused(lab, monkeypatch):
    error = {"error": "no", "warnings": {}}
    monkeypatch.setattr(runner, "lint_result", lambda path, target: error)
    before = graph("nhwc.onnx")
    lab.replace(write_for_tensorrt, "write_for_tensorrt", lambda output: before.value)
    with pytest.raises(QuantizationError, match="the graph can't run on rtx: no"):
        finish_step(lab.runner, before, PLAN, before, SAMPLES, ["rtx"])


@pytest.mark.parametrize(
    ("plan", "targets", "steps"),
    [
        (PLAN, ["rtx"], ["export", "place", "finish"]),
        (replace(PLAN, gelu="tanh"), ["rtx"], ["export", "approximate", "place", "finish"]),
        (replace(PLAN, family="tensorrt8"), ["tensorrt8.6"], ["export", "place", "finish"]),
        (float_plan("nhwc", "fp16", 1, "typed"), ["rtx"], ["export", "finish"]),
    ],
)
def test_a_plan_goes_through_its_own_stages(monkeypatch, plan, targets, steps):
    from edge_convnext.build import float_chain
    from edge_convnext.stages import approximate, export

    def stand_in(stage):
        def run(_runner, model, *arguments):
            asked.append((stage.name, model.digest, arguments[-1]))
            return replace(graph(stage.name), stage=stage)

        return run

    asked = []
    monkeypatch.setattr(float_chain, "approximate_step", stand_in(approximate.STAGE))
    monkeypatch.setattr(gpu_chain, "place_step", stand_in(place_qdq.STAGE))
    monkeypatch.setattr(gpu_chain, "finish_step", stand_in(write_for_tensorrt.STAGE))
    begun = Lineage(plan, (replace(graph("export"), stage=export.STAGE),))
    made = gpu_lineage(None, plan, begun, CALIBRATION, SAMPLES, ["rtx"])
    assert [step.stage.name for step in made.ran] == steps
    assert [digest for _, digest, _ in asked] == [f"digest of {name}" for name in steps[:-1]]
    assert list(asked[-1][-1]) == targets
    assert made.plan == plan
