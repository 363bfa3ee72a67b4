import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.reparametrised import join_parts


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def pruned(layer):
    prune.random_unstructured(layer, "weight", 0.5)
    return layer


def old_weight_norm(layer):
    with pytest.warns(FutureWarning):
        return weight_norm(layer)


KINDS = {
    "pruning or spectral": pruned,
    "weight norm": old_weight_norm,
    "torch's weight norm": parametrizations.weight_norm,
    "torch's spectral norm": parametrizations.spectral_norm,
    "spectral norm, old": spectral_norm,
}


@pytest.mark.parametrize("kind", KINDS)
def test_parts_become_what_the_layer_multiplies_by(layer, kind):
    made = KINDS[kind](layer).eval()
    expected = made(torch.eye(4)) - made.bias
    state = {f"fc.{name}": value for name, value in made.state_dict().items()}
    whole, notes = join_parts(state, "w.pth")
    assert set(whole) == {"fc.weight", "fc.bias"}
    assert torch.allclose(whole["fc.weight"].T, expected, atol=1e-6)
    assert len(notes) == 1
    assert notes[0].startswith("1 tensors were put together from the parts of torch's ")


def test_a_tensor_that_is_just_called_so_stays():
    named = {"layer_g": torch.ones(3), "a_orig": torch.ones(2)}
    assert join_parts(named, "w.pth") == (named, ())


@pytest.mark.parametrize(
    "parts",
    [
        {"w_orig": torch.ones(3), "w_mask": torch.ones(4)},
        {"w_g": torch.ones(2, 1), "w_v": torch.ones(3, 4)},
        {"w_orig": torch.ones(3), "w_mask": "text"},
        {"m.parametrizations.weight.original": torch.ones(3)},
        {"w_orig": torch.ones(1).expand(1 << 40), "w_mask": torch.ones(1).expand(1 << 40)},
    ],
    ids=["shapes", "magnitudes", "no tensor", "unknown", "endless"],
)
def test_parts_of_another_kind_are_refused(parts):
    with pytest.raises(LoadError, match=r"w\.pth: '.*' is one of the parts of a tensor"):
        join_parts(parts, "w.pth")
