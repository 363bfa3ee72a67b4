import pytest
from support import open_family

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.strict import Known, read_strictly

FAMILY, MODEL = open_family.FAMILY, open_family.MODEL
STATE = FAMILY.draw(open_family.OpenShape(MODEL, 4, 1), 0)
EMA = FAMILY.draw(open_family.OpenShape(MODEL, 4, 1), 1)
KNOWN = Known("Open", FAMILY.find, FAMILY.expected)


def read(checkpoint, headless=False):
    return read_strictly(KNOWN, (MODEL,), checkpoint, "w.pth", headless)


def without(state, *names):
    return {name: one for name, one in state.items() if name not in names}


def prefixed(prefix, state):
    return {f"{prefix}{name}": one for name, one in state.items()}


def is_state(found, state=STATE):
    return all(torch.equal(found.state[name], state[name]) for name in state)


def test_classes_and_channels_are_read_off_the_tensors():
    found = read(STATE)
    assert found.architecture == open_family.OpenShape(MODEL, 4, 1)
    assert (found.head, found.where, found.averaged, found.notes) == ("7.weight", "", False, ())
    assert is_state(found)
    assert list(found.state) == list(STATE)


@pytest.mark.parametrize(
    ("checkpoint", "where"),
    [
        ({"state_dict": STATE, "epoch": 3}, "state_dict"),
        ({"model": prefixed("module.", STATE)}, "model"),
        (prefixed("_orig_mod.module.", STATE), ""),
        (
            {
                f"0._fsdp_wrapped_module.{n[2:]}" if n[0] == "0" else n: one
                for n, one in STATE.items()
            },
            "",
        ),
        ({"networks": [STATE]}, "networks/0"),
        ({"a": {"b": [1]}, "net": {"weights": STATE}}, "net/weights"),
    ],
)
def test_it_is_found_wherever_it_lies(checkpoint, where):
    found = read(checkpoint)
    assert is_state(found)
    assert found.where == where


@pytest.mark.parametrize("key", ["model_ema", "state_dict_ema", "ema", "swa_model"])
def test_of_several_the_average_is_taken(key):
    for checkpoint in ({"model": STATE, key: EMA}, {key: EMA, "model": STATE}):
        found = read(checkpoint)
        assert found.averaged
        assert is_state(found, EMA)
    assert not read({"model": STATE, "schema": {"x": torch.ones(2)}}).averaged


def test_half_floats_become_float32_and_integers_stay():
    found = read({name: one.half() if one.dim() else one for name, one in STATE.items()})
    assert found.state["0.weight"].dtype == torch.float32
    assert found.state["1.num_batches_tracked"].dtype == torch.int64


def test_an_old_checkpoint_may_lack_the_counters_of_batch_norms():
    assert "1.num_batches_tracked" not in read(without(STATE, "1.num_batches_tracked")).state


def test_what_lies_beside_the_network_is_left_out_and_told():
    found = read({**prefixed("net.", STATE), "loss.weight": torch.ones(3)})
    assert is_state(found)
    assert found.notes == ("1 tensors beside the network were left out",)


def test_other_shapes_are_refused_with_both():
    wide = {**STATE, "4.weight": torch.zeros(24, 8, 1, 1), "4.bias": torch.zeros(24)}
    with pytest.raises(LoadError) as caught:
        read(wide)
    told = str(caught.value)
    assert told.startswith("w.pth: these are not weights of open:some/net: of its 12 tensors 2")
    assert "'4.weight' is [24, 8, 1, 1] in the file, and [16, 8, 1, 1] in open:some/net" in told
    assert "'4.bias' is [24] in the file, and [16]" in told
    assert "\n" not in told


def test_other_names_are_refused_with_the_first():
    with pytest.raises(
        LoadError, match=r"1 are missing, and 1 .*; first: '4.bias' is missing, and"
    ):
        read({**without(STATE, "4.bias"), "5.bias": torch.zeros(2)})
    with pytest.raises(LoadError, match=r"'extra' \[2\] is in the file alone"):
        read({**STATE, "extra": torch.zeros(2)})


@pytest.mark.parametrize("lost", ["0.weight", "7.bias"])
def test_a_prefix_is_taken_off_whichever_tensor_is_missing(lost):
    with pytest.raises(
        LoadError, match=f"and 1 are missing, and 0 tensors.*first: '{lost}' is missing"
    ):
        read(prefixed("module.", without(STATE, lost)))


def test_a_prefix_of_a_few_tensors_is_not_the_networks():
    found = read({**prefixed("net.", STATE), "other.0.weight": torch.ones(3)})
    assert is_state(found)
    assert found.where == "net"


def test_many_differences_are_counted_and_three_are_shown():
    with pytest.raises(LoadError) as caught:
        read({f"layer{n}.weight": torch.zeros(2) for n in range(100)})
    assert "11 are missing, and 100 tensors of the file are unknown" in str(caught.value)
    assert str(caught.value).count(" is missing") == 3
    assert len(str(caught.value)) < 400


def test_a_missing_classifier_is_refused_but_where_training_starts_from_it():
    body = without(STATE, "7.weight", "7.bias")
    with pytest.raises(LoadError, match=r"2 are missing.*'7.weight' is missing"):
        read(body)
    found = read(body, headless=True)
    assert found.architecture.num_classes == 0
    assert found.head is None
    assert found.state.keys() == body.keys()
    assert read(STATE, headless=True).architecture.num_classes == 4


def test_values_that_are_no_numbers_are_refused():
    broken = {**STATE, "4.bias": torch.full((16,), float("nan"))}
    with pytest.raises(LoadError, match=r"w\.pth: '4.bias' holds NaN"):
        read(broken)
    with pytest.raises(LoadError, match="are stored"):
        read({**STATE, "4.weight": torch.zeros(1).expand(16, 8, 1, 1)})


@pytest.mark.parametrize("checkpoint", [{}, {"epoch": 1}, 3, [1], None, {"a": {"b": "c"}}])
def test_a_file_without_tensors_is_none(checkpoint):
    with pytest.raises(LoadError, match=r"w\.pth: holds no tensors by name"):
        read(checkpoint)


def test_a_checkpoint_that_holds_itself_is_read_to_an_end():
    around = {"state": STATE}
    around["self"] = around
    assert is_state(read(around))


def test_without_a_name_nothing_is_known():
    with pytest.raises(LoadError, match="without --model; pass it"):
        read_strictly(KNOWN, (), STATE, "w.pth")
    with pytest.raises(LoadError, match="Open has no model 'toy'"):
        read_strictly(KNOWN, ("toy",), STATE, "w.pth")


def test_of_two_that_nothing_tells_apart_neither_is_taken():
    with pytest.raises(LoadError, match="two networks in one file, under 'student' and 'teacher'"):
        read({"student": STATE, "teacher": EMA})


def test_weights_that_mean_something_with_others_alone_are_refused():
    with pytest.raises(LoadError, match="adapters"):
        read({**STATE, "4.lora_A.weight": torch.zeros(2, 2)})
    with pytest.raises(LoadError, match="FSDP's flattened parameters"):
        read({"_flat_param": torch.zeros(9)})


def test_what_a_training_counted_is_left_out():
    found = read({**STATE, "n_averaged": torch.tensor(3), "total_ops": torch.zeros(1)})
    assert is_state(found)
    assert found.notes == ("2 tensors beside the network were left out",)
