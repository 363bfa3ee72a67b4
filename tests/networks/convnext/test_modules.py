import pytest
import torch
from support.checkpoints import SMALL, SMALL_V1

from edge_convnext.networks.convnext.modules import ConvNeXt


@pytest.mark.parametrize("architecture", [SMALL, SMALL_V1])
def test_images_become_logits_and_the_version_has_its_own_parts(architecture):
    network = ConvNeXt(architecture).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, architecture.num_classes)
    names = " ".join(network.state_dict())
    assert ("grn.gamma" in names) == (architecture.version == 2)
    assert ("layer_scale.gamma" in names) == (architecture.version == 1)


def test_stages_halve_the_map_and_have_their_depths():
    network = ConvNeXt(SMALL)
    blocks = {name.split(".")[1:4:2] and tuple(name.split(".")[1:4:2])
              for name in network.state_dict() if ".blocks." in name}  # fmt: skip
    assert len(blocks) == sum(SMALL.depths)
    params = sum(parameter.numel() for parameter in network.parameters())
    assert params == SMALL.count_params()
