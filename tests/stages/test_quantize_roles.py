"""Quantization by roles through the stages: options, fallback, sensitivity, TensorRT."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from support import toy_family
from support.written_graphs import branched, draw, write

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import QuantizationError, RecipeError
from edge_convnext.core.product_groups import Regrouping
from edge_convnext.core.sections import QuantizeConfig
from edge_convnext.graph.concat_pairs import find_signed_concats
from edge_convnext.graph.file import read_facts
from edge_convnext.graph.placements import find_placement
from edge_convnext.graph.placer import place
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.roles import describe
from edge_convnext.runtimes.lint import lint
from edge_convnext.stages.keep_float import keep_float, keep_matching, quantized_operations
from edge_convnext.stages.place_qdq import place_qdq
from edge_convnext.stages.quantize import quantize
from edge_convnext.stages.quantize_roles import rounds_anew
from edge_convnext.stages.sensitivity import rank_operations

IMAGES = [draw(1, 3, 8, 8, seed=seed) for seed in range(4)]
ROUNDINGS = ("nearest", "auto")
PRODUCTS = ("stem", "one", "two", "left", "right", "logits")


@pytest.fixture(autouse=True)
def family(monkeypatch):
    toy_family.install(monkeypatch)
    monkeypatch.setattr(toy_family.FAMILY, "placer", "roles")


@pytest.fixture
def model(tmp_path):
    proto = branched()
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps({"model": toy_family.MODEL})})
    onnx.save(proto, tmp_path / "float.onnx")
    return OnnxModel(tmp_path / "float.onnx", "fp32", "raw")


def make(model, placement="closed", kind="uint8", **config):
    output = model.path.with_name("int8.onnx")
    return quantize(
        model, IMAGES, placement, QuantizeConfig(**config), output, activation_type=kind
    )


def test_a_family_by_roles_needs_no_nncf_and_says_what_was_done(model):
    made = make(model)
    assert (made.precision, made.placement, made.quantized_ops) == ("int8", "closed", 6)
    proto = onnx.load(made.path)
    facts = read_facts(proto)
    assert facts["model"] == toy_family.MODEL
    assert (facts["precision"], facts["placement"]) == ("int8", "closed")
    assert quantized_operations(proto) == PRODUCTS


def test_names_and_patterns_stay_float(model):
    made = make(model, ignored_names=("one",), ignored_patterns=("left|right",))
    assert made.quantized_ops == 3
    assert quantized_operations(onnx.load(made.path)) == ("stem", "two", "logits")
    with pytest.raises(QuantizationError, match="which is no node of it"):
        make(model, ignored_names=("nothing",))


def test_types_of_operations_stay_float(model):
    kinds = {node.name: node.op_type for node in onnx.load(model.path).graph.node}
    made = make(model, ignored_types=("Conv", "Add"))
    left = quantized_operations(onnx.load(made.path))
    assert left == tuple(name for name in PRODUCTS if kinds[name] != "Conv")
    assert 0 < len(left) < len(PRODUCTS)
    with pytest.raises(QuantizationError, match="'Cnv', which is no operation of ONNX"):
        make(model, ignored_types=("Cnv",))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"activations_range_estimator": "mean_quantile"}, "mean_quantile is NNCF's"),
        ({"disable_bias_correction": False}, "bias correction is NNCF's"),
        ({"ignored_patterns": (".*",)}, "no product belongs to the placement 'closed'"),
    ],
)
def test_what_can_not_be_done_is_refused(model, config, message):
    with pytest.raises(QuantizationError, match=message):
        make(model, **config)


def test_an_unknown_placement_is_refused(model):
    with pytest.raises(RecipeError, match="unknown placement 'pointwise'"):
        make(model, "pointwise")


@pytest.mark.parametrize(
    ("config", "largest"),
    [
        ({}, (127, 127)),
        ({"overflow_fix": "first_layer_only"}, (63, 127)),
        ({"overflow_fix": "enable"}, (63, 63)),
    ],
)
def test_weights_are_narrow_where_a_cpu_overflows(model, config, largest):
    wiring = Wiring(onnx.load(make(model, **config).path))
    assert tuple(np.abs(wiring.value(f"{name}/int8")).max() for name in ("w1", "w2")) == largest


def test_ranges_are_those_of_the_values_seen_on_request(model):
    def scale(estimator):
        made = make(model, "weighted", "int8", activations_range_estimator=estimator)
        return Wiring(onnx.load(made.path)).value("images/scale")

    seen = max(np.abs(IMAGES[0]).max(), np.abs(IMAGES[2]).max())  # the half that sets ranges
    assert scale("minmax") == pytest.approx(seen / 127)
    assert scale("reconstruction") != scale("minmax")


def test_operations_return_to_float_with_the_pairs_around_them(model):
    quantized, reference = onnx.load(make(model, "closed_gates").path), onnx.load(model.path)
    kept = keep_float(quantized, reference, PRODUCTS)
    assert not any("Linear" in node.op_type for node in kept.graph.node)
    onnx.checker.check_model(kept)
    partly = keep_float(quantized, reference, ("logits",))
    onnx.checker.check_model(partly)
    assert quantized_operations(partly) == PRODUCTS[:-1]
    assert "b6" not in {node.name for node in partly.graph.node}
    assert keep_matching(make(model, "closed").path, model.path, ("one|two",)) == 6  # no module
    convolutions = sum(node.op_type == "Conv" for node in onnx.load(model.path).graph.node)
    assert keep_matching(make(model, "closed").path, model.path, (), ("Conv",)) == 6 - convolutions


def test_every_operation_is_ranked_alone(model):
    ranked = rank_operations(make(model).path, model.path, IMAGES)
    assert {one.name for one in ranked} == set(PRODUCTS)
    assert all(one.alone_sqnr_db > 15.0 for one in ranked)
    assert sum(one.noise_share_pct for one in ranked) == pytest.approx(100.0)


def test_graphs_for_tensorrt_are_signed_and_pass_its_rules(model, tmp_path):
    made = place_qdq(model, IMAGES, "fused_adds", tmp_path / "gpu.onnx")
    assert made.quantized_ops == 5  # the grouped convolution stays float
    assert [one for one in lint(made.path, "rtx") if one.severity == "error"] == []
    wiring = Wiring(onnx.load(made.path))
    assert wiring.value("w2/int8_scale").shape == ()
    assert wiring.value("w6/int8_scale").shape == (5,)


def test_mixed_types_are_not_nncfs(model, monkeypatch):
    monkeypatch.setattr(toy_family.FAMILY, "placer", "nncf")
    with pytest.raises(QuantizationError, match="activation_type mixed is for networks"):
        make(model, "convolutions", "mixed")


def test_what_openvino_computes_wrongly_is_written_otherwise(model, tmp_path):
    constants = {"w1": draw(8, 3, 1, 1), "w2": draw(8, 3, 1, 1, seed=1), "w3": draw(5, 16, 1, 1)}
    before = write(
        [
            ("Conv", ("images", "w1"), "left"),
            ("Conv", ("images", "w2"), "right"),
            ("Concat", ("left", "right"), "both", {"axis": 1}),
            ("Conv", ("both", "w3"), "fused"),
            ("GlobalAveragePool", ("fused",), "pool"),
            ("Flatten", ("pool",), "logits"),
        ],
        constants,
    )
    before.metadata_props.extend(onnx.load(model.path).metadata_props)
    onnx.save(before, model.path)
    placed = place(before, describe(before), find_placement("weighted"), "int8", IMAGES)
    assert list(find_signed_concats(placed, Wiring(placed)))
    made = quantize(
        model, IMAGES, "weighted", QuantizeConfig(weight_rounding="nearest"), tmp_path / "m.onnx"
    )
    proto = onnx.load(made.path)
    assert not list(find_signed_concats(proto, Wiring(proto)))
    for image in IMAGES:
        placed_logits, logits = (run_plainly(one, image) for one in (placed, proto))
        assert np.array_equal(placed_logits, logits)


def run_plainly(proto, image):
    """In ONNX Runtime without its optimizations, which may round otherwise."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return session.run(None, {"images": image})[0]


