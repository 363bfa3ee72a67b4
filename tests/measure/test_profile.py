import onnx
import pytest
from support.profiled import ONE_THREAD
from support.tiny_graph import write_graph
from support.written_networks import gated
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.measure.built_models import profile_models
from edge_convnext.measure.profile import profile
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.runtimes.load import available_runtimes

SIZE = 32
BLOCKS = 4
RUNTIMES = [
    "onnxruntime",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(
            "openvino" not in available_runtimes(), reason="the openvino extra is not installed"
        ),
    ),
]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Two forms in float and INT8, and one in ONNX Runtime's own operations."""
    pytest.importorskip("torch", reason="the build extra is not installed")
    from support.exports import export_onnx, quantize
    from support.small_exports import make_images
    from support.torch_exports import INFO, TINY

    from edge_convnext.core.sections import ExportConfig, QuantizeConfig
    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.weights import save_weights
    from edge_convnext.stages.fold import fold_weights
    from edge_convnext.stages.fuse_for_onnxruntime import lower_for_onnxruntime

    folder = tmp_path_factory.mktemp("profile")
    raw = save_weights(random_state(TINY, 0), TINY, INFO, folder / "raw.safetensors")
    folded = fold_weights(raw, folder / "folded.safetensors")
    images = make_images(4)
    found = {}
    for form in ("nhwc", "conv_moments"):
        config = ExportConfig()
        exported = export_onnx(folded, form, "fp32", config, folder / f"{form}.fp32.onnx")
        target = folder / f"{form}.int8.onnx"
        quantized = quantize(exported, [images], "pointwise", QuantizeConfig(), target)
        found[f"{form} fp32"], found[f"{form} int8"] = exported.path, target
        if form == "nhwc":
            lowered = lower_for_onnxruntime(quantized, folder / "lowered.onnx")
            found["lowered"] = lowered.path
    return found


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "name", ["nhwc fp32", "nhwc int8", "conv_moments fp32", "conv_moments int8"]
)
def test_every_layer_belongs_to_a_part_of_the_network(graphs, name, runtime):
    found = profile(graphs[name], runtime, ONE_THREAD, rounds=2)
    assert "other" not in {layer.part for layer in found.layers}
    assert sum(group.latency_ms for group in found.groups) == pytest.approx(found.layers_ms)
    assert sum(layer.share_pct for layer in found.layers) == pytest.approx(100)
    assert sum(group.layers for group in found.groups) == len(found.layers)
    counted = {group.part: group for group in found.groups}
    for part in ("dwconv", "norm", "pwconv1", "grn", "pwconv2"):
        assert counted[part].layers >= BLOCKS, part
    # GELU has kernels of its own or lies in the product's.
    gelu = counted["gelu"]
    assert gelu.layers == BLOCKS or gelu.fused_into == (("pwconv1", BLOCKS),)
    assert list(counted) == [part for part in PARTS.names if part in counted]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_layers_map_to_nodes_of_the_graph(graphs, runtime):
    found = profile(graphs["nhwc fp32"], runtime, ONE_THREAD, rounds=1)
    nodes = {node.name for node in onnx.load(graphs["nhwc fp32"]).graph.node}
    mapped = {node for layer in found.layers for node in layer.nodes}
    assert mapped <= nodes
    for part in ("pwconv1/MatMul", "norm/LayerNormalization", "act/Gelu", "dwconv/Conv"):
        assert f"stages.0.blocks.0.{part}" in mapped
    assert "head.fc/Gemm" in mapped
    assert all(layer.kernel for layer in found.layers)
    (product,) = [x for x in found.layers if "stages.0.blocks.0.pwconv1/MatMul" in x.nodes][:1]
    reads, weights, bias, writes = 8 * 8 * 8, 8 * 32, 32, 8 * 8 * 32
    without_bias = 4 * (reads + weights + writes)  # float32
    assert product.moved_bytes in (without_bias, without_bias + 4 * bias)
    assert {layer.dtype for layer in found.layers} <= {"f32", "i32", "i64", "boolean"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_quantized_product_says_so(graphs, runtime):
    name = "lowered" if runtime == "onnxruntime" else "conv_moments int8"
    found = profile(graphs[name], runtime, ONE_THREAD, rounds=1)
    products = [layer for layer in found.layers if layer.part in ("pwconv1", "pwconv2")]
    assert len(products) == 2 * BLOCKS
    assert {layer.dtype for layer in products} <= {"u8", "i8"}


def test_a_graph_of_one_runtime_is_profiled_there(graphs):
    found = profile_models([graphs["lowered"]], "both", [1], threads=1, rounds=1)
    assert [one.runtime for one in found] == ["onnxruntime"]


def test_each_batch_size_is_its_own_profile(graphs):
    paths = [graphs["nhwc fp32"]]
    found = profile_models(paths, "onnxruntime", [1, 2], threads=1, rounds=1)
    assert [(one.batch, one.threads, one.precision_hint) for one in found] == [
        (1, 1, "f32"),
        (2, 1, "f32"),
    ]


def test_a_graph_without_our_names_is_other(tmp_path):
    found = profile(write_graph(tmp_path / "tiny.onnx"), "onnxruntime", ONE_THREAD, rounds=1)
    assert {layer.part for layer in found.layers} == {"other"}


def test_a_missing_graph_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"nowhere\.onnx: No such file"):
        profile_models([tmp_path / "nowhere.onnx"], "both", [1])


def test_the_command_prints_parts_and_layers(graphs):
    line = ["bench", str(graphs["lowered"]), "--profile", "--rounds", "1", "--threads", "1"]
    shown = CliRunner().invoke(app, [*line, "--top", "3"])
    assert shown.exit_code == 0, shown.output
    assert "pwconv1" in shown.stdout
    assert "MatMulIntegerToFloat" in shown.stdout
    assert "ms in no layer" in shown.stdout


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_other_families_are_told_by_role_and_stage(tmp_path, runtime):
    proto = gated(activation="HardSwish")
    info = ModelInfo("conv2former_n", 5, 3, (), Preprocess(), "random", "0" * 64, None)
    onnx.helper.set_model_props(proto, info.to_metadata())
    onnx.save(proto, tmp_path / "g.onnx")
    found = profile(tmp_path / "g.onnx", runtime, ONE_THREAD, 1)
    spent = {group.part for group in found.groups if group.layers}
    assert {"first", "stage 1 depthwise", "stage 1 pointwise", "last"} <= spent
    assert spent <= set(found.parts.names)
