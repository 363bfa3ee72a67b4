import torch
from safetensors.torch import save_file
from support.fold_info import info_of

from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.recorded import recorded_info
from edge_convnext.networks.weights import save_weights


def test_what_a_file_says_of_itself_is_read_without_its_tensors(tmp_path):
    architecture = Architecture("convnextv2_atto", 2, (2, 2, 6, 2), (40, 80, 160, 320), 5)
    info = info_of(architecture)
    saved = save_weights(random_state(architecture, 0), architecture, info, tmp_path / "w.bin")
    assert recorded_info(saved.path) == recorded_info(tmp_path) == info
    save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pth")
    (tmp_path / "cut.safetensors").write_bytes(saved.path.read_bytes()[:100])
    for name in ("other.safetensors", "w.pth", "cut.safetensors", "gone", ""):
        assert recorded_info(tmp_path / name) is None
