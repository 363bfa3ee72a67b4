"""Every cached stage: what decides its key, what it runs on, what it is held to, what it says.

The stages themselves are replaced by functions that write their name into the output, so that
nothing but the arguments between them is looked at.
"""

import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from edge_convnext.build import runner as steps
from edge_convnext.build.runner import Steps
from edge_convnext.core.artifacts import ModelInfo, OnnxModel, Parity, Preprocess, Weights
from edge_convnext.core.cache import Cache, Entry, stage_key
from edge_convnext.core.errors import QuantizationError
from edge_convnext.core.step import Images, Step, as_step
from edge_convnext.data.preprocess import PIXELS
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import (
    approximate,
    equalize,
    export,
    fold,
    quantize,
    recover,
    sensitivity,
    simplify,
)
from edge_convnext.stages import fuse_for_onnxruntime as lower
from edge_convnext.stages import keep_float as fallback
from edge_convnext.stages.recover import Recovery
from edge_convnext.stages.sensitivity import Sensitivity

INFO = ModelInfo(
    "convnextv2_atto", 2, 3, ("a", "b"), Preprocess(image_size=64), "x", "0" * 64, None
)
TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 8, 8, 8), 2)
WEIGHTS = Weights(Path("w.safetensors"), TINY, INFO)
RECIPE = make_recipe(
    {
        "model": "convnextv2_atto",
        "seed": 5,
        "evaluate": {"batch": 7},
        "benchmark": {"threads": 2},
        "equalize": {"alpha": 0.5},
        "recover": {"epochs": 4},
        "quantize": {"subset_size": 9, "ignored_names": ["x"]},
    }
)
FOLDED = replace(WEIGHTS, path=Path("folded.safetensors"), folded=True)
MODEL = Step(WEIGHTS, "done", 0.0, "digest of model")
VERSIONS = {
    name: f"version of {name}"
    for name in (
        "edge-convnext", "torch", "safetensors", "onnx", "onnxscript", "onnxruntime", "onnxsim",
        "nncf", "numpy", "pillow",
    )
}  # fmt: skip
PARITY = Parity(4, 0.5, 30.0, 75.0)
PLAN = Plan("nhwc", "inner", "uint8", "qdq", "erf", "mean_quantile", (("A", "1"),))


def images(name):
    return Images(f"digest of {name}", 3, lambda: [name])


SAMPLES, CALIBRATION = images("samples"), images("calibration")


def graph(name, precision="fp32", **fields):
    model = OnnxModel(Path(f"before/{name}"), precision, "nhwc", **fields)
    return Step(model, "done", 1.0, f"digest of {name}", "earlier reason", Parity(1, 0, None, 100))


def tools(*names):
    return {name: VERSIONS.get(name, "not installed") for name in names}


REVISION = re.compile(r"[a-z]+/[0-9]+")  # of a stage: raised when its output changes


class Lab:
    """Steps over a real cache, and what was called with what."""

    def __init__(self, folder, monkeypatch):
        self.calls, self.fields, self.keys, self.parities, self.shown = [], [], [], [], []
        self.cache = Cache(folder / "cache")
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(steps, "stage_key", self.key)
        monkeypatch.setattr(steps, "parity_result", self.parity)
        monkeypatch.setattr(
            steps, "onnx_logits", lambda path, batches: ("onnx", path.name, batches)
        )
        monkeypatch.setattr(
            steps, "torch_logits", lambda weights, form, batches: ("torch", weights, form, batches)
        )
        self.steps = self.again()

    def again(self, recipe=RECIPE):
        return Steps(self.cache, recipe, VERSIONS, self.track)

    def key(self, stage, **fields):
        name = stage.partition("/")[0]
        self.fields.append((name if REVISION.fullmatch(stage) else stage, fields))
        self.keys.append(stage_key(stage, **fields))
        return self.keys[-1]

    def parity(self, reference, candidate, limit=None):
        self.parities.append((reference, candidate, limit))
        return {"parity": asdict(PARITY)}

    def track(self, items, what, total=None):
        self.shown.append((what, total))
        return items

    def replace(self, module, name, make):
        """Let a stage write down what it was called with, and return what `make` says."""

        def stage(*arguments, **named):
            self.calls.append((name, arguments, named))
            output = next(one for one in arguments if isinstance(one, Path) and one.parent.is_dir())
            output.write_text(name)
            return make(output)

        self.monkeypatch.setattr(module, name, stage)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def check(lab, run, key, name, shown):
    """A stage runs once, is found again under the same key, and tells its file, parity and time."""
    first = run(lab.steps)
    second = run(lab.again())
    assert lab.fields == [key, key]
    assert lab.shown == ([(shown, 1)] if shown else [])
    assert (first.status, second.status) == ("done", "cached")
    assert (first.parity, second.parity) == (PARITY, PARITY)
    assert first.seconds > 0.0
    assert second.seconds == 0.0
    assert first.digest == second.digest
    assert first.value == second.value
    path = first.value.path
    assert path == lab.cache.root / key[0] / lab.keys[0] / name
    assert path.is_file()
    return first


