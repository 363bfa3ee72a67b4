import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.conv2former.family import FAMILY
from edge_convnext.networks.family import find_model
from edge_convnext.networks.generic import ModuleShape

CLASSES = 5


@pytest.mark.parametrize(
    ("size", "millions", "giga_macs"),
    [("n", 14.99, 2.33), ("t", 26.70, 4.4), ("s", 50.03, 8.7), ("b", 90.03, 15.9),
     ("l", 198.89, 36.0)],
)  # fmt: skip
def test_sizes_are_those_of_the_paper(size, millions, giga_macs):
    shape = find_model(f"conv2former_{size}")
    assert shape.count_params() / 1e6 == pytest.approx(millions, abs=0.005)
    assert shape.count_macs(224) / 1e9 == pytest.approx(giga_macs, abs=0.05)


@pytest.mark.parametrize("name", ["conv2former_n", "Conv2Former-N", "CONV2FORMER N "])
def test_a_name_is_found_in_any_spelling(name):
    assert find_model(name).name == "conv2former_n"


@pytest.mark.parametrize("name", ["conv2former", "conv2former_x", "n", "conv2former_nn"])
def test_other_names_are_none(name):
    assert FAMILY.find(name) is None


def test_the_ends_have_the_names_of_the_authors():
    shape = FAMILY.find("conv2former_t", CLASSES)
    assert FAMILY.first_convolution(shape) == "downsample_layers.0.0.weight"
    assert FAMILY.classifier(shape) == ("pred.weight", "pred.bias")


def test_a_checkpoint_of_another_size_tells_which():
    state = {
        name: torch.zeros(one.shape, dtype=one.dtype)
        for name, one in FAMILY.expected(FAMILY.find("conv2former_t", CLASSES)).items()
    }
    assert FAMILY.translate(state, "w.pth", model="conv2former_n").architecture.name == (
        "conv2former_t"
    )
    state["pred.weight"] = torch.zeros(CLASSES, 7)
    with pytest.raises(LoadError, match=r"not weights of conv2former_n: .* have another shape"):
        FAMILY.translate(state, "w.pth", model="conv2former_n")


@pytest.mark.parametrize("size", [64, 100, (96, 160)])
def test_counts_without_torch_are_those_of_the_module(size):
    shape = FAMILY.find("conv2former_n", num_classes=7, in_channels=1)
    assert shape.count_params() == ModuleShape.count_params(shape)
    assert shape.count_macs(size) == ModuleShape.count_macs(shape, size)
