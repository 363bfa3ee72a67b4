"""A LayerNorm whose input is far from zero: every form stays at what the model computes."""

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional

from edge_convnext.build.float_chain import export_step
from edge_convnext.build.runner import Runner, parity_result
from edge_convnext.core.artifacts import ModelInfo, OnnxModel, Preprocess
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ExportError
from edge_convnext.core.progress import untracked
from edge_convnext.core.sections import ExportConfig
from edge_convnext.core.step import Images, Step
from edge_convnext.networks.convnext.build import build_form, random_state
from edge_convnext.networks.convnext.fold import fold_state_dict
from edge_convnext.networks.convnext.forms import FORMS
from edge_convnext.networks.convnext.gpu_forms import GPU_FORMS
from edge_convnext.networks.convnext.norms import MomentsNorm, settle_norms
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.export import export_onnx
from edge_convnext.stages.fold import fold_weights

SMALL = Architecture("convnextv2_small", 2, (1, 1, 1, 1), (8, 8, 8, 12), 5)
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
INFO = ModelInfo(
    model="convnextv2_small",
    in_channels=3,
    num_classes=5,
    classes=(),
    preprocess=Preprocess(image_size=32, crop_pct=1.0, interpolation="bicubic"),
    weights_source="random",
    weights_sha256=None,
    weights_licence=None,
)


def shifted_by_biases(deviations):
    """Biases that move every channel of a norm's input alike."""
    state = random_state(SMALL, 0)
    for name, tensor in state.items():
        if name.endswith("dwconv.bias"):
            tensor.add_(deviations * 0.15)  # the deviation is about 0.15
    return state


def shifted_by_data(deviations):
    """A residual with a mean, of which the depthwise convolution makes the same in all channels."""
    state = random_state(SMALL, 0)
    state["stem.norm.bias"].add_(deviations)
    state["stages.0.blocks.0.dwconv.weight"].mul_(1e-3).add_(1 / 49)
    return state


def furthest(network):
    """Mean over channels by their deviation, of the first block's norm."""
    found = []
    norm = network.stages[0].blocks[0].norm
    norm.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0]))
    with torch.no_grad():
        network(IMAGES[:1])
    deviation, mean = torch.std_mean(found[0], dim=1, correction=0)
    return float((mean.abs() / deviation).max())


@pytest.mark.parametrize("deviations", [50, 200, 1000])
@pytest.mark.parametrize("form", sorted({**FORMS, **GPU_FORMS}))
@pytest.mark.parametrize("shifted", [shifted_by_biases, shifted_by_data])
def test_every_form_computes_the_model_however_far_its_means_are(shifted, deviations, form):
    state = shifted(deviations)
    raw = build_form(state, SMALL, "raw").double()
    network = build_form(fold_state_dict(state, SMALL), SMALL, form)
    settle_norms(network, IMAGES.split(1))
    with torch.no_grad():
        expected = raw(IMAGES.double())
        logits = torch.cat([network(image) for image in IMAGES.split(1)])  # some take only one
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_biases_that_all_channels_share_are_folded_away():
    folded = fold_state_dict(shifted_by_biases(200), SMALL)
    assert furthest(build_form(folded, SMALL, "conv_moments")) < 10
    for name, bias in folded.items():
        if name.endswith("dwconv.bias"):
            assert abs(float(bias.mean())) < 1e-6


@pytest.mark.parametrize(("deviations", "written_out"), [(0, False), (2, False), (60, True)])
def test_a_norm_is_written_out_where_its_input_is_far_from_zero(deviations, written_out):
    state = shifted_by_data(deviations)
    network = build_form(fold_state_dict(state, SMALL), SMALL, "conv_moments")
    assert (furthest(network) > 10) is written_out
    settle_norms(network, IMAGES.split(1))
    assert network.stages[0].blocks[0].norm.written_out is written_out
    assert not network.stages[3].blocks[0].norm.written_out


@pytest.mark.parametrize("shift", [200.0, 1000.0, 30_000.0])
def test_moments_of_a_far_input_are_never_undefined(shift):
    x = torch.randn(1, 40, 16, 16, generator=torch.Generator().manual_seed(0)) + shift
    y = MomentsNorm(40, affine=False)(x)
    assert torch.isfinite(y).all()
    near = MomentsNorm(40, affine=False)(x - shift)
    expected = functional.layer_norm((x - shift).permute(0, 2, 3, 1), (40,), eps=1e-6)
    assert torch.allclose(near, expected.permute(0, 3, 1, 2), atol=1e-5)


@pytest.fixture
def weights(tmp_path):
    state = shifted_by_data(3000)
    raw = save_weights(state, SMALL, INFO, tmp_path / "raw.safetensors")
    return raw, fold_weights(raw, tmp_path / "folded.safetensors")


def test_the_exported_graph_is_compared_with_the_model_and_not_with_its_own_form(
    tmp_path, weights, monkeypatch
):
    raw, folded = weights
    batches = [IMAGES.numpy()]
    images = Images("images", 2, lambda: batches)
    runner = Runner(Cache(tmp_path / "cache"), make_recipe({}), {}, untracked)
    arguments = (
        Step(folded, "done", 0.0, "folded"), "conv_moments", "fp32", images,
        Step(raw, "done", 0.0, "raw"),
    )  # fmt: skip
    made = export_step(runner, *arguments)
    assert made.parity.max_abs_err < 1e-4
    kinds = [node.name for node in onnx.load(made.value.path).graph.node]
    assert not any(name.startswith("stages.0.blocks.0.norm/Relu") for name in kinds)
    assert any(name.startswith("stages.3.blocks.0.norm/Relu") for name in kinds)

    from edge_convnext.stages import export

    def export_moments(*arguments):
        return export_onnx(*arguments[:5])  # no images: nothing is written out

    monkeypatch.setattr(export, "export_onnx", export_moments)
    again = Runner(Cache(tmp_path / "other"), make_recipe({}), {}, untracked)
    with pytest.raises(ExportError, match="export: the logits differ from the model's"):
        export_step(again, *arguments)


def test_logits_that_are_no_numbers_are_no_parity():
    good = np.ones((2, 5), np.float32)
    with pytest.raises(ExportError, match="differ"):
        parity_result(good, np.full_like(good, np.nan), 1e-3)


def test_without_images_the_graph_is_as_it_ever_was(tmp_path, weights):
    _, folded = weights
    model = export_onnx(folded, "conv_moments", "fp32", ExportConfig(), tmp_path / "m.onnx")
    assert isinstance(model, OnnxModel)
    names = [node.name for node in onnx.load(model.path).graph.node]
    assert sum("norm/Relu" in name for name in names) == 4  # one a block