def test_fold(lab):
    lab.replace(fold, "fold_weights", lambda output: replace(WEIGHTS, path=output, folded=True))
    step = check(
        lab,
        lambda one: one.fold(WEIGHTS, "d", SAMPLES),
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
    lab.replace(export, "export_onnx", lambda output: None)
    config = RECIPE.export.model_dump(mode="json")
    del config["form"], config["gelu"]
    name = f"conv.{precision}.export.onnx"
    step = check(
        lab,
        lambda one: one.export(FOLDED, "d", "conv", precision, SAMPLES, MODEL),
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
    lab.replace(simplify, "simplify", lambda output: SimpleNamespace(reason=None))
    step = check(
        lab, lambda one: one.simplify(before, SAMPLES), simplify_key(), "conv.onnx",
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
    lab.replace(simplify, "simplify", lambda output: SimpleNamespace(reason="took too long"))
    for _ in range(2):
        step = lab.steps.simplify(before, SAMPLES)
        assert (step.value, step.status, step.digest) == (before.value, "skipped", before.digest)
        assert (step.reason, step.parity) == ("took too long", None)
        assert 0.0 < step.seconds < 60.0
    assert len(lab.calls) == 2


def test_approximate(lab):
    before = graph("conv.onnx")
    lab.replace(approximate, "use_tanh_gelu", lambda output: OnnxModel(output, "fp32", "nhwc"))
    step = check(
        lab,
        lambda one: one.approximate(before, SAMPLES),
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


def test_equalize(lab):
    before = graph("nhwc.onnx")
    lab.replace(equalize, "equalize", lambda output: OnnxModel(output, "fp32", "nhwc"))
    name = "nhwc.uint8.equalized.onnx"
    step = check(
        lab,
        lambda one: one.equalize(before, PLAN, CALIBRATION, SAMPLES),
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

    monkeypatch.setattr(steps, "lint_result", lint)
    lab.replace(
        quantize, "quantize", lambda output: OnnxModel(output, "int8", "nhwc", quantized_ops=8)
    )
    config = RECIPE.quantize.model_dump(mode="json") | {
        "activations_range_estimator": "mean_quantile"
    }
    for name in ("placement", "activation_type", "subset_size"):
        del config[name]
    name = "nhwc.inner.uint8.mean_quantile.int8.onnx"
    step = check(
        lab,
        lambda one: one.quantize(before, PLAN, ["openvino"], CALIBRATION, SAMPLES),
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
    assert lab.again().quantize(before, PLAN, ["onnxruntime"], CALIBRATION, SAMPLES).reason is None


def test_what_a_wanted_target_can_not_run_is_refused_from_the_cache_too(lab, monkeypatch):
    monkeypatch.setattr(
        steps, "lint_result",
        lambda path, target: {"error": "no" if target == "openvino" else None, "warnings": {}},
    )  # fmt: skip
    lab.replace(
        quantize, "quantize", lambda output: OnnxModel(output, "int8", "nhwc", quantized_ops=8)
    )
    before = graph("nhwc.onnx")
    assert lab.steps.quantize(before, PLAN, ["onnxruntime"], CALIBRATION, SAMPLES).reason is None
    with pytest.raises(QuantizationError, match="the graph can't run on openvino: no"):
        lab.steps.quantize(before, PLAN, ["openvino"], CALIBRATION, SAMPLES)
    assert len(lab.calls) == 1


QUANTIZED = graph("a.int8.onnx", "int8", placement="inner", quantized_ops=8)
REFERENCE = graph("a.onnx")
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
    return one.recover(QUANTIZED, REFERENCE, images("training"), SAMPLES)


def test_recover(lab):
    lab.replace(recover, "recover", lambda output: RECOVERED)
    name = "a.recovered.int8.onnx"
    first, second = run_recover(lab.steps), run_recover(lab.again())
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
    first, second = run_recover(lab.steps), run_recover(lab.again())
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


def test_sensitivity(lab, monkeypatch):
    ranked = (Sensitivity("b", 10.0, 99.0, None, 100.0, 60.0), Sensitivity("a", None, 1, 2, 3, 4))
    calls = []

    def rank(*arguments):
        calls.append(arguments)
        return ranked

    monkeypatch.setattr(sensitivity, "rank_operations", rank)
    for one in (lab.steps, lab.again()):
        assert one.sensitivity(QUANTIZED, REFERENCE, SAMPLES) == ranked
    key = (
        "sensitivity",
        {
            "quantized": "digest of a.int8.onnx", "reference": "digest of a.onnx",
            "images": "digest of samples", "tools": tools("edge-convnext", "onnx", "onnxruntime"),
        },
    )  # fmt: skip
    assert lab.fields == [key, key]
    assert calls == [(QUANTIZED.value.path, REFERENCE.value.path, ["samples"], lab.track)]
    assert lab.cache.holds("sensitivity", lab.keys[0])


def test_keep_float(lab, monkeypatch, tmp_path):
    calls = []

    def load(path):
        return ("proto", path)

    def keep(*arguments):
        calls.append(arguments)
        return "changed"

    def save(proto, path):
        assert proto == "changed"
        Path(path).write_text("x")

    monkeypatch.setattr(onnx, "load", load)
    monkeypatch.setattr(onnx, "save", save)
    monkeypatch.setattr(fallback, "keep_float", keep)
    monkeypatch.setattr(fallback, "quantized_operations", lambda proto: ["x"] * 6)
    name = "a.float2.int8.onnx"
    step = check(
        lab,
        lambda one: one.keep_float(QUANTIZED, REFERENCE, ["z", "b"], SAMPLES),
        (
            "fallback",
            {
                "quantized": "digest of a.int8.onnx", "reference": "digest of a.onnx",
                "names": ["b", "z"], "images": "digest of samples",
                "tools": tools("edge-convnext", "onnx", "onnxruntime"),
            },
        ),
        name,
        "keeping 2 operations in float",
    )  # fmt: skip
    assert step.value == replace(QUANTIZED.value, path=step.value.path, quantized_ops=6)
    assert step.reason == "earlier reason"
    assert calls == [(("proto", "before/a.int8.onnx"), ("proto", "before/a.onnx"), ["z", "b"])]
    assert lab.parities == [(("onnx", "a.onnx", ["samples"]), ("onnx", name, ["samples"]), None)]


@pytest.mark.parametrize(
    ("form", "dynamic", "name", "against", "limit"),
    [
        ("onnxruntime", False, "a.ort.int8.onnx", "a.int8.onnx", 2e-2),
        ("onnxruntime_dynamic", True, "a.dynamic.int8.onnx", "a.onnx", None),
    ],
)
def test_lower(lab, form, dynamic, name, against, limit):
    lab.replace(lower, "lower_for_onnxruntime", lambda output: OnnxModel(output, "int8", "nhwc"))
    plan = replace(PLAN, format=form)
    step, again = (
        one.lower(QUANTIZED, plan, REFERENCE, SAMPLES) for one in (lab.steps, lab.again())
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
    first = run_logits(lab.steps, asked)
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
    run_logits(lab.steps, [], {"one": RUNS["one"]})
    ticks = iter(range(1000))
    monkeypatch.setattr(steps.time, "perf_counter", lambda: 10.0 * next(ticks))
    found = run_logits(lab.again(), [])
    assert {name: step.seconds for name, step in found.items()} == {
        "torch": 5.0, "one": 0.0, "two": 5.0,
    }  # fmt: skip


def test_only_missing_logits_are_run_and_damaged_ones_alone(lab):
    asked = []
    run_logits(lab.steps, asked, {"one": RUNS["one"]})
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
    run_logits(lab.steps, asked)
    run_logits(lab.again(), asked, **change)
    assert len(asked) == 2


def test_a_step_passes_on_all_it_says_but_its_value():
    step = Step("a", "cached", 2.0, "d", "r", PARITY)
    assert step.of("b") == Step("b", "cached", 2.0, "d", "r", PARITY)
    assert Step("a", "done", 1.0, "d") == Step("a", "done", 1.0, "d", None, None)


def test_a_step_says_why_where_its_entry_or_its_rebuilding_does():
    def reason(result, rebuilt_because=None):
        entry = Entry(Path("x"), "k", result, {"f": "d"}, 1.0, True, rebuilt_because)
        return as_step("v", entry, "f").reason

    assert reason({"reason": "because"}, "damaged") == "because"
    assert reason({}, "damaged") == "damaged"
    assert reason({"reason": None}) is None
