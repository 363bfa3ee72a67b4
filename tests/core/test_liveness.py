"""How long each value of a graph is held."""

from edge_convnext.core.liveness import largest_at_a_time

SIZES = {"image": 1, "a": 10, "b": 10, "c": 10}
FORK = [([], ["image"]), (["image"], ["a"]), (["image"], ["b"]), (["image"], ["c"])]


def test_outputs_take_memory_until_the_end():
    assert largest_at_a_time(SIZES, FORK) == 11
    assert largest_at_a_time(SIZES, [*FORK, (["a", "b", "c"], [])]) == 31


def test_a_value_goes_after_its_last_use_and_a_residual_is_held_for_it():
    chain = [([], ["image"]), (["image"], ["a"]), (["a"], ["b"]), (["b"], ["c"])]
    assert largest_at_a_time(SIZES, chain) == 20
    residual = [*chain[:3], (["b", "a"], ["c"])]
    assert largest_at_a_time(SIZES, residual) == 30


def test_weights_and_values_of_unknown_size_do_not_count():
    steps = [([], ["image"]), (["image", "weight"], ["a"]), (["a", "weight"], ["unknown"])]
    assert largest_at_a_time({**SIZES, "weight": 1000}, steps) == 11


def test_a_value_that_is_read_before_it_is_made_counts_from_then_on():
    assert largest_at_a_time(SIZES, [(["b"], ["a"]), (["a"], ["b"])]) == 20
