import pytest
import torch
from support.fold_info import info_of

from edge_convnext.core.errors import ArtifactError
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.weights import save_weights


def test_saved_weights_describe_themselves(tmp_path):
    architecture = Architecture("convnextv2_atto", 2, (2, 2, 6, 2), (40, 80, 160, 320), 5)
    state = random_state(architecture, 0)
    saved = save_weights(state, architecture, info_of(architecture), tmp_path / "w.safetensors")
    assert open_weights(saved.path) == saved
    assert all(torch.equal(tensor, state[name]) for name, tensor in read_state(saved.path).items())


def test_weights_that_can_not_be_written_are_told_with_the_reason(tmp_path, monkeypatch):
    from safetensors import SafetensorError
    from safetensors import torch as writer

    def fail(*_arguments):
        raise SafetensorError("Error while\nserializing: Permission denied")

    monkeypatch.setattr(writer, "save_file", fail)
    architecture = Architecture("convnextv2_atto", 2, (2, 2, 6, 2), (40, 80, 160, 320), 5)
    with pytest.raises(ArtifactError, match=r"\(.* Permission denied\); check the folder"):
        save_weights({}, architecture, info_of(architecture), tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())
