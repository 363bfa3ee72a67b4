import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support import toy_family
from support.toy_maker import NetMaker, shape_of_net
from torch import nn

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.generic import GenericFamily
from edge_convnext.networks.made.drawing import draw_state
from edge_convnext.networks.made.family import MadeFamily, require_made
from edge_convnext.networks.made.shape import MadeShape


class NetFamily(MadeFamily, GenericFamily):
    label = "Nets"

    def find(self, name, num_classes=1000, in_channels=3):
        return shape_of_net(num_classes, in_channels) if name == "toy_made:net" else None


FAMILY = NetFamily()


def test_the_ends_of_a_network_are_those_that_follow_its_numbers():
    shape = shape_of_net()
    assert FAMILY.first_convolution(shape) == "stem.weight"
    assert set(FAMILY.classifier(shape)) == {"heads.0.weight", "heads.0.bias"}


def test_it_is_its_own_outside_that_says_nothing():
    assert FAMILY.outside is FAMILY
    assert FAMILY.fingerprint(shape_of_net()) == "toy 1"
    assert FAMILY.stated(shape_of_net()) is None
    assert FAMILY.fetch(shape_of_net(), "timm") is None


def test_without_the_models_name_nothing_is_looked_for():
    state = draw_state(NetMaker(), 5, 3, 0)
    assert FAMILY.translate(state, "w", model="toy_made:net").architecture == shape_of_net()
    with pytest.raises(LoadError, match="pass --model"):
        FAMILY.translate(state, "w")


def test_shapes_of_other_families_are_refused():
    with pytest.raises(LoadError, match="toy_net: is made by no function"):
        require_made(toy_family.ToyShape())


def test_where_the_channels_are_fixed_running_tells_which_weight_reads_the_images():
    assert FAMILY.first_convolution(shape_of_net(fixed=True)) == "stem.weight"


def test_a_weight_that_reads_patches_as_rows_has_no_channels_to_turn():
    class Patches(NetMaker):
        def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
            return nn.Sequential(nn.Unfold(32, stride=32), nn.Flatten(),
                                 nn.Linear(in_channels * 1024, num_classes))  # fmt: skip

    class Branches(NetMaker):
        def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
            network = super().make(num_classes, in_channels, image_size)
            network.beside = nn.Conv2d(in_channels, 8, 4, stride=4)
            return network

    for maker in (Patches(), Branches()):
        shape = MadeShape("toy_made", "toy_made:net", 5, 3, maker)
        assert FAMILY.first_convolution(shape) is None
