from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from support.stage_lab import QUANTIZED, REFERENCE, SAMPLES, Lab, check, tools

from edge_convnext.build.budget import hold_budget, keep_float_step, sensitivity_step
from edge_convnext.build.candidates import list_options
from edge_convnext.build.settle import prepare
from edge_convnext.core.cache import Cache
from edge_convnext.core.progress import untracked
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.convnext import sizes
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import keep_float as fallback
from edge_convnext.stages import sensitivity
from edge_convnext.stages.keep_float import quantized_operations
from edge_convnext.stages.sensitivity import Sensitivity

LIMIT_PP = 1.0
# Operations that each placement quantizes: in blocks and downsamplings, and stem and head too.
INNER, POINTWISE = 11, 13


@pytest.fixture(scope="module", autouse=True)
def small():
    """Turn `atto` into a network that exports in a moment: 2 products in each of 4 blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sizes.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Of all builds here: they export the same network."""
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def prepared(small, cache):
    pytest.importorskip("nncf", reason="the build extra is not installed")
    recipe = make_recipe(
        {
            "runtime": "onnxruntime",
            "targets": ["cpu"],
            "load": {"weights": "random", "num_classes": 10},
            "preprocess": {"image_size": 32},
            "quantize": {"subset_size": 16},
            "simplify": {"enabled": False},
            "evaluate": {"max_drop_pp": LIMIT_PP},
            "plans": {
                "onnxruntime": {"form": "nhwc", "placement": "inner", "format": "onnxruntime"}
            },
        }
    )
    return prepare(recipe, cache, environment()["versions"], untracked)


def count_int8(option):
    proto = onnx.load(option.model.path)
    fused = [node for node in proto.graph.node if node.op_type == "MatMulIntegerToFloat"]
    return len(fused) or len(quantized_operations(proto))


def evaluation_where(drop_of):
    """As `measure.evaluate_options` answers, with a drop that the test decides."""

    def evaluate(options):
        drops = {one.name: SimpleNamespace(top1_drop_pp=drop_of(one)) for one in options}
        return SimpleNamespace(comparisons=drops)

    return evaluate


def hold(prepared, drop_of):
    options = list_options(prepared.runner.recipe, prepared.graphs, prepared.runtimes, bf16=False)
    evaluate = evaluation_where(drop_of)
    return hold_budget(
        prepared.runner, prepared.graphs, options, evaluate(options), evaluate, prepared.samples
    )


def test_as_few_operations_as_needed_return_to_float(prepared):
    (found,) = hold(prepared, lambda option: 5.0 if count_int8(option) > INNER - 3 else 0.5)
    assert found.names == tuple(one.name for one in found.ranking[:3])
    assert found.full.model.quantized_ops == INNER
    (option,) = found.options
    assert option.model.quantized_ops == count_int8(option) == INNER - 3
    assert option.name != found.full.name
    assert option.model.path.name == "nhwc.inner.float3.ort.int8.onnx"


def test_a_fallback_that_leaves_nothing_to_fuse_stays_portable(prepared, cache):
    """The last layer is a Gemm, which ONNX Runtime's fused products don't know."""
    fields = prepared.runner.recipe.model_dump(mode="json")
    fields["plans"]["onnxruntime"]["placement"] = "pointwise"
    pointwise = prepare(make_recipe(fields), cache, environment()["versions"], untracked)
    names = []

    def drop_of(option):
        names.append(option.model.path.name)
        return 5.0 if count_int8(option) > 1 else 0.5

    (found,) = hold(pointwise, drop_of)
    assert found.held is not None
    assert found.held.model.quantized_ops == 1
    assert any(f"float{POINTWISE - 1}" in name for name in names)


def test_a_graph_within_the_budget_is_left_alone(prepared):
    assert hold(prepared, lambda _option: LIMIT_PP) == []


def test_where_nothing_helps_there_is_a_ranking_and_no_fallback(prepared):
    (found,) = hold(prepared, lambda _option: 9.0)
    assert found.names is None
    assert found.options == ()
    assert len(found.ranking) == INNER


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def test_sensitivity(lab, monkeypatch):
    ranked = (Sensitivity("b", 10.0, 99.0, None, 100.0, 60.0), Sensitivity("a", None, 1, 2, 3, 4))
    calls = []

    def rank(*arguments):
        calls.append(arguments)
        return ranked

    monkeypatch.setattr(sensitivity, "rank_operations", rank)
    for one in (lab.runner, lab.again()):
        assert sensitivity_step(one, QUANTIZED, REFERENCE, SAMPLES) == ranked
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
        lambda one: keep_float_step(one, QUANTIZED, REFERENCE, ["z", "b"], SAMPLES),
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
