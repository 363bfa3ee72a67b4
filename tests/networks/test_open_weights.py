from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from support.torch_exports import INFO

from edge_convnext.core.errors import ArtifactError
from edge_convnext.networks.convnext.sizes import find_architecture
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.weights import save_weights

ONLY_UNFOLDED = "head.norm.weight"  # every fold takes it away
ATTO = find_architecture("atto", 5)


def test_a_file_is_described_without_its_tensors(tmp_path):
    path = tmp_path / "w.safetensors"
    for name, folded in ((ONLY_UNFOLDED, False), ("stem.conv.weight", True)):
        saved = save_weights({name: torch.ones(2)}, ATTO, INFO, path)
        found = open_weights(path)
        assert found == saved
        assert found.folded == folded


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(ArtifactError, match="no edge-convnext metadata"):
        open_weights(path)
    save_weights({"a": torch.ones(2)}, ATTO, replace(INFO, model="convnextv9_odd"), path)
    with pytest.raises(ArtifactError, match="made by another version of this project"):
        open_weights(path)
    path.write_bytes(b"x")
    with pytest.raises(ArtifactError, match="damaged, or not safetensors"):
        open_weights(path)
