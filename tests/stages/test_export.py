from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from support.torch_exports import IMAGES, INFO, SIZE, TINY, run_onnx, run_torch

import edge_convnext
from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo
from edge_convnext.core.errors import ExportError
from edge_convnext.core.sections import ExportConfig, LoadConfig
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.square_attention import find_square_attention
from edge_convnext.networks.convnext.build import build_network, random_state
from edge_convnext.networks.convnext.forms import FORMS as WRITTEN
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.export import export_onnx
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.load import load_weights

FORMS = ("raw", *WRITTEN)
# Of one module: `stages.2.blocks.0.pwconv1/MatMul`, and `_1` for the second of a kind.
NODE_NAME = re.compile(r"(?:([\w.]+)/)?([A-Z]\w*?)(?:_\d+)?")
REDUCTIONS = {"LayerNormalization", "ReduceL2", "ReduceMean"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def raw_weights(folder):
    return save_weights(random_state(TINY, 0), TINY, INFO, folder / "raw.safetensors")


@pytest.fixture(scope="module")
def folded_weights(folder, raw_weights):
    return fold_weights(raw_weights, folder / "folded.safetensors")


@pytest.fixture(scope="module")
def weights(raw_weights, folded_weights):
    return {"raw": raw_weights, **dict.fromkeys(WRITTEN, folded_weights)}


@pytest.fixture(scope="module")
def models(folder, weights):
    """By form, at float32 with a dynamic batch."""
    return {
        form: export_onnx(weights[form], form, "fp32", ExportConfig(), folder / f"{form}.onnx")
        for form in FORMS
    }


@pytest.fixture(scope="module")
def half_models(folder, weights):
    """By form, at float16, of a network whose sums of squares overflow float16."""
    state = random_state(TINY, 0)
    for name, tensor in state.items():
        if name.endswith("pwconv1.bias"):
            tensor.add_(200.0)  # each value fits, 64 squares of it do not
        if name.endswith("pwconv2.weight"):
            tensor.mul_(0.01)
        if name == "stem.conv.bias":
            tensor.mul_(10_000.0)  # LayerNorm squares these
    loud = save_weights(state, TINY, INFO, folder / "loud.safetensors")
    folded = fold_weights(loud, folder / "loud-folded.safetensors")
    chosen = {"raw": loud, **dict.fromkeys(WRITTEN, folded)}
    return {
        form: (
            chosen[form],
            export_onnx(chosen[form], form, "fp16", ExportConfig(), folder / f"{form}.fp16.onnx"),
        )
        for form in FORMS
    }


def types_of(proto):
    """Element type by value name, of the inferred graph."""
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph
    values = (*inferred.input, *inferred.output, *inferred.value_info)
    return {
        **{value.name: value.type.tensor_type.elem_type for value in values},
        **{tensor.name: tensor.data_type for tensor in inferred.initializer},
    }


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_logits_of_torch(models, weights, form):
    expected = run_torch(weights[form], form)
    assert np.abs(run_onnx(models[form].path) - expected).max() < 1e-5
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("form", FORMS)
def test_nodes_are_named_after_their_module_and_operation(models, weights, form):
    graph = onnx.load(models[form].path).graph
    modules = {name for name, _ in build_network(weights[form], form).named_modules()}
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    for node in graph.node:
        path, op_type = NODE_NAME.fullmatch(node.name).groups()
        assert path in modules
        assert op_type == node.op_type
        assert node.output[0] in (node.name, "logits")
    pointwise = "Conv" if form.startswith("conv") else "MatMul"
    stem = "MatMul" if form == "nhwc" else "Conv"
    expected = {f"stages.2.blocks.0.pwconv1/{pointwise}", f"stem.conv/{stem}", "head.fc/Gemm"}
    assert expected <= set(names)


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_products_are_named_after_their_parameter(models, form):
    graph = onnx.load(models[form].path).graph
    names = {tensor.name for tensor in graph.initializer}
    for module in ("stem.conv", "stages.0.blocks.0.dwconv", "stages.3.blocks.0.pwconv2", "head.fc"):
        assert {f"{module}.weight", f"{module}.bias"} <= names
    assert not [name for name in names if name.startswith("val")]


@pytest.mark.parametrize("form", FORMS)
def test_the_file_tells_nothing_of_the_machine_it_was_made_on(models, half_models, form):
    for path in (models[form].path, half_models[form][1].path):
        content = path.read_bytes()
        package = str(Path(edge_convnext.__file__).parent)
        site = str(Path(torch.__file__).parent)
        for trace in (package, site, tempfile.gettempdir(), ".py", "stack_trace", "pkg.torch"):
            assert trace.encode() not in content
        proto = onnx.load(path)
        assert not proto.functions
        for part in (proto.graph, *proto.graph.node, *proto.graph.initializer):
            assert not part.doc_string
            assert not part.metadata_props


def test_the_metadata_says_what_the_file_is(models, half_models):
    for path, form, precision in (
        (models["conv"].path, "conv", "fp32"),
        (half_models["raw"][1].path, "raw", "fp16"),
    ):
        proto = onnx.load(path)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        assert list(metadata) == [METADATA_KEY]
        assert ModelInfo.from_metadata(metadata, path) == INFO
        fields = json.loads(metadata[METADATA_KEY])
        assert (fields["form"], fields["precision"]) == (form, precision)
        assert f"edge-convnext {edge_convnext.__version__}" in fields["tools"]
        assert f"torch {torch.__version__}" in fields["tools"]
        assert proto.producer_name == "edge-convnext"


def test_two_exports_are_the_same_bytes(models, weights, folder):
    again = export_onnx(weights["linear"], "linear", "fp32", ExportConfig(), folder / "again.onnx")
    assert again.path.read_bytes() == models["linear"].path.read_bytes()


def test_a_dynamic_batch_takes_any_number_of_images(models):
    model = onnx.load(models["linear"].path)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["batch", 3, SIZE, SIZE]
    assert next(entry.version for entry in model.opset_import if entry.domain == "") == 20
    whole = run_onnx(models["linear"].path)
    for start, end in ((0, 1), (1, 3)):
        part = run_onnx(models["linear"].path, IMAGES[start:end])
        assert np.abs(part - whole[start:end]).max() < 1e-5


def test_a_static_batch_and_another_opset_are_in_the_graph(weights, folder):
    config = ExportConfig(batch=2, opset=18)
    model = export_onnx(weights["conv"], "conv", "fp32", config, folder / "static.onnx")
    proto = onnx.load(model.path)
    for border in (proto.graph.input[0], proto.graph.output[0]):
        assert border.type.tensor_type.shape.dim[0].dim_value == 2
    assert next(entry.version for entry in proto.opset_import if entry.domain == "") == 18
    expected = run_torch(weights["conv"], "conv", IMAGES[:2])
    assert np.abs(run_onnx(model.path, IMAGES[:2]) - expected).max() < 1e-5


def test_grey_images_and_the_first_convnext_are_exported_too(folder):
    architecture = Architecture("convnextv1_atto", 1, TINY.depths, TINY.widths, 5, in_channels=1)
    info = replace(INFO, model="convnextv1_atto", in_channels=1)
    state = random_state(architecture, 0)
    grey = save_weights(state, architecture, info, folder / "v1.safetensors")
    folded = fold_weights(grey, folder / "v1-folded.safetensors")
    model = export_onnx(folded, "linear", "fp32", ExportConfig(), folder / "v1.onnx")
    images = IMAGES[:, :1].copy()
    assert np.abs(run_onnx(model.path, images) - run_torch(grey, "raw", images)).max() < 1e-5
    assert not [node for node in onnx.load(model.path).graph.node if ".grn" in node.name]


@pytest.mark.parametrize("form", FORMS)
def test_a_half_graph_has_float_borders_and_float_reductions(half_models, form):
    proto = onnx.load(half_models[form][1].path)
    types = types_of(proto)
    assert types["images"] == types["logits"] == TensorProto.FLOAT
    for node in proto.graph.node:
        norm = ".norm/" in node.name or ".grn/" in node.name
        if node.op_type in ("Conv", "MatMul", "Gemm", "Gelu") and not norm:
            assert types[node.output[0]] == TensorProto.FLOAT16
        if norm and node.op_type in (*REDUCTIONS, "MatMul"):
            assert types[node.input[0]] == types[node.output[0]] == TensorProto.FLOAT
    products = [
        node.input[1]
        for node in proto.graph.node
        if node.op_type in ("Conv", "MatMul") and ".grn/" not in node.name
    ]
    assert {types[name] for name in products} == {TensorProto.FLOAT16}


@pytest.mark.parametrize("form", FORMS)
def test_a_half_graph_survives_sums_that_float16_cannot_hold(half_models, form):
    weights, model = half_models[form]
    expected = run_torch(weights, form)
    # Every operation in exactly the type that the graph states, whatever a runtime would do.
    (exact,) = ReferenceEvaluator(onnx.load(model.path)).run(None, {"images": IMAGES})
    for logits in (exact, run_onnx(model.path)):
        assert logits.dtype == np.float32
        assert np.abs(logits - expected).max() < 0.02 * np.abs(expected).max()


def test_those_sums_would_overflow_in_float16(half_models):
    proto = onnx.load(half_models["linear"][1].path)
    grn = next(node for node in proto.graph.node if node.op_type == "ReduceL2")
    norm = next(node for node in proto.graph.node if node.op_type == "LayerNormalization")
    for value in (grn.input[0], norm.input[0]):
        proto.graph.output.append(
            onnx.helper.make_tensor_value_info(value, TensorProto.FLOAT, None)
        )
    activations, map_ = ReferenceEvaluator(proto).run(None, {"images": IMAGES})[1:]
    assert np.abs(activations).max() < 65504  # each value fits
    assert np.square(activations).sum(axis=(1, 2)).min() > 65504
    assert np.square(map_ - map_.mean(axis=-1, keepdims=True)).max() > 65504


@pytest.mark.parametrize(
    ("version", "advice"),
    [
        (
            "2.9.1+cu128",
            "torch before 2.10 exports none of these networks: pip install 'torch>=2.10'",
        ),
        ("2.13.0", "please report it with these words"),
    ],
)
def test_what_the_exporter_cannot_do_is_one_line_and_leaves_nothing(
    weights, folder, monkeypatch, version, advice
):
    def fail(*_arguments, **_options):
        try:
            raise ValueError("no decomposition\nfor this")
        except ValueError as error:
            raise RuntimeError("\x1b[96mstep 1/3\x1b[0m " + "x" * 2000) from error

    monkeypatch.setattr(torch.onnx, "export", fail)
    monkeypatch.setattr(torch, "__version__", version)
    target = folder / "failed" / "model.onnx"
    with pytest.raises(ExportError) as caught:
        export_onnx(weights["conv"], "conv", "fp32", ExportConfig(), target)
    told = str(caught.value)
    assert told.startswith(f"torch {version} can't export the model at opset 20 (step 1/3 xxx")
    assert told.endswith(f"x: ValueError: no decomposition for this); {advice}")
    assert len(told) < 700
    assert not target.exists()


def test_attention_that_openvino_computes_wrongly_is_exported_otherwise(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    from support.tiny_transformers import write_tiny

    folder, size = tmp_path / "net", {"height": 64, "width": 64}
    square = {"num_heads": [4, 4], "window_size": 2}  # four heads, four tokens
    write_tiny(transformers, "SwinForImageClassification", folder, {"size": size}, **square)
    config = LoadConfig(weights=str(folder))
    weights = load_weights(config, f"hf:{folder}", 0, tmp_path / "w.safetensors")
    made = export_onnx(weights, "raw", "fp32", ExportConfig(), tmp_path / "m.onnx")
    proto = onnx.load(made.path)
    assert list(find_square_attention(proto, Wiring(proto))) == []
    moved = [node for node in proto.graph.node if node.name.endswith("attention/Transpose.squeeze")]
    assert len(moved) == 2  # one for each block
