import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from support.tiny_qdq import Builder
from support.written_networks import IMAGES, attention, gated, normal

from edge_convnext.core.artifacts import ModelInfo, OnnxModel, Preprocess
from edge_convnext.core.sections import EqualizeConfig
from edge_convnext.graph.placements import find_placement
from edge_convnext.graph.placer import place
from edge_convnext.graph.roles import describe
from edge_convnext.stages.equalize import equalize
from edge_convnext.stages.equalize_sites import divide, equalize_joints, find_joints

NETWORKS = {
    "attention": attention(),
    "any batch": attention("batch"),
    "gated": gated(),
    "clip": gated(activation="Clip"),
    "clip to 6": gated(activation="Clip", bound=6.0),
    "h-swish": gated(activation="HardSwish"),
}


def run(proto, images=IMAGES):
    fixed = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    pieces = np.split(images, len(images)) if fixed else [images]
    session = ReferenceEvaluator(proto)
    return np.concatenate([session.run(None, {"images": one})[0] for one in pieces])


def copy(proto):
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    return made


@pytest.mark.parametrize("name", NETWORKS)
def test_any_factors_leave_the_function_as_it_is(name):
    proto, expected = copy(NETWORKS[name]), run(NETWORKS[name])
    nodes = [(node.op_type, node.name) for node in proto.graph.node]
    for joint in find_joints(proto):
        factors = np.exp(np.random.default_rng(1).uniform(-2, 2, len(joint.order)))
        divide(proto, joint, factors.astype(np.float32))
        assert np.abs(run(proto) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert [(node.op_type, node.name) for node in proto.graph.node] == nodes  # nothing is added
    onnx.checker.check_model(proto, full_check=True)


def told(proto):
    return [(one.maker, [reader.node for reader in one.readers]) for one in find_joints(proto)]


def test_places_are_found_by_structure():
    assert told(NETWORKS["attention"]) == [
        ("norm/LayerNormalization", ["qkv/MatMul"]),
        ("qkv/MatMul", ["projected/MatMul"]),
    ]
    gate = ("reduce/Conv", ["expand/Conv"])
    assert told(NETWORKS["gated"]) == [
        ("stem/Conv", ["dw/Conv"]),
        ("dw/Conv", ["left/Conv", "right/Conv", "reduce/Conv"]),
        gate,
    ]
    assert told(NETWORKS["clip"]) == told(NETWORKS["gated"])
    assert told(NETWORKS["clip to 6"]) == told(NETWORKS["h-swish"]) == [gate]


def test_no_factor_goes_behind_a_mean_in_front_of_a_classifier():
    """OpenVINO 2026.4 computes ReduceMean, Mul by channel, Q/DQ, Gemm wrongly."""
    for proto in NETWORKS.values():
        after = copy(proto)
        equalize_joints(after, np.split(IMAGES, 4), 0.5, "int8")
        assert [node.op_type for node in after.graph.node] == [
            node.op_type for node in proto.graph.node
        ]


def test_several_readers_are_scaled_alike():
    build = Builder()
    norm = build.node("LayerNormalization", ["images", build.constant("g", normal(4))], "norm")
    for name in "qkv":
        build.node("MatMul", [norm, build.constant(f"w{name}", normal(4, 3))], name)
    both = build.node("Add", ["q", "k"], "both")
    proto = build.model({"images": [1, 2, 2, 4]}, build.node("Add", [both, "v"], "y"), 4)
    (joint,) = find_joints(proto)
    assert [one.node for one in joint.readers] == ["q/MatMul", "k/MatMul", "v/MatMul"]
    assert joint.weight.shape == (4, 9)
    images = normal(1, 2, 2, 4)
    expected = run(proto, images)
    divide(proto, joint, np.array([0.5, 2, 4, 1], np.float32))
    np.testing.assert_allclose(run(proto, images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reader", ["Conv", "depthwise"])
def test_channels_of_uneven_ranges_lose_less_once_they_are_evened_out(reader):
    build = Builder()
    spread = np.array([1, 30, 0.03, 1, 3, 0.3, 10, 0.1], np.float32)
    first = build.constant("w0", normal(8, 3, 1, 1) * spread[:, None, None, None])
    x = build.node("Relu", [build.node("Conv", ["images", first], "a")], "r")
    back = (1 / spread)[:, None, None, None]
    if reader == "Conv":
        w = build.constant("w1", normal(8, 8, 1, 1) * back.transpose(1, 0, 2, 3))
        y = build.node("Conv", [x, w], "y")
    else:
        y = build.node("Conv", [x, build.constant("w1", normal(8, 1, 3, 3) * back)], "y", group=8)
    proto = build.model({"images": [1, 3, 16, 16]}, y, 4)
    batches, after = np.split(IMAGES, 4), copy(proto)
    equalize_joints(after, batches, "auto", "uint8")
    expected, errors = run(proto), []
    for graph in (proto, after):
        made = place(graph, describe(graph), find_placement("weighted"), "uint8", batches)
        errors.append(np.square(run(made) - expected).mean())
    assert errors[1] < errors[0] / 4


def test_silent_channels_and_graphs_without_a_place_stay_as_they_are():
    build = Builder()
    zero = build.constant("w0", np.zeros((4, 3, 1, 1), np.float32))
    x = build.node("Relu", [build.node("Conv", ["images", zero], "a")], "r")
    y = build.node("Conv", [x, build.constant("w1", normal(4, 1, 1, 1))], "y", group=4)
    proto = build.model({"images": [1, 3, 16, 16]}, y, 4)
    equalize_joints(proto, np.split(IMAGES, 4), "auto", "mixed")
    for tensor in proto.graph.initializer:
        assert np.isfinite(numpy_helper.to_array(tensor)).all()
    build = Builder()
    alone = build.model({"images": [1, 3, 16, 16]}, build.node("Relu", ["images"], "y"), 4)
    equalize_joints(alone, np.split(IMAGES, 4), "auto", "int8")
    assert len(alone.graph.initializer) == 0


@pytest.mark.parametrize(("model", "places"), [("conv2former_n", True), ("convnextv2_atto", False)])
def test_the_stage_goes_by_structure_where_names_tell_nothing(tmp_path, model, places):
    proto = copy(NETWORKS["gated"])
    info = ModelInfo(model, 5, 3, (), Preprocess(), "random", "0" * 64, None)
    helper.set_model_props(proto, info.to_metadata())
    onnx.save(proto, tmp_path / "g.onnx")
    before = OnnxModel(tmp_path / "g.onnx", "fp32", "raw")
    batches = np.split(IMAGES, 4)
    made = equalize(before, batches, EqualizeConfig(alpha=0.5), "mixed", tmp_path / "e.onnx")
    after = onnx.load(made.path)
    changed = {one.name for one in after.graph.initializer} - {
        one.name for one in proto.graph.initializer
    }
    assert bool(changed) == places
    assert np.abs(run(after) - run(proto)).max() <= 1e-5 * np.abs(run(proto)).max()
