"""Our logits against those of transformers' own classes, on the same weights."""

import pytest
import torch
from safetensors.torch import save_file

from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.convnext.build import build_network
from edge_convnext.networks.convnext.sizes import find_architecture
from edge_convnext.stages.load import load_weights

transformers = pytest.importorskip("transformers", reason="transformers is in the dev extra")


def build_theirs(name, num_classes):
    found = find_architecture(name)
    family = "ConvNextV2" if found.version == 2 else "ConvNext"
    config = getattr(transformers, f"{family}Config")(
        depths=list(found.depths),
        hidden_sizes=list(found.widths),
        num_labels=num_classes,
    )
    network = getattr(transformers, f"{family}ForImageClassification")(config).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.squeeze().dim() == 1:  # GRN, LayerScale, affines and biases
                parameter.add_(0.3 * torch.randn(parameter.shape))
            else:
                parameter.mul_(3)
    return network


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("convnextv2_atto", ".safetensors"),
        ("convnextv2_atto", ".bin"),
        ("convnextv1_atto", ".safetensors"),
    ],
)
def test_logits_equal_those_of_transformers(tmp_path, name, suffix):
    theirs = build_theirs(name, num_classes=7)
    path = tmp_path / f"model{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(theirs.state_dict(), path)
    weights = load_weights(LoadConfig(weights=str(path)), name, 0, tmp_path / "ours.safetensors")
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(images).logits
        logits = build_network(weights, "raw")(images)
    assert expected.abs().max() > 0.1
    assert (logits - expected).abs().max() <= 1e-4
