import pytest
import torch

from edge_convnext.networks.nested import (
    clean_names,
    find_nameless,
    heads_beside,
    is_averaged,
    iter_tensors,
    list_content,
    place_order,
    visit_mappings,
)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("_orig_mod.stem.weight", "stem.weight"),
        ("stages.0._checkpoint_wrapped_module.1.weight", "stages.0.1.weight"),
        ("module.module.stem.weight", "stem.weight"),
        ("my_module.stem.weight", "my_module.stem.weight"),
    ],
)
def test_what_wrappers_put_between_names_is_taken_out(name, clean):
    assert clean_names({name: 1}) == {clean: 1}


def test_two_networks_of_which_one_is_wrapped_stay_two():
    content = {"module.stem": 1, "stem": 2}
    assert clean_names(content) == content


def test_a_list_of_averages_has_no_names():
    shadow = [torch.ones(1)] * 8
    assert find_nameless({"ema": {"shadow_params": shadow}}) == "ema/shadow_params"
    assert find_nameless({"ema": {"shadow_params": shadow[:7]}}) is None
    assert find_nameless({"params": shadow}) is None
    assert find_nameless([shadow]) is None


def test_what_lies_in_a_checkpoint_is_listed():
    content = {
        "a": torch.ones(2, 3),
        "b": {"c": torch.ones(1), "d": 1},
        "e": [1, 2],
        "f": {},
        "g": 1,
    }
    assert list_content(content) == [
        "a: a tensor [2, 3]", "b: 2 entries, 1 of them tensors", "e: a list of 2",
        "f: an empty mapping", "g: int",
    ]  # fmt: skip
    assert list_content([1]) == []
    assert set(iter_tensors(content)) == {"a", "c"}


def test_mappings_with_tensors_are_visited_with_their_way_and_what_is_around():
    inner = {"w": torch.ones(1)}
    content = {"a": [{"b": inner}], "text": "c", "n": 1}
    assert [(way, one) for way, one, _ in visit_mappings(content)] == [(("a", "0", "b"), inner)]
    assert next(visit_mappings({"b": inner}))[2] == {"b": inner}


def test_places_are_ordered_by_what_usually_counts():
    ema, best, model = (place_order((key,), "", key == "ema") for key in ("ema", "best", "model"))
    assert ema < best < model < place_order(("odd",), "", False)
    assert is_averaged(("ema_model",), "", {}, {}, {})
    assert not is_averaged(("schema",), "", {}, {}, {})


def test_a_small_state_dict_beside_is_a_head():
    head = {"weight": torch.ones(2, 2)}
    assert list(heads_beside(("net",), {"net": {}, "head": head})) == ["head.weight"]
    assert heads_beside(("head",), {"head": head}) == {}
