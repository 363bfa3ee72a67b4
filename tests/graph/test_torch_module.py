import numpy as np
import onnx
import pytest
import torch
from support import written_networks as written
from support.exports import export_onnx, quantize
from support.recoverable import FORMS, IMAGES, INFO, TINY, infer, make_models
from support.small_exports import infer as run_onnx

from edge_convnext.core.errors import UntrainableError
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.sections import ExportConfig, QuantizeConfig
from edge_convnext.graph.placements import find_placement
from edge_convnext.graph.placer import place
from edge_convnext.graph.roles import describe
from edge_convnext.graph.torch_module import GraphModule, write_back
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights


@pytest.fixture(scope="module", params=FORMS)
def models(request, tmp_path_factory):
    return make_models(request.param, tmp_path_factory.mktemp("recover"))


def test_the_module_computes_what_the_graphs_do(models):
    reference, quantized = models
    for model, least_db in ((reference, 100.0), (quantized, 40.0)):
        module = GraphModule(onnx.load(model.path), onnx.load(reference.path))
        with torch.no_grad():
            found = module(torch.from_numpy(IMAGES)).numpy()
        parity = compare_logits(infer(model.path), found)
        assert parity.max_abs_err == 0.0 or parity.sqnr_db > least_db


def test_a_divisor_that_quantization_made_zero_has_a_slope(tmp_path):
    weights = save_weights(random_state(TINY, 0), TINY, INFO, tmp_path / "raw.safetensors")
    folded = fold_weights(weights, tmp_path / "folded.safetensors")
    reference = export_onnx(folded, "conv", "fp32", ExportConfig(), tmp_path / "fp32.onnx")
    config = QuantizeConfig(activations_range_estimator="minmax")
    path = tmp_path / "int8.onnx"
    quantize(reference, [100 * IMAGES[:4]], "all", config, path)
    module = GraphModule(onnx.load(path))
    module(torch.from_numpy(1e-2 * IMAGES[:4])).square().mean().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    assert all(one is None or one.isfinite().all() for one in gradients)


def test_untrained_constants_go_back_as_they_were(models):
    _, quantized = models
    proto = onnx.load(quantized.path)
    again = write_back(GraphModule(proto), proto)
    assert list(again.graph.node) == list(proto.graph.node)
    for old, new in zip(proto.graph.initializer, again.graph.initializer, strict=True):
        assert old.name == new.name
        before, after = (onnx.numpy_helper.to_array(tensor) for tensor in (old, new))
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
        np.testing.assert_array_equal(before, after)


NETWORKS = {
    "one image": written.attention(mask=-100.0),
    "infinite mask": written.attention(mask=-np.inf),
    "any batch": written.attention("batch"),
    "gated": written.gated(),
    "clip": written.gated(activation="Clip", bound=6.0),
    "h-swish": written.gated(activation="HardSwish"),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("placement", [None, "weighted", "closed"])
def test_networks_of_other_families_learn(tmp_path, name, placement):
    proto = original = NETWORKS[name]
    if placement is not None:
        batches = np.split(written.IMAGES, 4)
        proto = place(proto, describe(proto), find_placement(placement), "uint8", batches)
    onnx.save(proto, tmp_path / "g.onnx")
    module = GraphModule(proto, original)
    found = module(torch.from_numpy(written.IMAGES))
    parity = compare_logits(run_onnx(tmp_path / "g.onnx", written.IMAGES), found.detach().numpy())
    assert parity.max_abs_err == 0.0 or parity.sqnr_db > (100 if placement is None else 30)
    found.square().mean().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    assert all(one is None or one.isfinite().all() for one in gradients)
    again = write_back(module, proto)
    for old, new in zip(proto.graph.initializer, again.graph.initializer, strict=True):
        np.testing.assert_array_equal(*map(onnx.numpy_helper.to_array, (old, new)))


def test_a_graph_that_mixes_images_with_heads_takes_its_own_batch_alone():
    proto = written.attention()
    images = torch.from_numpy(written.IMAGES)
    with torch.no_grad():
        one_by_one = torch.cat([GraphModule(proto)(one[None]) for one in images])
        torch.testing.assert_close(GraphModule(proto)(images), one_by_one)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    with pytest.raises(UntrainableError, match="flat/Reshape: can't be trained with 4 images"):
        GraphModule(proto)(images)
