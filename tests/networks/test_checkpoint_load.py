"""From a checkpoint with what it says to a build's weights, and what training starts from."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support.checkpoints import to_reference

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import LoadError
from edge_convnext.core.sections import LoadConfig, TrainConfig
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.splits import Splits
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import SIZES, Architecture
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.training.train import train
from edge_convnext.stages.load import load_weights

TINY = ((1, 1, 1, 1), (8, 16, 24, 32))
STATE = random_state(Architecture("convnextv2_atto", 2, *TINY, num_classes=2), 0)
FROZEN = TrainConfig(epochs=1, batch=4, lr=1e-12, weight_decay=0.0, ema_decay=0.0, drop_path=0.0)
PREPROCESS = Preprocess(image_size=32)


@pytest.fixture(autouse=True)
def tiny_atto(monkeypatch):
    monkeypatch.setitem(SIZES, "atto", TINY)


@pytest.fixture
def few(tmp_path):
    """Eight drawn images of two classes, the same on both sides."""
    draw = np.random.default_rng(0)
    samples = []
    for number in range(8):
        path = tmp_path / "images" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
        samples.append(Sample(path, f"{number:02d}", number % 2))
    images = ImageSet(tuple(samples), ("0", "1"))
    return Splits(images, images, "drawn")


def load(path, tmp_path):
    return load_weights(LoadConfig(weights=str(path)), "atto", 0, tmp_path / "out.safetensors")


def test_a_network_of_bgr_images_is_turned_to_rgb(tmp_path):
    cfg = "data_preprocessor = dict(mean=[25.5, 51., 76.5], std=[51., 102., 204.], to_rgb=False)\n"
    torch.save({"state_dict": STATE, "meta": {"cfg": cfg}}, tmp_path / "w.pth")
    weights = load(tmp_path / "w.pth", tmp_path)
    stem = read_state(weights.path)["stem.conv.weight"]
    assert torch.equal(stem, STATE["stem.conv.weight"].flip(1))
    assert weights.info.preprocess.mean == pytest.approx((0.3, 0.2, 0.1))
    assert weights.info.preprocess.std == pytest.approx((0.8, 0.4, 0.2))
    assert any("were turned to RGB" in note for note in weights.notes)
    facts = {fact.name: fact.value for fact in weights.facts}  # what is told is what is used
    assert (facts["mean"], facts["std"]) == (
        weights.info.preprocess.mean, weights.info.preprocess.std
    )  # fmt: skip


@pytest.mark.parametrize("beside", [{}, {"labels.txt": "yes\n"}])
def test_a_classifier_of_one_output_is_refused_with_the_remedy(tmp_path, beside):
    for name, text in beside.items():
        (tmp_path / name).write_text(text)
    one = {"head.fc.weight": torch.ones(1, 32), "head.fc.bias": torch.ones(1)}
    torch.save({**STATE, **one}, tmp_path / "bce.pth")
    with pytest.raises(LoadError, match="one output, as of binary training with one logit") as told:
        load(tmp_path / "bce.pth", tmp_path)
    assert "a classifier of two rows: zeros" in str(told.value)
    config = LoadConfig(weights="random", num_classes=1)
    with pytest.raises(LoadError, match="one output can't distinguish classes"):
        load_weights(config, "atto", 0, tmp_path / "out.safetensors")


def test_two_rows_are_what_one_logit_means(tmp_path):
    """The remedy that the refusal names: 0 and z."""
    weight, bias = torch.randn(1, 32), torch.randn(1)
    two = {"head.fc.weight": torch.cat([weight * 0, weight]),
           "head.fc.bias": torch.cat([bias * 0, bias])}  # fmt: skip
    torch.save({**STATE, **two}, tmp_path / "two.pth")
    assert load(tmp_path / "two.pth", tmp_path).info.num_classes == 2


def test_a_folder_is_named_with_the_file_that_was_read(tmp_path):
    (tmp_path / "hf").mkdir()
    save_file(STATE, tmp_path / "hf" / "model.safetensors")
    assert load(tmp_path / "hf", tmp_path).info.weights_source == "hf/model.safetensors"


@pytest.mark.parametrize("norm", [True, False])
def test_training_starts_from_weights_without_a_classifier(few, tmp_path, norm):
    torch.save(to_reference(STATE), tmp_path / "whole.pth")
    dropped = ("head.", "norm.") if not norm else ("head.",)
    backbone = {k: v for k, v in to_reference(STATE).items() if not k.startswith(dropped)}
    torch.save({"model": backbone}, tmp_path / "fcmae.pt")
    output = tmp_path / "w.safetensors"
    result = train("atto", few, PREPROCESS, FROZEN, output, init=tmp_path / "fcmae.pt")
    state = read_state(output)
    assert torch.allclose(state["stem.conv.weight"], STATE["stem.conv.weight"], atol=1e-6)
    assert not torch.allclose(state["head.fc.weight"], STATE["head.fc.weight"], atol=1e-3)
    expected = STATE["head.norm.weight"] if norm else torch.ones(32)
    assert torch.allclose(state["head.norm.weight"], expected, atol=1e-6)
    assert result.notes[-1] == "started from fcmae.pt; a new classifier was drawn"
    assert any("starts at 1 and 0" in note for note in result.notes) == (not norm)


def test_a_classifier_is_kept_where_its_names_are_the_datas(few, tmp_path):
    for names, kept in ((few.train.classes, True), (few.train.classes[::-1], False)):
        torch.save({"model": STATE, "classes": list(names)}, tmp_path / "w.pth")
        output = tmp_path / "w.safetensors"
        result = train("atto", few, PREPROCESS, FROZEN, output, init=tmp_path / "w.pth")
        same = torch.allclose(
            read_state(output)["head.fc.weight"], STATE["head.fc.weight"], atol=1e-6
        )
        assert same == kept
        assert ("its classifier is kept" in result.notes[-1]) == kept


def test_training_takes_the_licence_of_what_it_starts_from(few, tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    output = tmp_path / "out" / "w.safetensors"
    train("atto", few, PREPROCESS, FROZEN, output, init=tmp_path)
    assert open_weights(output).info.weights_licence == "CC BY-NC 4.0"
