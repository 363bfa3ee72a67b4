"""Stages of INT8 graphs for a CPU: their keys, what they run on, are held to and say."""

from dataclasses import replace

import pytest
from support.stage_lab import (
    CALIBRATION,
    PARITY,
    PLAN,
    QUANTIZED,
    RECIPE,
    REFERENCE,
    SAMPLES,
    Lab,
    check,
    graph,
    images,
    tools,
)

from edge_convnext.build import int8_chain, runner
from edge_convnext.build.int8_chain import equalize_step, lower_step, quantize_step, recover_step
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import QuantizationError, UntrainableError
from edge_convnext.core.product_groups import Regrouping
from edge_convnext.core.step import Images, Skipped
from edge_convnext.stages import equalize, quantize, recover
from edge_convnext.stages import fuse_for_onnxruntime as fuse
from edge_convnext.stages.recover import Recovery


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def test_equalize(lab):
    before = graph("nhwc.onnx")
    lab.replace(equalize, "equalize", lambda output: OnnxModel(output, "fp32", "nhwc"))
    name = "nhwc.uint8.equalized.onnx"
    step = check(
        lab,
        lambda one: equalize_step(one, before, PLAN, CALIBRATION, SAMPLES),
        (
            "equalize",
            {
                "model": "digest of nhwc.onnx", "activation_type": "uint8",
                "config": RECIPE.equalize.model_dump(mode="json"),
                "calibration": "digest of calibration", "images": "digest of samples",
                "tools": tools("edge-convnext", "onnx", "onnxruntime"),
            },
        ),
        name,
        "equalizing the nhwc form",
    )  # fmt: skip
    assert step.value == replace(before.value, path=step.value.path)
    ((_, arguments, _),) = lab.calls
    assert arguments[:4] == (before.value, ["calibration"], RECIPE.equalize, "uint8")
    assert lab.parities == [(("onnx", "nhwc.onnx", ["samples"]), ("onnx", name, ["samples"]), 1e-3)]


def test_quantize(lab, monkeypatch):
    before = graph("nhwc.onnx")
    asked = []

    def lint(path, target):
        asked.append((path.name, target))
        return {"error": None, "warnings": {"depthwise": 12} if target == "openvino" else {}}

    monkeypatch.setattr(runner, "lint_result", lint)
    lab.replace(
        quantize, "quantize", lambda output: OnnxModel(output, "int8", "nhwc", quantized_ops=8)
    )
    config = RECIPE.quantize.model_dump(mode="json") | {
        "activations_range_estimator": "mean_quantile"
    }
    for name in ("placement", "activation_type", "subset_size", "weight_rounding"):
        del config[name]
    name = "nhwc.inner.uint8.mean_quantile.int8.onnx"
    step = check(
        lab,
        lambda one: quantize_step(one, before, PLAN, ["openvino"], CALIBRATION, SAMPLES),
        (
            "quantize",
            {
                "model": "digest of nhwc.onnx", "placement": "inner", "activation_type": "uint8",
                "config": config, "calibration": "digest of calibration",
                "images": "digest of samples",
                "tools": tools("edge-convnext", "nncf", "onnx", "onnxruntime"),
            },
        ),
        name,
        None,
    )  # fmt: skip
    assert step.value == OnnxModel(step.value.path, "int8", "nhwc", "inner", 8)
    assert step.reason == "lint: openvino depthwise x12"
    ((_, arguments, _),) = lab.calls
    assert arguments[:3] == (before.value, ["calibration"], "inner")
    assert arguments[3].activations_range_estimator == "mean_quantile"
    assert arguments[3].ignored_names == ("x",)
    assert arguments[4].name == name
    assert arguments[5:] == (lab.track, "uint8")
    assert lab.parities == [(("onnx", "nhwc.onnx", ["samples"]), ("onnx", name, ["samples"]), None)]
    assert {name for name, _ in asked} == {name}
    assert {"onnxruntime", "openvino"} < {target for _, target in asked}
    # Whatever a target has against it is in the entry, and told where that target is asked for.
    assert (
        quantize_step(lab.again(), before, PLAN, ["onnxruntime"], CALIBRATION, SAMPLES).reason
        is None
    )


