import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.toy_maker import NetMaker, shape_of_net

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.drawing import draw_state
from edge_convnext.networks.made.translating import translate_state

STATE = draw_state(NetMaker(), 9, 1, 0)


def read(content, headless=False, **fields):
    return translate_state(shape_of_net(**fields), content, "w.pth", headless)


def test_classes_and_channels_are_those_of_the_checkpoint():
    found = read({"state_dict": {f"module.{name}": one for name, one in STATE.items()}, "epoch": 1})
    assert (found.architecture.num_classes, found.architecture.in_channels) == (9, 1)
    assert (found.where, found.head, found.notes) == ("state_dict", "heads.0.weight", ())
    assert found.state.keys() == STATE.keys()
    assert all(torch.equal(found.state[name], one) for name, one in STATE.items())
    assert found.state["index"].dtype == torch.int64


def test_another_image_size_is_seen_by_the_positions():
    state = NetMaker().make(9, 1, 64).state_dict()
    assert read(state).state["positions"].shape == (1, 257, 8)


def test_averaged_weights_come_first():
    other = draw_state(NetMaker(), 9, 1, 1)
    found = read({"model": STATE, "model_ema": other})
    assert found.averaged
    assert torch.equal(found.state["stem.weight"], other["stem.weight"])


def test_two_networks_of_which_none_comes_first_are_refused():
    two = {f"{side}.{name}": one for side, state in
           (("left", STATE), ("right", draw_state(NetMaker(), 9, 1, 1)))
           for name, one in state.items()}  # fmt: skip
    with pytest.raises(LoadError, match="two networks in one file, under 'left' and 'right'"):
        read(two)


def test_shared_tensors_and_counters_may_lie_there_once_or_not_at_all():
    state = draw_state(NetMaker(tied=True), 9, 1, 0)
    less = {name: one for name, one in state.items()
            if name not in ("again.weight", "norm.num_batches_tracked")}  # fmt: skip
    found = read(less, tied=True)
    assert torch.equal(found.state["again.weight"], state["mix.weight"])
    assert found.state["again.weight"].data_ptr() != found.state["mix.weight"].data_ptr()
    assert "norm.num_batches_tracked" not in found.state


def test_buffers_that_the_network_makes_itself_are_left_where_they_are():
    found = read({**STATE, "scale": torch.zeros(8), "val_acc.total": torch.ones(())})
    assert "scale" not in found.state
    assert found.notes == ("left out, no part of the network: 'val_acc.total'",)


def test_two_classifiers_are_told():
    (note,) = read(draw_state(NetMaker(heads=2), 9, 1, 0), heads=2).notes
    assert "2 classifiers ('heads.0.weight' and 'heads.1.weight')" in note


def without(*names, **more):
    return {**{name: one for name, one in STATE.items() if name not in names}, **more}


def test_a_classifier_without_bias_has_one_of_zero():
    found = read(without("heads.0.bias"))
    assert torch.equal(found.state["heads.0.bias"], torch.zeros(9))
    assert "no bias in the file" in found.notes[0]


def test_pretrained_weights_without_a_classifier_serve_training_alone():
    bare = without("heads.0.weight", "heads.0.bias")
    with pytest.raises(LoadError, match=r"no classifier in these weights .*train --init"):
        read(bare)
    found = read(bare, headless=True)
    assert found.architecture.num_classes == 0
    assert found.head is None
    assert "heads.0.weight" not in found.state


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (without("mix.weight"), "'mix.weight' is missing"),
        (without(**{"neck.weight": torch.ones(2, 2)}), "'neck.weight' belongs to no the toy's net"),
        (without(**{"mix.weight": torch.ones(9, 8)}), r"'mix.weight' has shape \[9, 8\]"),
        (without(**{"mix.weight": torch.full((8, 8), float("nan"))}), "NaN or infinity"),
        (without(index="text"), "'index' is no tensor of whole numbers"),
        (without(index=torch.arange(9)), r"'index' has shape \[9\], not \[8\]"),
        ({"other.weight": torch.ones(2)}, "its names are not those of the toy's net"),
        ({"epoch": 1}, r"no state dict in this file \(a dict; in it: epoch: int\)"),
        (without(**{"mix.lora_A.weight": torch.ones(2, 2)}), "adapters"),
        (without("mix.weight", **{"mix.weight": torch.ones(1).expand(8, 8)}), "are stored"),
    ],
)
def test_what_is_not_whole_is_refused_in_one_line(content, words):
    with pytest.raises(LoadError, match=words) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("w.pth: ")


def test_a_normalisation_that_was_saved_is_read():
    named = {"norm_in.mean": torch.tensor([0.5]), "norm_in.std": torch.tensor([0.25])}
    found = read(without(**named))
    assert found.normalisation.mean == (0.5,)
