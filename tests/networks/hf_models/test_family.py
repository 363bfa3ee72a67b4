import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

import huggingface_hub
import onnxruntime
import torch
import transformers
from PIL import Image
from support.tiny_transformers import CONFIGS, LABELS, write_tiny

from edge_convnext.core.errors import LoadError, RecipeError
from edge_convnext.core.sections import ExportConfig, LoadConfig
from edge_convnext.data.preprocess import decode_image
from edge_convnext.networks.family import family_of, find_model
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.stages.export import export_onnx
from edge_convnext.stages.load import load_weights

PROCESSOR = {
    "do_resize": True, "size": {"height": 64, "width": 64}, "resample": 2, "do_rescale": True,
    "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4], "image_processor_type": "ViTImageProcessor",
}  # fmt: skip


def load(folder, output, weights=None, **fields):
    model = f"hf:{folder}"
    config = LoadConfig(weights=weights or model, **fields)
    return load_weights(config, model, 0, output / "w.safetensors")


QUICK = ("ResNetForImageClassification", "ViTForImageClassification")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in CONFIGS]
)
def test_a_folder_is_exported_as_transformers_computes_it(name, tmp_path):
    network = write_tiny(transformers, name, tmp_path / "model", PROCESSOR)
    weights = load(tmp_path / "model", tmp_path)
    assert weights.info.classes == tuple(LABELS.values())
    assert weights.info.preprocess.mean == (0.5, 0.4, 0.3)
    assert open_weights(weights.path).architecture == weights.architecture
    images = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).logits.numpy()
        built = family_of(weights).build(weights, "raw")(torch.from_numpy(images)).numpy()
    assert np.abs(built - expected).max() <= 1e-6 * np.abs(expected).max()
    graph = export_onnx(weights, "raw", "fp32", ExportConfig(batch=1), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(graph.path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images})
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.fixture
def resnet(tmp_path):
    folder = tmp_path / "model"
    write_tiny(transformers, "ResNetForImageClassification", folder, PROCESSOR)
    return folder


def test_weights_on_disk_outlive_their_folder(resnet, tmp_path):
    weights = load(resnet, tmp_path)
    shutil.rmtree(resnet)
    again = open_weights(weights.path)
    assert again.architecture == weights.architecture
    assert family_of(again).build(again, "raw")(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"size": {"shortest_edge": 80}, "do_center_crop": True,
          "crop_size": {"height": 64, "width": 64}}, ("shortest", 64, 0.8)),
        ({"size": {"height": 96, "width": 96}}, ("squash", 96, 1.0)),
        ({"size": 64, "do_center_crop": False, "resample": 3}, ("squash", 64, 1.0)),
    ],
)  # fmt: skip
def test_a_processors_size_and_crop_are_read(resnet, tmp_path, processor, expected):
    path = resnet / "preprocessor_config.json"
    path.write_text(json.dumps({**PROCESSOR, **processor}))
    found = load(resnet, tmp_path).info.preprocess
    assert (found.resize, found.image_size, found.crop_pct) == pytest.approx(expected)
    assert found.interpolation == ("bicubic" if "resample" in processor else "bilinear")


def test_another_factor_of_the_pixels_goes_into_mean_and_std(resnet, tmp_path):
    path = resnet / "preprocessor_config.json"
    path.write_text(json.dumps({**PROCESSOR, "rescale_factor": 1 / 127.5}))
    found = load(resnet, tmp_path).info.preprocess
    assert found.mean == pytest.approx((0.25, 0.2, 0.15))
    assert found.std == pytest.approx((0.1, 0.15, 0.2))


