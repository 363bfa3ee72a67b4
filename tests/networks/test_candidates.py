import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.candidates import choose_candidate, find_candidates, list_places

NAMES = [f"layers.{n}.weight" for n in range(4)]


def state(prefix="", names=NAMES):
    return {f"{prefix}{name}": torch.ones(1) for name in names}


def found(content):
    return [(one.where, one.averaged, one.missing) for one in find_candidates(content, NAMES)]


def test_networks_are_found_under_wrappers_and_prefixes():
    content = {"epoch": 3, "model": state("module."), "state_dict_ema": state()}
    assert found(content) == [("state_dict_ema", True, ()), ("model", False, ())]
    assert found({"state_dict": state("net.encoder.")}) == [("state_dict/net.encoder", False, ())]


def test_a_whole_network_comes_before_one_with_a_hole_and_less_than_half_is_none():
    content = {"ema": state(names=NAMES[1:]), "model": state()}
    assert found(content) == [("model", False, ()), ("ema", True, (NAMES[0],))]
    assert found(state(names=NAMES[:1])) == []


def test_a_value_is_looked_up_by_the_networks_own_name():
    (one,) = find_candidates({"model": state("net.")}, NAMES)
    assert one.value(NAMES[0]) is not None
    assert one.value("other") is None


def test_two_that_nothing_tells_apart_are_refused_if_they_differ():
    other = {name: torch.zeros(1) for name in NAMES}
    with pytest.raises(
        LoadError, match=r"w: two networks in one file, under 'one' and 'two'; save"
    ):
        choose_candidate({"one": state(), "two": other}, NAMES, "w")
    assert choose_candidate({"one": state(), "two": state()}, NAMES, "w").where == "one"
    assert choose_candidate({"one": other, "ema": state()}, NAMES, "w").where == "ema"
    assert choose_candidate({"epoch": 1}, NAMES, "w") is None


def test_places_are_listed_whatever_their_names():
    content = {"epoch": 3, "model": {"module.a": torch.ones(1)}, "ema": {"b": torch.ones(1)}}
    found = [(one.where, one.averaged, list(one.named)) for one in list_places(content)]
    assert found == [("ema", True, ["b"]), ("model", False, ["a"])]
