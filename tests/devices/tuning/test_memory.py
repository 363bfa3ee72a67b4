import pytest

from edge_convnext.devices.tuning.memory import split_to_fit, workspace_mib

GIB = 1 << 30


def test_a_builder_gets_a_part_of_it():
    assert workspace_mib(None) is None
    assert workspace_mib(8 * GIB) == 4096
    assert workspace_mib(1 << 20) == 64


@pytest.mark.parametrize(
    ("free", "deaths", "groups"),
    [
        (None, 0, ["abcde"]),
        (10 * GIB, 0, ["abcde"]),
        (5 * GIB, 0, ["abc", "ade"]),  # three of a GiB each in 3 GiB
        (1, 0, ["ab", "ac", "ad", "ae"]),  # at least one beside the first
        (None, 1, ["abc", "ade"]),
        (None, 9, ["ab", "ac", "ad", "ae"]),
    ],
)
def test_what_has_no_room_together_is_split_and_the_first_is_in_each(free, deaths, groups):
    peaks = dict.fromkeys("abcde", GIB)
    found = split_to_fit(list("abcde"), peaks, free, deaths)
    assert ["".join(group) for group in found] == groups


def test_one_candidate_is_a_group():
    assert split_to_fit(["a"], {}, 1) == [["a"]]
