from collections import Counter

import numpy as np
import onnx
import pytest
from support.exports import export_onnx
from support.miscomputed import CHANNELS, scale_graph

from edge_convnext.core.artifacts import ModelInfo, OnnxModel, Preprocess
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.sections import EqualizeConfig, ExportConfig, QuantizeConfig
from edge_convnext.graph.qdq import Wiring, channel_scales
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.equalize import equalize, find_sites
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.quantize import quantize

SIZE = 64
TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), num_classes=5)
INFO = ModelInfo("convnextv2_atto", 5, 3, (), Preprocess(image_size=SIZE), "x", "0" * 64, None)
RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.standard_normal((4, 3, SIZE, SIZE), dtype=np.float32) for _ in range(6)]
FORMS = ("linear", "nhwc", "conv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("equalize")


@pytest.fixture(scope="module")
def uneven(folder):
    """Folded weights whose GRN makes some channels 30 times as large, one way or the other."""
    state = random_state(TINY, 0)
    for name, tensor in state.items():
        if name.endswith("grn.gamma"):
            block = name.removesuffix("grn.gamma")
            for start, gamma in ((0, 30.0), (3, -30.0)):
                tensor[start::7] = gamma
                state[f"{block}pwconv2.weight"][:, start::7] /= 30.0
    raw = save_weights(state, TINY, INFO, folder / "raw.safetensors")
    folded = fold_weights(raw, folder / "folded.safetensors")
    return {
        form: export_onnx(folded, form, "fp32", ExportConfig(), folder / f"{form}.onnx")
        for form in FORMS
    }


def infer(model):
    runtime = load_runtime("onnxruntime", model.path, RuntimeOptions())
    return np.concatenate([runtime.infer(batch) for batch in IMAGES])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_the_function_stays_and_quantizing_it_costs_less(uneven, tmp_path, form, kind):
    before = uneven[form]
    after = equalize(before, IMAGES, EqualizeConfig(), kind, tmp_path / "equalized.onnx")
    reference = infer(before)
    assert np.abs(infer(after) - reference).max() < 1e-5 * np.abs(reference).max()
    found = {}
    for name, model in (("plain", before), ("equalized", after)):
        made = quantize(
            model, IMAGES, "pointwise", QuantizeConfig(), tmp_path / f"{name}.onnx",
            activation_type=kind,
        )  # fmt: skip
        found[name] = compare_logits(reference, infer(made)).sqnr_db
    assert found["equalized"] > found["plain"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_only_for_unsigned_activations_are_channels_turned_over(uneven, tmp_path, form, kind):
    after = equalize(uneven[form], IMAGES, EqualizeConfig(), kind, tmp_path / "equalized.onnx")
    proto = onnx.load(after.path)
    wiring = Wiring(proto)
    lowest = [
        float(wiring.value(node.input[position]).min())
        for product in proto.graph.node
        for node, position in channel_scales(wiring, product)[1:]  # the 1 of gamma * n + 1
    ]
    assert len(lowest) == 4
    assert all((value < 0) == (kind == "uint8") for value in lowest)


@pytest.mark.parametrize(("form", "extra"), [("linear", 0), ("nhwc", 0), ("conv", 7)])
def test_nodes_are_added_only_where_a_norm_is_written_out(uneven, tmp_path, form, extra):
    after = equalize(uneven[form], IMAGES, EqualizeConfig(alpha=0.5), "int8", tmp_path / "e.onnx")
    old, new = (
        Counter(node.op_type for node in onnx.load(model.path).graph.node)
        for model in (uneven[form], after)
    )
    assert new - old == Counter({"Mul": extra} if extra else {})
    onnx.checker.check_model(onnx.load(after.path), full_check=True)


@pytest.mark.parametrize("form", FORMS)
def test_every_product_behind_a_normalization_is_found(uneven, form):
    readers = [site.reader.rpartition("/")[0] for site in find_sites(onnx.load(uneven[form].path))]
    blocks = [
        f"stages.{index}.blocks.0.{part}" for index in range(4) for part in ("pwconv1", "pwconv2")
    ]
    downsamplings = [f"stages.{index}.downsample.conv" for index in (1, 2, 3)]
    assert sorted(readers) == sorted([*blocks, *downsamplings, "head.fc"])


def test_the_same_input_gives_the_same_bytes(uneven, tmp_path):
    paths = [
        equalize(uneven["nhwc"], IMAGES, EqualizeConfig(), "int8", tmp_path / f"{turn}.onnx").path
        for turn in range(2)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_values_that_are_not_finite_are_named(uneven, tmp_path):
    broken = [np.full_like(IMAGES[0], np.nan)]
    with pytest.raises(QuantizationError, match="NaN or infinite activations"):
        equalize(uneven["nhwc"], broken, EqualizeConfig(), "int8", tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_only_an_fp32_graph_that_exists_is_equalized(uneven, tmp_path):
    half = OnnxModel(uneven["conv"].path, "fp16", "conv")
    with pytest.raises(QuantizationError, match="is fp16"):
        equalize(half, IMAGES, EqualizeConfig(), "int8", tmp_path / "x.onnx")
    absent = OnnxModel(tmp_path / "absent.onnx", "fp32", "conv")
    with pytest.raises(ArtifactError, match="no such ONNX file"):
        equalize(absent, IMAGES, EqualizeConfig(), "int8", tmp_path / "x.onnx")


def test_an_equalized_graph_can_be_equalized_again(uneven, tmp_path):
    once = equalize(uneven["nhwc"], IMAGES, EqualizeConfig(alpha=0.9), "int8", tmp_path / "a.onnx")
    twice = equalize(once, IMAGES, EqualizeConfig(alpha=0.3), "int8", tmp_path / "b.onnx")
    names = [tensor.name for tensor in onnx.load(twice.path).graph.initializer]
    assert len(set(names)) == len(names)
    reference = infer(uneven["nhwc"])
    assert np.abs(infer(twice) - reference).max() < 1e-5 * np.abs(reference).max()


@pytest.mark.parametrize(("keep", "sites"), [(1, 1), (0, 0)])
def test_no_factor_by_channel_goes_to_a_reduction_that_drops_its_axes(keep, sites):
    """OpenVINO computes that wrongly once it is quantized (`mean-scale`)."""

    def write(net):
        pooled = net.mean(keep=keep)
        if keep:
            pooled = net.op("Squeeze", pooled, net.put(np.int64([1, 2])))
        gamma, one = net.row(1, CHANNELS), net.put(np.float32(1))
        factor = net.op("Add", net.op("Mul", pooled, gamma), one)
        weight = net.weight((10, CHANNELS), 0, whole=True)
        return net.op("Gemm", net.op("Mul", pooled, factor), weight, transB=1)

    assert len(find_sites(scale_graph(write, "int8"))) == sites