def test_what_a_wanted_target_can_not_run_is_refused_from_the_cache_too(lab, monkeypatch):
    monkeypatch.setattr(
        runner, "lint_result",
        lambda path, target: {"error": "no" if target == "openvino" else None, "warnings": {}},
    )  # fmt: skip
    lab.replace(
        quantize, "quantize", lambda output: OnnxModel(output, "int8", "nhwc", quantized_ops=8)
    )
    before = graph("nhwc.onnx")
    assert (
        quantize_step(lab.runner, before, PLAN, ["onnxruntime"], CALIBRATION, SAMPLES).reason
        is None
    )
    with pytest.raises(QuantizationError, match="the graph can't run on openvino: no"):
        quantize_step(lab.runner, before, PLAN, ["openvino"], CALIBRATION, SAMPLES)
    assert len(lab.calls) == 1


RECOVERED = Recovery(None, PARITY, replace(PARITY, sqnr_db=None), True, 12, 34)


def recover_key():
    config = RECIPE.recover.model_dump(mode="json")
    del config["enabled"], config["images"]
    return (
        "recover",
        {
            "quantized": "digest of a.int8.onnx", "reference": "digest of a.onnx",
            "config": config, "training": "digest of training", "images": "digest of samples",
            "seed": 5, "tools": tools("edge-convnext", "torch", "numpy", "onnx", "onnxruntime"),
        },
    )  # fmt: skip


def run_recover(one):
    return recover_step(one, QUANTIZED, REFERENCE, images("training"), SAMPLES)


def test_recover(lab):
    lab.replace(recover, "recover", lambda output: RECOVERED)
    name = "a.recovered.int8.onnx"
    first, second = run_recover(lab.runner), run_recover(lab.again())
    assert lab.fields == [recover_key()] * 2
    path = lab.cache.root / "recover" / lab.keys[0] / name
    model = replace(QUANTIZED.value, path=path)
    assert first.value == second.value == replace(RECOVERED, model=model)
    assert path.is_file()
    assert (first.status, second.status) == ("done", "cached")
    assert first.parity == second.parity == PARITY
    ((_, arguments, _),) = lab.calls
    assert arguments[:4] == (QUANTIZED.value, REFERENCE.value, "training", RECIPE.recover)
    assert arguments[4].name == name
    assert arguments[5:] == (5, lab.track)
    assert lab.parities == [(("onnx", "a.onnx", ["samples"]), ("onnx", name, ["samples"]), None)]


def test_a_recovery_that_did_not_help_leaves_the_graph_as_it_was(lab):
    lab.replace(recover, "recover", lambda output: replace(RECOVERED, kept=False))
    first, second = run_recover(lab.runner), run_recover(lab.again())
    expected = replace(RECOVERED, kept=False, model=QUANTIZED.value)
    assert first.value == second.value == expected
    assert first.status == second.status == "skipped"
    assert first.seconds > 0.0
    assert second.seconds == 0.0
    for step in (first, second):
        assert (step.digest, step.parity) == (QUANTIZED.digest, QUANTIZED.parity)
        assert step.reason == "training did not bring the logits nearer to the float graph's"
    assert len(lab.calls) == 1
    assert lab.parities == []
    assert list((lab.cache.root / "recover").rglob("*.onnx")) == []


