import pytest
from support.settled_facts import NAMES, TO_INDEX, TO_NAME, settle

from edge_convnext.networks.facts.class_names import count_from_one, parse_lines, read_names


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


FROM_ONE = {name: index + 1 for index, name in enumerate(NAMES)}
SHIFTED = "numbers the classes from 1 to 3; they are taken as logits 0 to 2"


@pytest.mark.parametrize(
    ("inside", "where"),
    [
        ({"class_to_idx": FROM_ONE}, "class_to_idx"),
        ({"id2label": {str(i): name for name, i in FROM_ONE.items()}}, "id2label"),
        ({"categories": [{"id": i, "name": name} for name, i in FROM_ONE.items()]}, "categories"),
    ],
)
def test_indices_that_run_from_one_are_told(tmp_path, inside, where):
    settled = settle(tmp_path, inside)
    assert settled.classes == NAMES
    assert settled.notes == (f"{where} {SHIFTED}",)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("class_to_idx.json", FROM_ONE),
        ("labels.txt", "".join(f"{i} {name}\n" for name, i in FROM_ONE.items())),
        ("classes.txt", "".join(f"{name},{i}\n" for name, i in FROM_ONE.items())),
    ],
)
def test_indices_of_files_beside_that_run_from_one_are_told(tmp_path, file, content):
    settled = settle(tmp_path, beside={file: content})
    assert settled.classes == NAMES
    assert settled.notes == (f"{file} beside the weights {SHIFTED}",)


@pytest.mark.parametrize(
    "value",
    [TO_INDEX, TO_NAME, list(NAMES), {"a": 1, "b": 3}, {}, [], "1", 7, {"names": TO_NAME},
     [{"id": 0, "value": 1}, {"id": 1, "value": 2}], {1: "0", 2: "1"}, "a\nb\n", None],
)  # fmt: skip
def test_what_counts_from_nought_or_does_not_count_is_no_shift(value):
    assert not count_from_one(value)
