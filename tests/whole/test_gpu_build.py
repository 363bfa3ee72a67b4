"""Builds for GPUs, of a network that exports in a second, with the real TensorRT for RTX."""

import json
import re
from pathlib import Path

import onnx
import pytest
from support.builds import write_checkpoint, write_images
from support.built import check_report, files_of, statuses
from support.rtx_builds import needs_rtx
from support.small_exports import infer, make_images

import edge_convnext
from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import QuantizationError
from edge_convnext.networks.convnext import sizes as architecture
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.runtimes.tensorrt import rtx_builder as engine
from edge_convnext.stages import place_qdq as place

CLASSES = ("ant", "bee", "cat")
INT8_OPS = 8  # two in each of four blocks
ENGINE = "model.{}.rtx.sm86-89.b{}.engine"


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build for a GPU alone; later builds find the stages of earlier ones in the cache."""
    root = tmp_path_factory.mktemp("gpu")
    counts = {f"{side}/{name}": 4 for side in ("train", "val") for name in CLASSES}
    write_images(root / "images", counts)

    def run(target, **fields):
        fields = {
            "load": {"weights": str(write_checkpoint(root / "weights.pth", len(CLASSES)))},
            "data": {"source": str(root / "images")},
            "preprocess": {"image_size": 32},
            "simplify": {"enabled": False},
            "quantize": {"subset_size": 6},
            "targets": [target],
            **fields,
        }
        fields["engine"] = {"compute_capabilities": ["8.6", "8.9"], **fields.get("engine", {})}
        report = edge_convnext.build(make_recipe(fields), root / "out", cache=Cache(root / "cache"))
        check_report(report, root / "out")
        return report, root / "out"

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        yield run


@pytest.fixture(scope="module")
def rtx(build):
    report, folder = build("rtx")
    graphs = {path.name: onnx.load(path) for path in (folder / "gpu").iterdir()}
    sidecars = {path.name: json.loads(path.read_text()) for path in folder.glob("*.engine.json")}
    return report, graphs, sidecars


def facts(proto):
    (entry,) = (one for one in proto.metadata_props if one.key == METADATA_KEY)
    return json.loads(entry.value)


def border_types(proto):
    values = (*proto.graph.input, *proto.graph.output)
    numbers = (value.type.tensor_type.elem_type for value in values)
    return [onnx.TensorProto.DataType.Name(number) for number in numbers]


def quantized_types(proto):
    zeros = {node.input[2] for node in proto.graph.node if node.op_type == "QuantizeLinear"}
    return {one.data_type for one in proto.graph.initializer if one.name in zeros}


@needs_rtx
def test_each_precision_and_batch_size_gets_a_typed_graph_and_an_engine(rtx):
    report, graphs, sidecars = rtx
    assert set(graphs) == {f"{one}.b{batch}.onnx" for one in ("int8", "fp16") for batch in (1, 8)}
    typed, engines = report.stage("typed").variants, report.stage("engine").variants
    plans = [("int8", 1), ("int8", 8), ("fp16", 1), ("fp16", 8)]
    for variants in (typed, engines):
        assert [(one.precision, one.batch) for one in variants] == plans
    for graph, made in zip(typed, engines, strict=True):
        proto = graphs[Path(graph.artifact.path).name]
        assert border_types(proto) == ["FLOAT16", "FLOAT16"]
        assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == graph.batch
        assert (facts(proto)["form"], facts(proto)["body"]) == (graph.form, "float16")
        assert (graph.form, graph.placement) == (made.form, made.placement)
        assert made.artifact.path == ENGINE.format(made.precision, made.batch)
        sidecar = sidecars[f"{made.artifact.path}.json"]
        assert sidecar["onnx_sha256"] == graph.artifact.sha256
        assert len(sidecar["kernel_table"]) == made.engine.kernels
        assert made.engine.int8_kernels == (INT8_OPS if made.precision == "int8" else 0)
        assert graph.parity.sqnr_db > 30
    assert report.stage("engine").reason == "built, not timed: no GPU here"  # and as planned


@needs_rtx
def test_nothing_timed_is_undecided_and_says_what_was_measured_on_what(rtx):
    report, *_ = rtx
    assert report.benchmark is None
    assert report.stage("benchmark").reason == "cpu is not among the targets"
    assert (report.verdict.ship, report.verdict.passed) == ("undecided", True)
    assert (
        "The engines were built and never run: that accuracy is of model.int8.onnx in ONNX "
        "Runtime, and nothing was timed." in report.verdict.reasons
    )
    names = [one.artifact for one in report.accuracy.candidates]
    assert names == [
        "model.int8.onnx onnxruntime f32",
        "late_product_mixed.blocks.b8.int8.onnx onnxruntime f32",
        "model.fp32.onnx onnxruntime f32",
    ]
    assert report.accuracy.sqnr_db == report.accuracy.candidates[0].sqnr_db > 20
    (note,) = [one for one in report.notes if one.startswith("The Q/DQ")]
    assert re.search(r": gpu/int8\.b1\.onnx drop .* dB; gpu/int8\.b8\.onnx drop .* dB\.$", note)


@needs_rtx
def test_unsigned_activations_never_reach_tensorrt(build, rtx):
    report, graphs, _ = rtx
    stated = {"subset_size": 6, "activation_type": "uint8"}
    again, _ = build("rtx", quantize=stated)
    assert statuses(again)["quantize"] == "cached"  # the same graphs
    assert again.stage("typed").reason == "signed activations: TensorRT has no uint8 ones"
    for before, after in zip(
        report.stage("typed").variants, again.stage("typed").variants, strict=True
    ):
        assert before.artifact.sha256 == after.artifact.sha256
    for name in ("int8.b1.onnx", "int8.b8.onnx"):
        assert quantized_types(graphs[name]) == {onnx.TensorProto.INT8}


def test_a_graph_for_tensorrt_8_6_comes_with_the_typed_one_and_takes_pixels(build):
    report, folder = build("tensorrt", engine={"batches": [1], "input": "uint8"})
    names = {"int8.b1.onnx", "fp16.b1.onnx", "int8.b1.opset17.onnx", "fp32.b1.opset17.onnx"}
    assert {path.name for path in (folder / "gpu").iterdir()} == names
    assert {f"gpu/{name}" for name in names} < files_of(report)
    for variant in report.stage("typed").variants:
        proto = onnx.load(folder / variant.artifact.path)
        assert border_types(proto) == ["UINT8", "FLOAT"]
        older = variant.target == "tensorrt"
        assert proto.opset_import[0].version == (17 if older else 20)
        halves = [one for one in proto.graph.initializer if one.data_type == 10]
        assert bool(halves) != older
        assert variant.parity.sqnr_db is None or variant.parity.sqnr_db > 30  # None: equal
    assert statuses(report)["engine"] == "not_run"
    assert "from the graphs in gpu/" in report.stage("engine").reason
    pixels = make_images(2).clip(0, 1).transpose(0, 2, 3, 1) * 255
    logits = infer(folder / "gpu" / "int8.b1.onnx", pixels.astype("uint8"))
    assert logits.shape == (2, len(CLASSES))


def test_a_bad_graph_is_refused_before_the_parser_sees_it(build, monkeypatch):
    real = place.place_qdq

    def unsign(model, batches, placement, output, *rest):
        """As a quantizer for CPUs does: unsigned, with a zero point."""
        made = real(model, batches, placement, output, *rest)
        proto = onnx.load(output)
        zeros = {node.input[2] for node in proto.graph.node if node.op_type == "QuantizeLinear"}
        for tensor in proto.graph.initializer:
            if tensor.name in zeros:
                value = onnx.numpy_helper.to_array(tensor).astype("uint8") + 128
                tensor.CopyFrom(onnx.numpy_helper.from_array(value.astype("uint8"), tensor.name))
        onnx.save(proto, output)
        return made

    monkeypatch.setattr(place, "place_qdq", unsign)
    monkeypatch.setattr(engine, "run_isolated", lambda *_: pytest.fail("the builder was started"))
    for target, name in (("rtx", "rtx"), ("tensorrt", "tensorrt10")):
        with pytest.raises(QuantizationError, match=f"can't run on {name}: .*zero point 0"):
            build(target, quantize={"subset_size": 5}, engine={"batches": [1]})


@needs_rtx
def test_operations_that_stay_float_do_so_in_every_form(build):
    ignored = {"subset_size": 6, "ignored_patterns": [r"stages\.0\..*/MatMul"]}
    report, _ = build("rtx", quantize=ignored, engine={"batches": [1]})
    made = report.stage("engine").variants[0]
    assert made.engine.int8_kernels == INT8_OPS - 2  # one of the two is a Conv there
    assert report.stage("quantize").variants[0].quantized_ops == INT8_OPS - 2
    # The first block's map is copied now: the plan was made for a block that is INT8 throughout.
    assert report.stage("engine").reason == (
        "built, not timed: no GPU here; int8 batch 1 not as planned: "
        "kernels inside blocks that only move values: 1"
    )
