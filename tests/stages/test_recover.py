import json
from dataclasses import replace

import onnx
import pytest
import torch
from support.exports import export_onnx, quantize
from support.recoverable import FORMS, IMAGES, INFO, TINY, infer, make_models

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, TrainingError
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.sections import ExportConfig, QuantizeConfig, RecoverConfig, SimplifyConfig
from edge_convnext.graph.torch_module import GraphModule
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages import recover as recover_module
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.recover import recover
from edge_convnext.stages.simplify import simplify


@pytest.fixture(scope="module", params=FORMS)
def models(request, tmp_path_factory):
    return make_models(request.param, tmp_path_factory.mktemp("recover"))


@pytest.mark.parametrize(
    ("form", "export", "ptq", "simplified"),
    [
        ("linear", {"opset": 18}, {}, False),  # GELU is written out
        ("nhwc", {"batch": 4}, {}, False),  # the batch is in the shapes of Reshape
        ("conv", {}, {"weight_granularity": "per_tensor"}, False),
        ("conv", {}, {}, True),  # onnxsim brings operations of its own
        ("raw", {}, {}, False),  # --no-fold
    ],
)
def test_graphs_of_other_settings_can_be_trained_too(tmp_path, form, export, ptq, simplified):
    weights = save_weights(random_state(TINY, 0), TINY, INFO, tmp_path / "raw.safetensors")
    if form != "raw":
        weights = fold_weights(weights, tmp_path / "folded.safetensors")
    reference = export_onnx(weights, form, "fp32", ExportConfig(**export), tmp_path / "fp32.onnx")
    if simplified:
        simplify(reference, IMAGES[:4], SimplifyConfig(), tmp_path / "simple.onnx")
        reference = replace(reference, path=tmp_path / "simple.onnx")
    config = QuantizeConfig(**ptq)
    path = tmp_path / "int8.onnx"
    quantized = quantize(reference, [IMAGES[:4]], "inner", config, path)
    found = recover(
        quantized, reference, IMAGES[:10], RecoverConfig(epochs=1, batch=3), tmp_path / "out.onnx"
    )
    assert found.steps == 3
    module = GraphModule(onnx.load(path), onnx.load(reference.path))
    with torch.no_grad():
        logits = module(torch.from_numpy(IMAGES)).numpy()
    assert compare_logits(infer(path), logits).sqnr_db > 40.0


def test_training_brings_the_logits_nearer_and_changes_constants_alone(models, tmp_path):
    reference, quantized = models
    config = RecoverConfig(epochs=8, batch=8, lr=1e-5, scale_lr=3e-2)
    found = recover(quantized, reference, IMAGES, config, tmp_path / "recovered.onnx")
    assert found.kept
    assert found.after.sqnr_db > found.before.sqnr_db + 1.0
    expected = infer(reference.path)
    before, after = (
        compare_logits(expected, infer(path)).sqnr_db for path in (quantized.path, found.model.path)
    )
    assert after > before
    old, new = onnx.load(quantized.path).graph, onnx.load(found.model.path).graph
    assert list(old.node) == list(new.node)
    assert [(one.name, one.data_type, one.dims) for one in old.initializer] == [
        (one.name, one.data_type, one.dims) for one in new.initializer
    ]
    (entry,) = onnx.load(found.model.path).metadata_props
    assert entry.key == METADATA_KEY
    assert "recovered with torch" in json.loads(entry.value)["tools"]


def test_a_training_that_does_not_help_is_not_kept(models, tmp_path):
    reference, quantized = models
    config = RecoverConfig(epochs=1, batch=8, lr=1e-2)
    found = recover(quantized, reference, IMAGES, config, tmp_path / "out.onnx")
    assert not found.kept
    assert onnx.load(found.model.path) == onnx.load(quantized.path)


def test_a_loss_that_is_not_finite_ends_the_training(models, tmp_path):
    reference, quantized = models
    config = RecoverConfig(epochs=1, batch=8, lr=1e30)
    with pytest.raises(TrainingError, match=r"lower recover\.lr"):
        recover(quantized, reference, IMAGES, config, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_last_step_that_ruins_the_graph_is_an_error_too(models, tmp_path, monkeypatch):
    reference, quantized = models

    def ruin(student, *_arguments):
        for parameter in student.parameters_of(scales=False):
            parameter.data.fill_(float("inf"))
        return 1

    monkeypatch.setattr(recover_module, "_train", ruin)
    with pytest.raises(TrainingError, match=r"logits are not finite after 1 steps; lower recover"):
        recover(quantized, reference, IMAGES, RecoverConfig(), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_the_same_seed_gives_the_same_bytes(models, tmp_path):
    reference, quantized = models
    config = RecoverConfig(epochs=1, batch=8)
    paths = [
        recover(quantized, reference, IMAGES, config, tmp_path / f"{turn}.onnx").model.path
        for turn in range(2)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_files_that_can_not_be_trained_are_named(models, tmp_path):
    reference, quantized = models
    absent = OnnxModel(tmp_path / "absent.onnx", "int8", "conv")
    with pytest.raises(ArtifactError, match="No such file"):
        recover(absent, reference, IMAGES, RecoverConfig(), tmp_path / "x.onnx")
    foreign = onnx.load(quantized.path)
    foreign.graph.node[0].op_type = "Hardmax"
    onnx.save(foreign, tmp_path / "foreign.onnx")
    strange = OnnxModel(tmp_path / "foreign.onnx", "int8", "conv")
    with pytest.raises(ArtifactError, match="can't be trained"):
        recover(strange, reference, IMAGES, RecoverConfig(), tmp_path / "x.onnx")
