import argparse
import json
import os
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import EdgeConvNextError, LoadError, RecipeError
from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.hub import IN1K
from edge_convnext.networks.convnext.sizes import Architecture, find_architecture
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.load import load_weights, weights_identity

PUBLISHED = Preprocess(resize="shortest", crop_pct=0.875, interpolation="bicubic")
ATTO = find_architecture("atto", num_classes=3)
INFO = ModelInfo(
    model="convnextv2_atto",
    num_classes=3,
    in_channels=3,
    classes=("early", "healthy", "late"),
    preprocess=Preprocess(image_size=128, resize="squash", mean=(0.5, 0.5, 0.5)),
    weights_source="train",
    weights_sha256="00",
    weights_licence="CC BY-NC 4.0",
)


@pytest.fixture(scope="module")
def state():
    return random_state(ATTO, 0)


def load(weights, tmp_path, model="atto", seed=0, **fields):
    config = LoadConfig(weights=str(weights), **fields)
    return load_weights(config, model, seed, tmp_path / "out" / "weights.safetensors")


def refuse(weights, tmp_path, model="atto", error=LoadError, **fields):
    """Load, and return the one line that refuses."""
    with pytest.raises(error) as caught:
        load(weights, tmp_path, model, **fields)
    assert not (tmp_path / "out" / "weights.safetensors").exists()
    assert not list(tmp_path.glob("out/*"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors"])
def test_a_bare_state_dict_loads_from_every_kind_of_file(tmp_path, state, suffix):
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    weights = load(path, tmp_path)
    assert (weights.architecture, weights.folded) == (ATTO, False)
    assert weights.info.preprocess == Preprocess()
    assert weights.info.weights_source == path.name
    assert all(torch.equal(t, state[name]) for name, t in read_state(weights.path).items())
    assert open_weights(weights.path) == replace(weights, facts=(), notes=())


def test_a_training_checkpoint_with_parsed_arguments_loads(tmp_path, state):
    path = tmp_path / "checkpoint-299.pth"
    arguments = argparse.Namespace(lr=0.1, model="convnextv2_atto")
    torch.save({"model": state, "args": arguments, "epoch": 299, "image_size": 64}, path)
    assert load(path, tmp_path).info.preprocess == Preprocess(image_size=64)


def test_averaged_weights_are_named_as_such(tmp_path, state):
    path = tmp_path / "last.pth"
    torch.save({"model": state, "model_ema": state}, path)
    assert load(path, tmp_path).info.weights_source == "last.pth (EMA)"


def test_a_file_of_this_project_brings_its_classes_preprocessing_and_licence(tmp_path, state):
    saved = save_weights(state, ATTO, INFO, tmp_path / "mine.safetensors")
    info = load(saved.path, tmp_path).info
    assert info.classes == INFO.classes
    assert info.preprocess == INFO.preprocess
    assert info.weights_licence == INFO.weights_licence
    assert info.weights_source == "mine.safetensors"


def test_loading_twice_gives_the_same_bytes(tmp_path, state):
    torch.save(state, tmp_path / "weights.pth")
    first = load(tmp_path / "weights.pth", tmp_path / "a").path.read_bytes()
    assert load(tmp_path / "weights.pth", tmp_path / "b").path.read_bytes() == first


def test_random_weights_follow_the_seed_and_exercise_every_fold(tmp_path):
    first = load("random", tmp_path / "a", seed=1, num_classes=7, in_channels=1)
    again = load("random", tmp_path / "b", seed=1, num_classes=7, in_channels=1)
    other = load("random", tmp_path / "c", seed=2, num_classes=7, in_channels=1)
    assert first.path.read_bytes() == again.path.read_bytes()
    assert first.info.weights_sha256 != other.info.weights_sha256
    assert first.info.weights_source == "random"
    assert (first.architecture.num_classes, first.architecture.in_channels) == (7, 1)
    state = read_state(first.path)
    assert all(tensor.std() > 0.01 for tensor in state.values())
    assert state["stages.0.blocks.0.grn.gamma"].abs().max() > 0.1


def test_drawing_random_weights_leaves_torch_generator_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load("random", tmp_path, num_classes=3)
    assert torch.equal(torch.rand(1), expected)


def test_the_identity_follows_content_name_and_seed(tmp_path, state):
    def identity(weights, seed=0):
        return weights_identity(LoadConfig(weights=str(weights)), "atto", seed)

    for name, epoch in (("a.pth", 1), ("b.pth", 2)):
        torch.save({"model": state, "epoch": epoch}, tmp_path / name)
    (tmp_path / "c.pth").write_bytes((tmp_path / "a.pth").read_bytes())
    names = {identity(tmp_path / name) for name in ("a.pth", "b.pth", "c.pth")}
    assert len(names) == 3
    assert identity(tmp_path / "a.pth", seed=1) == identity(tmp_path / "a.pth", seed=2)
    assert identity("random", seed=1) != identity("random", seed=2)


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "gone.pth"
    assert refuse(path, tmp_path).startswith(f"{path}: no such file; pass")
    with pytest.raises(LoadError, match="no such file"):
        weights_identity(LoadConfig(weights=str(path)), "atto", 0)


def test_a_folder_without_weights_is_refused(tmp_path):
    assert "no checkpoint in this folder" in refuse(tmp_path, tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"\x08\x08\x12\x07pytorch")
    assert "is an ONNX graph; pass the checkpoint" in refuse(path, tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_refused(tmp_path, suffix, kept):
    state = random_state(Architecture("odd", 2, (1, 1, 1, 1), (4, 6, 8, 10), 3), 0)
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    os.truncate(path, int(path.stat().st_size * kept))
    assert "damaged" in refuse(path, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello world\n", "is text, not a checkpoint"),
        (b"\x80\x02}q\x00.", "torch.save did not write"),
        (b"PK\x03\x04" * 20, "damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, suffix, content, words):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    message = refuse(path, tmp_path)
    assert message.startswith(f"{path}: ")
    assert words in message


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, save):
    path = tmp_path / "weights.pth"
    save({"epoch": 3, "x": Bomb(tmp_path / "boom")}, path)
    message = refuse(path, tmp_path)
    assert "loading such can run code; save model.state_dict() alone" in message
    assert not (tmp_path / "boom").exists()


def test_a_whole_pickled_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    message = refuse(tmp_path / "model.pth", tmp_path)
    assert "holds a Python object (torch.nn.modules.linear.Linear)" in message


def test_weights_of_another_size_name_the_model_to_ask_for(tmp_path, state):
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    message = refuse(path, tmp_path, model="femto")
    assert message.endswith(
        "these weights are convnextv2_atto, not convnextv2_femto: pass --model atto"
    )
    v1 = random_state(find_architecture("convnextv1_atto", 3), 0)
    torch.save(v1, path)
    assert refuse(path, tmp_path).endswith("not convnextv2_atto: pass --model convnextv1_atto")


def test_weights_of_no_known_size_are_described(tmp_path):
    odd = random_state(Architecture("odd", 2, (1, 1, 1, 1), (4, 6, 8, 10), 3), 0)
    torch.save(odd, tmp_path / "weights.pth")
    message = refuse(tmp_path / "weights.pth", tmp_path)
    assert "these weights are a ConvNeXt V2 with depths 1-1-1-1 and widths 4-6-8-10" in message


@pytest.mark.parametrize(("field", "value"), [("num_classes", 5), ("in_channels", 1)])
def test_a_stated_number_that_the_weights_do_not_have_is_refused(tmp_path, state, field, value):
    torch.save(state, tmp_path / "weights.pth")
    message = refuse(tmp_path / "weights.pth", tmp_path, **{field: value})
    assert f"{field} is 3 in these weights, not {value}" in message


def test_nan_weights_are_refused_by_name(tmp_path, state):
    bad = {**state, "stages.2.blocks.3.pwconv1.bias": torch.full((640,), torch.nan)}
    torch.save(bad, tmp_path / "weights.pth")
    message = refuse(tmp_path / "weights.pth", tmp_path)
    assert "'stages.2.blocks.3.pwconv1.bias' holds NaN or infinity in 640 of 640" in message


def test_folded_weights_are_refused_as_a_checkpoint(tmp_path, state):
    raw = save_weights(state, ATTO, INFO, tmp_path / "raw.safetensors")
    folded = fold_weights(raw, tmp_path / "folded.safetensors")
    assert "folded weights; pass the checkpoint" in refuse(folded.path, tmp_path)


def test_an_unknown_model_is_refused(tmp_path):
    assert "did you mean" in refuse("random", tmp_path, model="attto", error=RecipeError)


def test_a_file_of_another_tool_may_have_metadata_of_its_own(tmp_path, state):
    save_file(state, tmp_path / "weights.safetensors", {"format": "pt"})
    assert read_checkpoint(tmp_path / "weights.safetensors").info is None


def test_weights_that_are_no_safetensors_cannot_be_opened(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"no")
    with pytest.raises(EdgeConvNextError, match="damaged"):
        open_weights(path)
    with pytest.raises(EdgeConvNextError, match="damaged"):
        read_state(path)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """Give an empty hub cache, and a hub that can't be reached."""

    def unreachable(*_arguments, **_options):
        raise ConnectionError("Name or service not known\nand more")

    hub = pytest.importorskip("huggingface_hub")
    constants = pytest.importorskip("huggingface_hub.constants")  # imported by its first user
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub.HfApi, "model_info", unreachable)
    return tmp_path / "hub"


def test_imagenet_weights_offline_are_refused_with_what_to_do(tmp_path, hub_cache):
    message = refuse("in1k", tmp_path)
    assert message.startswith("can't download timm/convnextv2_atto.fcmae_ft_in1k from the Hugging")
    assert "(Name or service not known)" in message
    assert "`hf download timm/convnextv2_atto.fcmae_ft_in1k model.safetensors`" in message
    assert "copy its cache folder (HF_HOME, else ~/.cache/huggingface) here" in message
    pinned = refuse("in1k", tmp_path, model="base")
    assert f"model.safetensors --revision {IN1K['convnextv2_base'].revision}`" in pinned


@pytest.mark.parametrize(
    ("model", "repository", "licence"),
    [
        ("atto", "timm/convnextv2_atto.fcmae_ft_in1k", "CC BY-NC 4.0"),
        ("convnextv1_atto", "timm/convnext_atto.d2_in1k", "Apache-2.0"),
    ],
)
def test_imagenet_weights_carry_revision_licence_and_preprocessing(
    tmp_path, hub_cache, model, repository, licence
):
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = hub_cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit / "model.safetensors"
    snapshot.parent.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    save_file(random_state(find_architecture(model), 0), snapshot)
    for stated in ("in1k", f"in1k@{commit}"):
        info = load(stated, tmp_path, model).info
        assert info.weights_source == f"{repository}@{commit}"
        assert info.weights_licence == licence
        assert info.preprocess == PUBLISHED
        assert commit in weights_identity(LoadConfig(weights=stated), model, 0)


def test_a_file_of_a_hub_cache_keeps_licence_and_preprocessing(tmp_path, state):
    folder = tmp_path / "models--timm--convnextv2_atto.fcmae_ft_in1k" / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    info = load(folder / "model.safetensors", tmp_path).info
    assert info.weights_source == "timm/convnextv2_atto.fcmae_ft_in1k@0123abc"
    assert (info.weights_licence, info.preprocess) == ("CC BY-NC 4.0", PUBLISHED)


@pytest.mark.parametrize(
    ("config", "licence"),
    [
        ({}, "CC BY-NC 4.0"),
        ({"num_classes": 3}, None),
        ({"architecture": "convnextv2_femto"}, None),
        ({"pretrained_cfg": {"tag": "mine"}}, None),
        ({"pretrained_cfg": None}, None),
    ],
)
def test_timms_config_beside_a_file_tells_whose_weights_it_holds(tmp_path, state, config, licence):
    fields = {
        "architecture": "convnextv2_atto",
        "num_classes": 1000,
        "pretrained_cfg": {"tag": "fcmae_ft_in1k"},
        **config,
    }
    (tmp_path / "config.json").write_text(json.dumps(fields))
    save_file(state, tmp_path / "model.safetensors")
    info = load(tmp_path / "model.safetensors", tmp_path).info
    assert info.weights_licence == licence
    assert info.preprocess == (PUBLISHED if licence else Preprocess())
    known = "model.safetensors of timm/convnextv2_atto.fcmae_ft_in1k"
    assert info.weights_source == (known if licence else "model.safetensors")


@pytest.mark.parametrize("text", ["", "[]", '"timm"'])
def test_another_tools_config_beside_a_file_does_not_matter(tmp_path, state, text):
    (tmp_path / "config.json").write_text(text)
    save_file(state, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors", tmp_path).info.weights_licence is None


def conv2former(name, classes=5):
    from edge_convnext.networks.conv2former.family import FAMILY

    shape = FAMILY.find(name, classes)
    return {
        key: torch.ones(one.shape, dtype=one.dtype) for key, one in FAMILY.expected(shape).items()
    }


def test_a_state_dict_is_loaded_through_its_family(tmp_path):
    torch.save({"state_dict": conv2former("conv2former_n")}, tmp_path / "w.pth")
    config = LoadConfig(weights=str(tmp_path / "w.pth"))
    loaded = load_weights(config, "Conv2Former-N", 0, tmp_path / "l.safetensors")
    assert (loaded.info.model, loaded.info.num_classes) == ("conv2former_n", 5)
    assert loaded.architecture.count_params() == sum(
        tensor.numel()
        for name, tensor in conv2former("conv2former_n").items()
        if ".running_" not in name and "num_batches" not in name
    )
    facts = {fact.name: fact for fact in loaded.facts}
    assert facts["weights_key"].value == "state_dict"


def test_weights_of_another_size_or_network_are_refused_with_what_differs(tmp_path):
    state = conv2former("conv2former_t")
    torch.save(state, tmp_path / "w.pth")
    config = LoadConfig(weights=str(tmp_path / "w.pth"))
    with pytest.raises(LoadError, match="are conv2former_t, not conv2former_n: pass --model conv"):
        load_weights(config, "conv2former_n", 0, tmp_path / "l.safetensors")
    torch.save({**state, "head.0.weight": torch.ones(64, 576, 1, 1)}, tmp_path / "w.pth")
    with pytest.raises(LoadError) as caught:
        load_weights(config, "conv2former_t", 0, tmp_path / "l.safetensors")
    told = str(caught.value)
    assert "'head.0.weight' is [64, 576, 1, 1] in the file, and [1280, 576, 1, 1] in" in told
    torch.save(random_state(ATTO, 0), tmp_path / "w.pth")
    with pytest.raises(LoadError, match=r"not weights of conv2former_t: .* missing, .* unknown"):
        load_weights(config, "conv2former_t", 0, tmp_path / "l.safetensors")
    assert not (tmp_path / "l.safetensors").exists()
