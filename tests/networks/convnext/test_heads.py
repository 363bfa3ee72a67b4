import pytest
import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.heads import Head, describe_layers, find_head

WIDTH = 8


def find(own=None, **left):
    named = {name.replace("__", "."): value for name, value in left.items()}
    return find_head(own, named, {k: v for k, v in named.items() if k != own}, WIDTH, "w.pth")


def layer(out, into=WIDTH):
    return torch.zeros(out, into)


def test_the_one_layer_that_reads_the_features_is_the_head():
    found = find(fc__weight=layer(5), fc__bias=torch.zeros(5))
    assert found == Head("fc.weight", "fc.bias", 5)
    assert find("head.weight", head__weight=layer(3), head__bias=torch.zeros(3)).classes == 3
    assert find() == Head()


def test_a_convolution_of_1_x_1_is_a_layer_too():
    assert find(fc__weight=torch.zeros(1, WIDTH, 1, 1), fc__bias=torch.zeros(1)).classes == 1


def test_a_head_without_a_bias_is_told_and_one_of_angles_refused():
    found = find(fc__weight=layer(5), fc__bias=torch.zeros(4))
    assert found.bias is None
    assert found.notes == ("the classifier 'fc.weight' has no bias; it is taken as 0",)
    with pytest.raises(LoadError, match="a head of angles"):
        find(arcface__weight=layer(5))


def test_losses_and_counters_are_no_layers():
    found = find(fc__weight=layer(5), fc__bias=torch.zeros(5), criterion__weight=layer(9))
    assert found.weight == "fc.weight"


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"a__weight": layer(5), "b__weight": layer(6)}, r"2 linear layers .*'a\.weight' \[5, 8\]"),
        ({"a__weight": layer(5, 9)}, "the features have 8 channels"),
    ],
)
def test_several_layers_or_one_of_other_features_are_refused(layers, words):
    with pytest.raises(LoadError, match=words):
        find(**layers)
    with pytest.raises(LoadError, match=r"has shape \[5, 2, 3\], not \[classes, 8\]"):
        find("head.weight", head__weight=torch.zeros(5, 2, 3))


def test_the_first_layers_are_shown():
    many = {f"l{at}": (2, at) for at in range(7)}
    assert describe_layers(many).endswith("'l5' [2, 5], …")
    assert describe_layers({"l": (2, 3)}) == "'l' [2, 3]"
