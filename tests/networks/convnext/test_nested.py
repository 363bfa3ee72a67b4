import torch

from edge_convnext.networks.convnext.nested import find_candidates

NAME = "stages.0.0.dwconv.weight"


def network(prefix=""):
    return {f"{prefix}{NAME}": torch.ones(2), f"{prefix}norm.weight": torch.ones(2)}


def found(content):
    return [(one.where, one.averaged) for one in find_candidates(content)]


def test_averaged_weights_come_before_raw_ones_and_the_best_before_the_last():
    content = {"model": network(), "model_ema": network(), "best_model": network()}
    assert found(content) == [("model_ema", True), ("best_model", False), ("model", False)]


def test_a_network_is_found_at_any_depth_with_its_prefix():
    content = {"a": [{"state": {"b": network("student.")}}]}
    assert found(content) == [("a/0/state/b/student", False)]


def test_two_networks_of_one_state_dict_know_of_each_other():
    first, second = find_candidates({**network("student."), **network("teacher.")})
    assert first.others == ("teacher.",)
    assert second.others == ("student.",)
    assert (first.keys, first.network) == ((), ("reference", "student."))


def test_a_head_that_lies_beside_is_kept():
    (one,) = find_candidates({"backbone": network(), "head": {"weight": torch.ones(3, 2)}})
    assert list(one.beside) == ["head.weight"]


def test_swapped_averages_lie_where_weights_usually_do():
    content = {"state_dict": network(), "ema_state_dict": network(),
               "meta": {"mmengine_version": "0.1"}}  # fmt: skip
    assert found(content) == [("state_dict", True), ("ema_state_dict", False)]
    average = {**network("module."), "n_averaged": torch.tensor(3)}
    assert found(average) == [("", True)]


def test_a_checkpoint_that_holds_itself_ends():
    content = {"model": network()}
    content["again"] = content
    assert found(content) == [("model", False)]