@pytest.mark.parametrize(
    ("form", "dynamic", "name", "against", "limit"),
    [
        ("onnxruntime", False, "a.ort.int8.onnx", "a.int8.onnx", 2e-2),
        ("onnxruntime_dynamic", True, "a.dynamic.int8.onnx", "a.onnx", None),
    ],
)
def test_lower(lab, form, dynamic, name, against, limit):
    lab.replace(fuse, "lower_for_onnxruntime", lambda output: replace(QUANTIZED.value, path=output))
    plan = replace(PLAN, format=form)
    step, again = (
        lower_step(one, QUANTIZED, plan, REFERENCE, SAMPLES) for one in (lab.runner, lab.again())
    )
    key = (
        "lower",
        {
            "model": "digest of a.int8.onnx", "dynamic": dynamic, "reference": "digest of a.onnx",
            "images": "digest of samples", "tools": tools("edge-convnext", "onnx", "onnxruntime"),
        },
    )  # fmt: skip
    assert lab.fields == [key, key]
    assert lab.shown == [("fusing the nhwc form", 1)]
    path = lab.cache.root / "lower" / lab.keys[0] / name
    assert step.value == again.value == replace(QUANTIZED.value, path=path)
    assert path.is_file()
    assert (step.status, again.status) == ("done", "cached")
    assert step.parity == again.parity == (PARITY if dynamic else QUANTIZED.parity)
    assert step.reason == "earlier reason"
    ((_, arguments, named),) = lab.calls
    assert (arguments[0], arguments[1].name, named) == (QUANTIZED.value, name, {"dynamic": dynamic})
    assert lab.parities == [(("onnx", against, ["samples"]), ("onnx", name, ["samples"]), limit)]


def test_a_graph_that_can_not_be_trained_goes_on_as_it_was_and_says_why(lab, monkeypatch):
    def refuse(*_arguments):
        raise UntrainableError("a/TopK: TopK can't be trained")

    monkeypatch.setattr(recover, "recover", refuse)
    found = recover_step(lab.runner, QUANTIZED, REFERENCE, images("training"), SAMPLES)
    assert found == Skipped(recover.STAGE, "a/TopK: TopK can't be trained", "not_run")


def test_groups_that_a_plan_changes_move_the_key_and_reach_the_quantizer(lab, monkeypatch):
    monkeypatch.setattr(runner, "lint_result", lambda path, target: {"error": None, "warnings": {}})
    lab.replace(
        quantize, "quantize", lambda output: OnnxModel(output, "int8", "nhwc", quantized_ops=8)
    )
    before = graph("nhwc.onnx")
    for plan in (PLAN, replace(PLAN, float_groups=("gate",)), replace(PLAN, int8_groups=("gate",))):
        quantize_step(lab.runner, before, plan, [], CALIBRATION, SAMPLES)
    assert len(set(lab.keys)) == 3
    assert [fields.get("groups") for _, fields in lab.fields] == [
        None,  # as in caches of before there were any
        {"float_groups": ("gate",), "int8_groups": ()},
        {"float_groups": (), "int8_groups": ("gate",)},
    ]
    assert [named["groups"] for _, _, named in lab.calls] == [
        Regrouping(), Regrouping(("gate",)), Regrouping((), ("gate",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "stated", "wanted"),
    [
        ("atto", "auto", None),  # as before there was a choice: what users hold stays good
        ("atto", "reconstruction", "3"),
        ("timm:mobilenetv2_100", "auto", "3"),
        ("timm:mobilenetv2_100", "nearest", None),
    ],
)
def test_the_key_tells_weights_that_were_rounded_anew(lab, monkeypatch, model, stated, wanted):
    quantized = RECIPE.quantize.model_copy(update={"weight_rounding": stated})
    recipe = RECIPE.model_copy(update={"model": model, "quantize": quantized})
    plan = replace(PLAN, range_estimator="reconstruction")
    one = lab.again()
    keys = []
    monkeypatch.setattr(one, "recipe", recipe)
    monkeypatch.setattr(one, "graph", lambda *_, key, **rest: keys.append(key))
    quantize_step(one, graph("nhwc.onnx"), plan, [], CALIBRATION, SAMPLES)
    assert [key.get("weight_rounding") for key in keys] == [wanted]


@pytest.mark.parametrize(
    ("format", "config", "count"),
    [
        ("litert", {}, 40),
        ("qdq", {}, 100),
        ("litert", {"weight_rounding": "reconstruction"}, 100),
        ("litert", {"disable_bias_correction": False}, 100),
    ],
)
def test_where_ranges_serve_a_comparison_alone_few_images_are_enough(lab, format, config, count):
    recipe = RECIPE.model_copy(update={"quantize": RECIPE.quantize.model_copy(update=config)})
    calibration = Images("a", 100, list)
    plan = replace(PLAN, format=format)
    assert int8_chain._to_quantize_with(lab.again(recipe), plan, calibration).count == count
