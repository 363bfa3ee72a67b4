import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

import torch
import transformers
from safetensors.torch import load_file
from support.tiny_transformers import write_tiny
from support.toy_maker import NetMaker

from edge_convnext.networks.hf_models.converting import convert_checkpoint
from edge_convnext.networks.hf_models.library import HfMaker
from edge_convnext.networks.model_folder import read_config


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    network = write_tiny(transformers, "ViTForImageClassification", folder)
    return network, load_file(folder / "model.safetensors"), HfMaker.of(read_config(folder), "c")


def test_names_of_another_version_become_todays(vit):
    network, stored, maker = vit
    place, found = convert_checkpoint(
        maker, {"state_dict": {f"module.{n}": t for n, t in stored.items()}}
    )
    own = network.state_dict()
    assert place.where == "state_dict"
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in own.items())


def test_averaged_weights_come_first(vit):
    _, stored, maker = vit
    raw = {name: one + 1 if one.is_floating_point() else one for name, one in stored.items()}
    place, found = convert_checkpoint(maker, {"model": raw, "model_ema": stored})
    assert (place.where, place.averaged) == ("model_ema", True)
    assert torch.equal(found["classifier.bias"], stored["classifier.bias"])


def test_what_is_not_whole_is_not_converted(vit):
    _, stored, maker = vit
    less = {name: one for name, one in stored.items() if "layernorm" not in name}
    assert convert_checkpoint(maker, less) is None
    assert convert_checkpoint(maker, {"epoch": 1}) is None
    assert convert_checkpoint(NetMaker(), stored) is None
