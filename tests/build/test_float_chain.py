"""Stages of float graphs: what decides their keys, what they run on and are held to."""

from dataclasses import asdict, replace

import numpy as np
import onnx
import pytest
from support.stage_lab import (
    FOLDED,
    INFO,
    MODEL,
    RECIPE,
    SAMPLES,
    WEIGHTS,
    Lab,
    check,
    graph,
    tools,
)
from support.written_graphs import branched, write

from edge_convnext.build.float_chain import (
    approximate_step,
    export_step,
    fold_step,
    is_exported,
    require_usual,
    simplify_step,
)
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ExportError
from edge_convnext.core.step import Step
from edge_convnext.stages import approximate, export, fold, simplify
from edge_convnext.stages.simplify import Simplified


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def test_fold(lab):
    lab.replace(fold, "fold_weights", lambda output: replace(WEIGHTS, path=output, folded=True))
    step = check(
        lab,
        lambda one: fold_step(one, Step(WEIGHTS, "done", 0.0, "d"), SAMPLES),
        (
            "fold",
            {
                "weights": "d", "info": asdict(INFO), "images": "digest of samples",
                "tools": tools("edge-convnext", "torch", "safetensors"),
            },
        ),
        "folded.safetensors",
        "folding",
    )  # fmt: skip
    assert step.value == replace(WEIGHTS, path=step.value.path, folded=True)
    ((_, (weights, output), named),) = lab.calls
    assert (weights, output.name, named) == (WEIGHTS, "folded.safetensors", {})
    ((reference, candidate, limit),) = lab.parities
    assert reference == ("torch", WEIGHTS, "raw", ["samples"])
    assert candidate == ("torch", replace(WEIGHTS, path=output, folded=True), "linear", ["samples"])
    assert limit == 1e-4


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-3), ("bf16", None)])
def test_export(lab, precision, limit):
    lab.replace(export, "export_onnx", lambda output: OnnxModel(output, precision, "conv"))
    config = RECIPE.export.model_dump(mode="json")
    del config["form"], config["gelu"], config["input"]
    name = f"conv.{precision}.export.onnx"
    step = check(
        lab,
        lambda one: export_step(
            one, Step(FOLDED, "done", 0.0, "d"), "conv", precision, SAMPLES, MODEL
        ),
        (
            "export",
            {
                "weights": "d", "model": "digest of model", "info": asdict(INFO), "form": "conv",
                "precision": precision,
                "config": config, "images": "digest of samples",
                "tools": tools("edge-convnext", "torch", "onnx", "onnxscript", "onnxruntime"),
            },
        ),
        name,
        f"exporting the conv form, {precision}",
    )  # fmt: skip
    assert step.value == OnnxModel(step.value.path, precision, "conv")
    for form, known in (("conv", True), ("nhwc", False)):
        folded = Step(FOLDED, "done", 0.0, "d")
        assert is_exported(lab.again(), folded, form, precision, SAMPLES, MODEL) is known
    ((_, arguments, _),) = lab.calls
    assert arguments[:4] == (FOLDED, "conv", precision, RECIPE.export)
    assert arguments[4].name == name
    assert arguments[5:] == (["samples"],)
    # The model as it was trained: the form in torch would be wrong in the same way.
    assert lab.parities == [
        (("torch", WEIGHTS, "raw", ["samples"]), ("onnx", name, ["samples"]), limit)
    ]


def simplify_key():
    return (
        "simplify",
        {
            "model": "digest of conv.export.onnx", "images": "digest of samples",
            "tools": tools("edge-convnext", "onnx", "onnxsim", "onnxruntime"),
        },
    )  # fmt: skip


def test_simplify(lab):
    before = graph("conv.export.onnx")
    lab.replace(
        simplify, "simplify", lambda output: Simplified(replace(before.value, path=output), None)
    )
    step = check(
        lab, lambda one: simplify_step(one, before, SAMPLES), simplify_key(), "conv.onnx",
        "simplifying the nhwc form",
    )  # fmt: skip
    assert step.value == replace(before.value, path=step.value.path)
    ((_, arguments, _),) = lab.calls
    assert arguments[:3] == (before.value, "samples", RECIPE.simplify)
    assert lab.parities == [
        (("onnx", "conv.export.onnx", ["samples"]), ("onnx", "conv.onnx", ["samples"]), None)
    ]


def test_a_graph_that_can_not_be_simplified_goes_on_as_it_is_and_nothing_is_kept(lab):
    before = graph("conv.export.onnx")
    lab.replace(simplify, "simplify", lambda output: Simplified(before.value, "took too long"))
    for _ in range(2):
        step = simplify_step(lab.runner, before, SAMPLES)
        assert (step.value, step.status, step.digest) == (before.value, "skipped", before.digest)
        assert (step.reason, step.parity) == ("took too long", None)
        assert 0.0 < step.seconds < 60.0
    assert len(lab.calls) == 2


def test_approximate(lab):
    before = graph("conv.onnx")
    lab.replace(approximate, "use_tanh_gelu", lambda output: OnnxModel(output, "fp32", "nhwc"))
    step = check(
        lab,
        lambda one: approximate_step(one, before, SAMPLES),
        (
            "approximate",
            {
                "model": "digest of conv.onnx", "images": "digest of samples",
                "tools": tools("edge-convnext", "onnx", "onnxruntime"),
            },
        ),
        "conv.tanh.onnx",
        "approximating GELU in the nhwc form",
    )  # fmt: skip
    assert step.value == replace(before.value, path=step.value.path)
    assert lab.calls[0][1][0] == before.value
    assert lab.parities == [
        (("onnx", "conv.onnx", ["samples"]), ("onnx", "conv.tanh.onnx", ["samples"]), None)
    ]


@pytest.mark.parametrize(("batch", "advice"), [("n", "; --export-batch 1"), (1, "")])
def test_a_graph_that_no_command_would_read_is_refused_by_the_build(tmp_path, batch, advice):
    nodes = [
        ("ReduceMax", ("images",), "largest", {"keepdims": 0}),
        ("Cast", ("largest",), "whole", {"to": onnx.TensorProto.INT64}),
        ("Range", ("zero", "whole", "one"), "numbers"),
    ]
    constants = {"zero": np.int64(0), "one": np.int64(1)}
    onnx.save(write(nodes, constants, (batch, 3, 8, 8)), str(tmp_path / "odd.onnx"))
    with pytest.raises(ExportError, match=rf"the size of 'numbers' can't be inferred{advice}"):
        require_usual(OnnxModel(tmp_path / "odd.onnx", "fp32", "raw"), frozenset())
    onnx.save(branched(), str(tmp_path / "usual.onnx"))
    require_usual(OnnxModel(tmp_path / "usual.onnx", "fp32", "raw"), frozenset())
