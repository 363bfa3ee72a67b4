"""What every pass makes of graphs that timm's networks export to, small ones."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support.rtx_builds import build_rtx, needs_rtx
from support.small_exports import infer, largest_error, make_images

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.graph.node_parts import find_node_parts
from edge_convnext.graph.placements import find_placement
from edge_convnext.graph.placer import place
from edge_convnext.graph.pointwise import convolutions_to_products
from edge_convnext.graph.rewrites import fold_affines
from edge_convnext.graph.roles import describe
from edge_convnext.graph.safety import check_graph
from edge_convnext.graph.torch_module import GraphModule
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.lint import lint
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.equalize_sites import divide, find_joints
from edge_convnext.stages.to_float16 import halve_body
from edge_convnext.stages.to_opset17 import use_opset_17

pytestmark = pytest.mark.slow

SIZE = 32
NETWORKS = {
    "gates": ("mobilenetv3_small_050", {}),
    "attention": (
        "vit_tiny_patch16_224", {"img_size": SIZE, "patch_size": 8, "depth": 1, "embed_dim": 48},
    ),
    "windows": (
        "swin_tiny_patch4_window7_224",
        {"img_size": SIZE, "window_size": 4, "depths": (1, 2), "embed_dim": 24,
         "num_heads": (2, 4)},
    ),
}  # fmt: skip
IMAGES = make_images(2, SIZE)


@pytest.fixture(scope="module", params=NETWORKS)
def model(request, tmp_path_factory):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    pytest.importorskip("onnxscript", reason="the build extra is not installed")
    name, options = NETWORKS[request.param]
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, **options).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, (torch.zeros(1, 3, SIZE, SIZE),), dynamo=True, verbose=False,
            opset_version=20, input_names=["images"], output_names=["logits"],
        )  # fmt: skip
    proto = program.model_proto
    for number, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{number}"  # no pass reads names
        del node.metadata_props[:]
    del proto.graph.value_info[:]
    path = tmp_path_factory.mktemp("timm") / f"{request.param}.onnx"
    onnx.save(proto, path)
    return OnnxModel(path, "fp32", "raw")


def test_it_is_taken_and_every_node_has_a_part(model):
    proto = onnx.load(model.path)
    check_graph(proto, model.path)
    roles = {part.role for part in find_node_parts(proto).values()}
    assert {"first", "last", "activation", "residual"} <= roles


def test_it_can_be_trained(model):
    found = GraphModule(onnx.load(model.path))(torch.from_numpy(IMAGES))
    assert largest_error(found.detach().numpy(), infer(model.path, IMAGES)) < 1e-4


def test_rewrites_are_exact(model, tmp_path):
    proto, expected = onnx.load(model.path), infer(model.path, IMAGES)
    joints = find_joints(proto)
    assert joints
    for joint in joints:
        factors = np.exp(np.random.default_rng(0).uniform(-1, 1, len(joint.order)))
        divide(proto, joint, factors.astype(np.float32))
    fold_affines(proto)
    onnx.save(proto, tmp_path / "rewritten.onnx")
    assert largest_error(infer(tmp_path / "rewritten.onnx", IMAGES), expected) < 1e-5


@pytest.mark.parametrize("placement", [None, "fused"])
def test_tensorrt_takes_it(model, tmp_path, placement):
    before = model
    if placement is not None:
        proto = onnx.load(model.path)
        batches = np.split(IMAGES, 2)
        made = place(proto, describe(proto), find_placement(placement), "int8", batches)
        onnx.save(made, tmp_path / "int8.onnx")
        before = OnnxModel(tmp_path / "int8.onnx", "int8", "raw", placement)
    old = use_opset_17(before, tmp_path / "17.onnx")
    typed = halve_body(before, tmp_path / "half.onnx")
    assert lint(old.path, "tensorrt8.6") == lint(typed.path, "rtx") == ()
    assert largest_error(infer(old.path, IMAGES), infer(before.path, IMAGES)) < 1e-4


@needs_rtx
def test_tensorrt_for_rtx_builds_it(model, tmp_path):
    built = build_rtx(Path(halve_body(model, tmp_path / "half.onnx").path))
    assert built.error is None
    assert built.kernels


@pytest.fixture
def as_products(model, tmp_path):
    """The graph with 1x1 convolutions as matrix products; of tokens there are none to rewrite."""
    proto = convolutions_to_products(onnx.load(model.path))
    onnx.save(proto, tmp_path / "linear.onnx")
    return OnnxModel(tmp_path / "linear.onnx", "fp32", "linear")


def test_products_on_maps_are_taken_by_every_pass_and_runtime(model, as_products, tmp_path):
    proto, expected = onnx.load(as_products.path), infer(model.path, IMAGES)
    assert largest_error(infer(as_products.path, IMAGES), expected) < 1e-5
    check_graph(proto, as_products.path)
    assert len(find_node_parts(proto)) == len(proto.graph.node)
    trained = GraphModule(proto)(torch.from_numpy(IMAGES)).detach().numpy()
    assert largest_error(trained, expected) < 1e-4
    made = place(proto, describe(proto), find_placement("dense"), "int8", np.split(IMAGES, 2))
    onnx.save(made, tmp_path / "int8.onnx")
    for runtime in ("onnxruntime", "openvino"):
        found = load_runtime(runtime, tmp_path / "int8.onnx", RuntimeOptions()).infer(IMAGES)
        assert largest_error(found, infer(tmp_path / "int8.onnx", IMAGES)) < 0.1
        told = lint(tmp_path / "int8.onnx", runtime)
        assert not [one for one in told if one.severity == "error"]
        products = {node.name for node in proto.graph.node if node.op_type == "MatMul"}
        new = products - {node.name for node in onnx.load(model.path).graph.node}
        assert not [one for one in told if one.node in new]


@needs_rtx
@pytest.mark.parametrize("placement", [None, "dense"])
def test_tensorrt_for_rtx_builds_products_on_maps(as_products, tmp_path, placement):
    before = as_products
    if placement is not None:
        proto = onnx.load(before.path)
        made = place(proto, describe(proto), find_placement(placement), "int8", [IMAGES[:1]])
        onnx.save(made, tmp_path / "int8.onnx")
        before = OnnxModel(tmp_path / "int8.onnx", "int8", "linear", placement)
    typed = halve_body(before, tmp_path / "half.onnx")
    assert lint(typed.path, "rtx") == ()
    built = build_rtx(Path(typed.path))
    assert built.error is None
    assert built.kernels