def test_groups_of_a_plan_go_before_the_placement_whatever_the_nodes_are_called(model):
    def products(placement, floats=(), int8=()):
        output = model.path.with_name("int8.onnx")
        groups = Regrouping(floats, int8)
        made = quantize(
            model, IMAGES, placement, QuantizeConfig(), output, activation_type="uint8",
            groups=groups,
        )  # fmt: skip
        proto = onnx.load(made.path)
        assert made.quantized_ops == len(quantized_operations(proto))
        return quantized_operations(proto), read_facts(proto)

    taken, facts = products("closed", ("first", "grouped@1"))
    assert taken == ("one", "two", "left", "logits")
    assert (facts["placement"], facts["float_groups"]) == ("closed", ["first", "grouped@1"])
    assert "int8_groups" not in facts
    assert products("inner", (), ("grouped",))[0] == ("one", "two", "left", "right")
    assert "float_groups" not in products("inner")[1]
    before = onnx.load(model.path)
    for number, node in enumerate(before.graph.node):
        node.name = f"node{number}"
    onnx.save(before, model.path)
    assert products("closed", ("first", "grouped@1"))[0] == ("node3", "node6", "node8", "node13")
    with pytest.raises(QuantizationError, match="'attention', which has no product"):
        products("closed", ("attention",))


def test_groups_are_not_nncfs(model, monkeypatch):
    monkeypatch.setattr(toy_family.FAMILY, "placer", "nncf")
    output = model.path.with_name("int8.onnx")
    with pytest.raises(QuantizationError, match="groups of products are for networks that are"):
        quantize(
            model, IMAGES, "products", QuantizeConfig(), output, groups=Regrouping(("first",))
        )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, (True, False)),
        ({"activations_range_estimator": "minmax"}, (False, False)),
        ({"weight_rounding": "nearest"}, (False, False)),
        ({"weight_rounding": "reconstruction"}, (True, True)),
        (
            {"weight_rounding": "reconstruction", "activations_range_estimator": "minmax"},
            (True, True),
        ),
    ],
)
def test_weights_are_rounded_anew_where_ranges_are_chosen_so_or_a_recipe_says_so(config, wanted):
    stated = QuantizeConfig(**config)
    assert (rounds_anew(stated), rounds_anew(stated, by_roles=False)) == wanted


def stored(made):
    tensors = onnx.load(made.path).graph.initializer
    return {one.name: onnx.numpy_helper.to_array(one) for one in tensors if one.data_type == 3}


def test_the_graphs_of_both_kinds_of_targets_have_weights_rounded_anew(model, tmp_path):
    pairs = [
        [stored(make(model, "weighted", "int8", weight_rounding=one)) for one in ROUNDINGS],
        [
            stored(place_qdq(model, IMAGES, "weighted", tmp_path / "gpu.onnx", one))
            for one in ROUNDINGS
        ],
    ]
    for nearest, anew in pairs:
        assert nearest.keys() == anew.keys()
        assert any(not np.array_equal(nearest[name], anew[name]) for name in nearest)
