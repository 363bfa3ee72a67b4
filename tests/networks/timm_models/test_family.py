from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("timm", reason="timm is not installed")

import onnxruntime
import timm
import torch
from safetensors.torch import save_file

from edge_convnext.core.errors import LoadError, RecipeError
from edge_convnext.core.sections import ExportConfig, LoadConfig
from edge_convnext.networks.family import family_of, find_model
from edge_convnext.networks.made.filling import fill
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.stages.export import export_onnx
from edge_convnext.stages.load import load_weights, weights_identity


def load(model, path, folder, **fields):
    return load_weights(LoadConfig(weights=str(path), **fields), model, 0, folder / "w.safetensors")


def drawn(model, classes=5, channels=3):
    shape = find_model(model, classes, channels)
    return family_of(shape).draw(shape, 0)


def logits(network, images):
    with torch.no_grad():
        return network(torch.from_numpy(images)).numpy()


# Small members of the kinds that there are: convolutions, windows, attention, two heads.
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("mobilenetv2_035", 64),
        ("mobilenetv3_small_050", 64),
        ("test_efficientnet", 64),
        ("test_vit", 160),
        pytest.param("mobilevit_xxs", 64, marks=pytest.mark.slow),
        pytest.param("deit_tiny_distilled_patch16_224", 224, marks=pytest.mark.slow),
        pytest.param("swin_tiny_patch4_window7_224", 224, marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_in_timms_names_is_exported_as_timm_computes_it(name, size, tmp_path):
    state = drawn(f"timm:{name}")
    path = tmp_path / "trained.pth"
    torch.save({"state_dict": {f"module.{key}": one for key, one in state.items()}}, path)
    weights = load(f"timm:{name}", path, tmp_path)
    assert (weights.info.num_classes, weights.info.in_channels) == (5, 3)
    assert open_weights(weights.path).architecture == weights.architecture
    network = timm.create_model(name, num_classes=5).eval()
    network.load_state_dict(state)
    images = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
    expected = logits(network, images)
    sized = replace(
        weights,
        info=replace(weights.info, preprocess=replace(weights.info.preprocess, image_size=size)),
    )
    assert np.array_equal(logits(family_of(sized).build(sized, "raw"), images), expected)
    graph = export_onnx(sized, "raw", "fp32", ExportConfig(batch=1), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(graph.path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images})
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_positions_of_another_training_size_are_taken_as_they_are(tmp_path):
    network = timm.create_model("test_vit", num_classes=5, img_size=64).eval()
    path = tmp_path / "trained.pth"
    torch.save({"model": network.state_dict(), "args": {"img_size": 64}}, path)
    weights = load("timm:test_vit", path, tmp_path)
    assert weights.info.preprocess.image_size == 64  # the checkpoint says so, timm says 160
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    built = family_of(weights).build(weights, "raw")
    assert np.array_equal(logits(built, images), logits(network, images))


def test_facts_come_from_timm_only_where_the_file_says_nothing(tmp_path):
    path = tmp_path / "trained.pth"
    state = drawn("timm:mobilenetv2_035", 2)
    torch.save({"model": state, "class_names": ["ant", "bee"], "mean": [0.5, 0.4, 0.3],
                "std": [0.2, 0.2, 0.2]}, path)  # fmt: skip
    facts = {one.name: one for one in load("timm:mobilenetv2_035", path, tmp_path).facts}
    assert facts["mean"].origin.kind == "checkpoint"
    assert facts["classes"].value == ("ant", "bee")
    assert facts["crop_pct"].origin.kind == "library"
    assert "pretrained_cfg of mobilenetv2_035" in facts["crop_pct"].origin.detail
    assert "licence" not in facts  # of timm's own weights, not of these


def test_random_weights_come_with_timms_preprocessing(tmp_path):
    weights = load("timm:test_vit", "random", tmp_path, num_classes=3)
    assert weights.info.preprocess.image_size == 160
    assert weights.info.num_classes == 3
    assert {one.origin.kind for one in weights.facts} == {"library"}


def test_a_network_that_tells_features_is_refused_and_may_start_a_training(tmp_path):
    network = timm.create_model("test_vit", num_classes=0)
    path = tmp_path / "features.safetensors"
    save_file(network.state_dict(), path)
    with pytest.raises(
        LoadError, match=r"no classifier in these weights \('head.weight' of timm's"
    ):
        load("timm:test_vit", path, tmp_path)
    family = family_of(find_model("timm:test_vit"))
    found = family.translate(network.state_dict(), "w", headless=True, model="timm:test_vit")
    assert found.architecture.num_classes == 0


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(drawn("timm:mobilenetv2_035"), path)
    with pytest.raises(LoadError, match="its names are not those of timm's test_vit"):
        load("timm:test_vit", path, tmp_path)
    with pytest.raises(RecipeError, match="did you mean timm:"):
        load("timm:mobilenetv2_03", path, tmp_path)


def test_the_version_of_timm_is_a_part_of_the_key(monkeypatch):
    from edge_convnext.networks.timm_models import library

    config = LoadConfig(weights="random")
    before = weights_identity(config, "timm:test_vit", 0)
    monkeypatch.setattr(library, "timm_version", lambda: "9.9")
    assert weights_identity(config, "timm:test_vit", 0) != before


def test_it_can_be_trained_from_the_start():
    shape = find_model("timm:test_vit", 4)
    network = family_of(shape).make_trainable(shape, 0.1, 64)
    assert network.training
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 4)


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "efficientnet_b0"])
def test_random_weights_answer_images_of_other_contrast_in_numbers(name):
    """Gates multiply what norms let grow: logits of 650,000, of infinity in ONNX Runtime."""
    shape = find_model(f"timm:{name}", 10)
    network = fill(shape, family_of(shape).draw(shape, 0), 224)
    coarse = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    images = 2 * torch.nn.functional.interpolate(coarse, (224, 224), mode="bicubic")
    found = logits(network, images.numpy())
    assert 0.01 < np.abs(found).max() < 3e3


def test_random_weights_of_a_deep_network_are_not_chaotic():
    """What float32 rounds off must not decide: it did, by 0.26 of the largest logit."""
    shape = find_model("timm:efficientnetv2_rw_t", 10)
    network = fill(shape, family_of(shape).draw(shape, 0), 224)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        single = network(images)
        double = network.double()(images.double())
    assert (single - double).abs().max() < 3e-5 * double.abs().max()
