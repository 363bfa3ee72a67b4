import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.toy_maker import NetMaker, shape_of_net

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.drawing import draw_state
from edge_convnext.networks.made.filling import fill
from edge_convnext.networks.made.shape import MadeShape

STATE = draw_state(NetMaker(), 5, 3, 0)


def test_a_filled_network_answers_as_the_one_that_it_was_saved_from():
    network = NetMaker().make(5, 3).eval()
    network.load_state_dict(STATE)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(fill(shape_of_net(), STATE, 32)(images), network(images))


def test_counters_may_be_missing():
    less = {name: one for name, one in STATE.items() if name != "norm.num_batches_tracked"}
    assert not fill(shape_of_net(), less, 32).training


def test_positions_are_brought_to_the_size_of_the_images():
    assert fill(shape_of_net(), STATE, 16).positions.shape == (1, 17, 8)
    large = NetMaker().make(5, 3, 64).state_dict()
    assert fill(shape_of_net(), large, 64).positions.shape == (1, 257, 8)  # as it was trained
    with pytest.raises(LoadError, match="toy_made:net: not to 48 px"):
        fill(shape_of_net(), STATE, 48)


def test_a_size_that_a_network_was_not_made_for_is_told_before_it_is_exported():
    class Fixed(NetMaker):
        def resize(self, network, image_size):
            """Nothing, as of a user's own code."""

    shape = MadeShape("toy_made", "toy_made:net", 5, 3, Fixed())
    assert not fill(shape, STATE, 32).training
    told = r"toy_made:net: can't be run on 48 x 64 pixels \(.*\); leave --image-size out"
    with pytest.raises(LoadError, match=told) as caught:
        fill(shape, STATE, (48, 64))
    assert "\n" not in str(caught.value)


def test_weights_of_another_version_of_the_code_are_refused():
    with pytest.raises(LoadError, match="the code or the version that makes it has changed"):
        fill(shape_of_net(), {**STATE, "gone": torch.ones(1)}, 32)
