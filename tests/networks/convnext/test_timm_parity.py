"""Our logits against those of timm's own classes, on the same weights.

`.ci/timm` runs this file beside a stand-in for torchvision, which timm's models do not call.
"""

import pytest
import torch
from safetensors.torch import save_file

from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.convnext.build import build_network
from edge_convnext.networks.convnext.hub import IN1K
from edge_convnext.stages.load import load_weights

timm = pytest.importorskip(
    "timm", reason="timm can't be imported here; .ci/timm runs these tests where it can"
)

NAMES = [
    "convnextv2_atto",
    "convnextv2_femto",
    "convnextv2_pico",
    "convnextv2_nano",
    "convnextv2_tiny",
    "convnextv1_atto",
    "convnextv1_tiny",
]


def build_theirs(name, **arguments):
    torch.manual_seed(0)
    network = timm.create_model(name.replace("convnextv1", "convnext"), **arguments).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.squeeze().dim() == 1:  # GRN, LayerScale, affines and biases
                parameter.add_(0.3 * torch.randn(parameter.shape))
            else:
                parameter.mul_(3)
    return network


def require_equal_logits(theirs, path, name, tmp_path, images):
    config = LoadConfig(weights=str(path))
    weights = load_weights(config, name, 0, tmp_path / "ours.safetensors")
    with torch.no_grad():
        expected = theirs(images)
        logits = build_network(weights, "raw")(images)
    assert expected.abs().max() > 0.1
    error = float((logits - expected).abs().max())
    print(f"{name}: max abs error {error:.1e} of logits up to {expected.abs().max():.2f}")
    assert error <= 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("conv_mlp", [True, False])
def test_logits_equal_those_of_timm(tmp_path, name, conv_mlp):
    theirs = build_theirs(name, conv_mlp=conv_mlp)
    path = tmp_path / ("model.safetensors" if conv_mlp else "model.pth")
    (save_file if conv_mlp else torch.save)(theirs.state_dict(), path)
    images = torch.randn(2, 3, 96, 64)
    require_equal_logits(theirs, path, name, tmp_path, images)


@pytest.mark.parametrize("key", [None, "state_dict", "state_dict_ema"])
def test_a_checkpoint_of_timm_s_trainer_loads(tmp_path, key):
    theirs = build_theirs("convnextv2_atto", num_classes=5, in_chans=1)
    state = theirs.state_dict()
    checkpoint = state if key is None else {key: state, "arch": "convnextv2_atto", "epoch": 3}
    path = tmp_path / "model_best.pth"
    torch.save(checkpoint, path)
    images = torch.randn(2, 1, 64, 64)
    require_equal_logits(theirs, path, "convnextv2_atto", tmp_path, images)


def test_the_hub_table_says_what_timm_says():
    for name, hub in IN1K.items():
        found = timm.get_pretrained_cfg(hub.repository.removeprefix("timm/"))
        assert found is not None, name
        assert found.hf_hub_id == hub.repository
        assert found.license == hub.licence.lower().replace("cc by", "cc-by").replace(" ", "-")
        assert (found.crop_pct, found.interpolation) == (hub.crop_pct, "bicubic")
        assert (found.input_size, found.num_classes) == ((3, 224, 224), 1000)
