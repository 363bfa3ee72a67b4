import pytest

from edge_convnext.networks.convnext.modules import ConvNeXt
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.training.loop import weight_decay_groups


@pytest.mark.parametrize("version", [1, 2])
def test_only_matrices_and_kernels_decay(version):
    network = ConvNeXt(Architecture("tiny", version, (1, 1, 1, 1), (4, 4, 4, 4), 3))
    decaying, rest = weight_decay_groups(network, 0.05)
    names = {parameter: name for name, parameter in network.named_parameters()}
    assert decaying["weight_decay"] == 0.05
    assert rest["weight_decay"] == 0.0
    assert len(decaying["params"]) + len(rest["params"]) == len(names)
    for parameter in rest["params"]:
        assert names[parameter].endswith(("bias", "norm.weight", "gamma", "beta"))
    for parameter in decaying["params"]:
        assert names[parameter].endswith(
            ("conv.weight", "pwconv1.weight", "pwconv2.weight", "fc.weight")
        )