def test_bgr_processors_turn_the_first_convolution(tmp_path):
    folder = tmp_path / "model"
    processor = {"size": {"shortest_edge": 64}, "do_flip_channel_order": True,
                 "do_normalize": False}  # fmt: skip
    network = write_tiny(transformers, "MobileViTForImageClassification", folder, processor)
    weights = load(folder, tmp_path)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(images.flip(1)).logits
        found = family_of(weights).build(weights, "raw")(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert any("turned to RGB" in note for note in weights.notes)


def test_a_photograph_gets_the_logits_of_transformers_processor_and_model(tmp_path):
    from transformers.models.mobilevit.image_processing_pil_mobilevit import (
        MobileViTImageProcessorPil,
    )

    folder = tmp_path / "model"
    network = write_tiny(transformers, "MobileViTForImageClassification", folder, PROCESSOR)
    (folder / "preprocessor_config.json").unlink()
    processor = MobileViTImageProcessorPil(size={"shortest_edge": 72}, crop_size=64, resample=2)
    processor.save_pretrained(folder)
    assert "do_normalize" not in json.loads((folder / "preprocessor_config.json").read_text())
    pixels = np.random.default_rng(0).integers(0, 256, (9, 10, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((100, 90), Image.Resampling.BICUBIC)
    image.save(tmp_path / "image.png")
    weights = load(folder, tmp_path)
    found = torch.from_numpy(decode_image(tmp_path / "image.png", weights.info.preprocess)[None])
    (asked,) = processor(image)["pixel_values"]
    with torch.no_grad():
        expected = network(torch.from_numpy(asked[None].copy())).logits
        logits = family_of(weights).build(weights, "raw")(found)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_other_weights_may_be_passed_beside_it(resnet, tmp_path):
    network = write_tiny(transformers, "ResNetForImageClassification", tmp_path / "other")
    state = network.state_dict()
    state["classifier.1.weight"], state["classifier.1.bias"] = torch.ones(9, 16), torch.zeros(9)
    torch.save({"model": state}, tmp_path / "mine.pth")
    weights = load(resnet, tmp_path, str(tmp_path / "mine.pth"))
    assert weights.info.num_classes == 9
    assert weights.info.weights_source == "mine.pth"


def test_old_names_in_a_training_checkpoint_are_read(tmp_path):
    from safetensors.torch import load_file

    folder = tmp_path / "model"
    network = write_tiny(transformers, "ViTForImageClassification", folder)
    torch.save({"state_dict": load_file(folder / "model.safetensors")}, tmp_path / "mine.pth")
    weights = load(folder, tmp_path, str(tmp_path / "mine.pth"))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(images).logits
        found = family_of(weights).build(weights, "raw")(images)
    torch.testing.assert_close(found, expected)


def test_another_image_size_is_refused_where_there_are_positions(tmp_path):
    write_tiny(transformers, "ViTForImageClassification", tmp_path / "model")
    weights = load(tmp_path / "model", tmp_path)
    info = replace(weights.info, preprocess=replace(weights.info.preprocess, image_size=96))
    with pytest.raises(LoadError, match="leave --image-size out"):
        family_of(weights).build(replace(weights, info=info), "raw")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: can't be read"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "holds no mapping"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no checkpoint in this folder"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
            "makes no image classifier",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_in_one_line(resnet, tmp_path, change, words):
    change(resnet)
    with pytest.raises(LoadError, match=words) as caught:
        load(resnet, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_name_of_the_hub_is_fetched_with_what_describes_it(resnet, tmp_path, monkeypatch):
    fetched = []

    class Api:
        def model_info(self, repository, revision, timeout):
            files = [type("File", (), {"rfilename": one.name}) for one in resnet.iterdir()]
            return type("Info", (), {"siblings": files, "sha": "b" * 40})

    def download(repository, file, revision):
        fetched.append((repository, file, revision))
        place = tmp_path / "hub" / ("b" * 40)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(resnet / file, place / file)
        return str(place / file)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_a, **_k: None)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    weights = load("owner/name@v1", tmp_path)
    assert weights.info.weights_source == f"owner/name@{'b' * 40}"
    assert weights.info.classes == tuple(LABELS.values())
    assert weights.info.preprocess.mean == (0.5, 0.4, 0.3)
    assert {file for _, file, _ in fetched} == {
        "config.json", "preprocessor_config.json", "model.safetensors",
    }  # fmt: skip


def test_what_is_neither_a_folder_nor_a_name_is_refused(resnet):
    with pytest.raises(RecipeError, match="no such folder, and no name on the Hugging Face hub"):
        find_model("hf:no/such/folder")
    with pytest.raises(RecipeError, match="is a file; pass the folder"):
        find_model(f"hf:{resnet / 'config.json'}")
