import numpy as np
import onnx
import pytest
from support.exports import export_onnx
from support.torch_exports import IMAGES, TINY, run_onnx, run_torch

from edge_convnext.core.errors import ExportError
from edge_convnext.core.sections import ExportConfig
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.form_names import ONE_IMAGE_FORMS
from edge_convnext.networks.convnext.gpu_forms import GPU_FORMS
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights

FORMS = sorted(GPU_FORMS)
V1 = Architecture("convnextv1_atto", 1, TINY.depths, TINY.widths, TINY.num_classes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gpu-forms")


@pytest.fixture(scope="module", params=[TINY, V1], ids=["V2", "V1"])
def weights(folder, request):
    from support.torch_exports import INFO

    version = request.param.version
    raw = save_weights(
        random_state(request.param, 0), request.param, INFO, folder / f"{version}.st"
    )
    return fold_weights(raw, folder / f"{version}.folded.st")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_logits_of_the_linear_one(folder, weights, form):
    config = ExportConfig(batch=1 if form in ONE_IMAGE_FORMS else "dynamic")
    name = f"{weights.architecture.version}.{form}.onnx"
    model = export_onnx(weights, form, "fp32", config, folder / name)
    pieces = np.split(IMAGES, len(IMAGES)) if config.batch == 1 else [IMAGES]
    found = np.concatenate([run_onnx(model.path, piece) for piece in pieces])
    assert np.abs(found - run_torch(weights, "linear")).max() < 1e-5


def test_a_form_for_one_image_refuses_a_dynamic_batch(folder, weights):
    with pytest.raises(ExportError, match=r"weights per image.*set export\.batch to 1"):
        export_onnx(weights, "late", "fp32", ExportConfig(), folder / "refused.onnx")
    assert not (folder / "refused.onnx").exists()


def test_grn_scales_weights_where_the_form_says_so(folder, weights):
    if weights.architecture.version == 1:
        pytest.skip("V1 has no GRN")
    config = ExportConfig(batch=1)
    path = export_onnx(weights, "weights_expand", "fp32", config, folder / "where.onnx").path
    proto = onnx.load(path)
    constants = {one.name for one in proto.graph.initializer}
    computed = [
        node.name
        for node in proto.graph.node
        if node.name.endswith("pwconv2/Conv") and node.input[1] not in constants
    ]
    assert computed == [f"stages.{stage}.blocks.0.pwconv2/Conv" for stage in (0, 1)]
