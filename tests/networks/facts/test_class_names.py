import pytest

from edge_convnext.networks.facts.class_names import parse_lines, read_names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"a": 1, "b": 2}, ("a", "b")),  # numbered from 1
        ({"a": 0, "b": 2}, ()),
        ({"a": 0, "b": 0}, ()),
        (["a", "a"], ("a#0", "a#1")),  # as `class_names.tell_apart` has it everywhere
        (["Mu\u0308ll", "b"], ("M\u00fcll", "b")),  # composed, as folder names are
        (["a", None], ()),
        (["a", "\x1b[2J"], ()),
        (["a", "x" * 500], ()),
        ({"0": "LABEL_0", "1": "LABEL_1"}, ()),
        ([0, 1, 2], ("0", "1", "2")),
        (7, ()),
        ("sgd", ()),
        ('["a", "b"]', ("a", "b")),
        ([["n01", "tench"], ["n02", "goldfish"]], ("tench", "goldfish")),
    ],
)
def test_names_are_read_in_their_usual_forms(value, names):
    assert read_names(value) == names


@pytest.mark.parametrize(
    ("key", "names"),
    [("class_to_idx", ("0", "1", "10", "2")), ("idx_to_class", ("0", "1", "3", "2"))],
)
def test_numbers_for_names_are_read_in_the_keys_direction(key, names):
    value = (
        {"0": 0, "1": 1, "10": 2, "2": 3}
        if key == "class_to_idx"
        else ({0: "0", 1: "1", 2: "3", 3: "2"})
    )
    assert read_names(value, key) == names


def test_numbered_lines_need_every_number():
    assert parse_lines("0: a b\n1: c\n") == ("a b", "c")
    assert parse_lines("3 doors\n5 doors\n") == ("3 doors", "5 doors")
