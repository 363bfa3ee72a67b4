import pytest

from edge_convnext.data.csv_names import is_index_name, is_path_name, rank_name


@pytest.mark.parametrize(
    ("role", "better", "worse"),
    [("path", "path", "image"), ("path", "Image_Path", "id"), ("label", "label", "type"),
     ("split", "split", "stage"), ("person", "patient", "session_id")],
)  # fmt: skip
def test_the_first_of_a_role_speaks_most_for_it(role, better, worse):
    assert rank_name(role, better) < rank_name(role, worse)


@pytest.mark.parametrize("name", ["File Name", "file_name", "FILENAME", "Файл"])
def test_letters_alone_count(name):
    assert is_path_name(name)


def test_a_name_of_another_role_is_none_of_this():
    assert rank_name("sha256", "sha-256") == 0
    assert rank_name("sha256", "path") is None
    assert not is_path_name("label")


@pytest.mark.parametrize(
    ("name", "is_index"), [("", True), ("Unnamed: 0", True), ("no.", True), ("id", False)]
)
def test_columns_that_number_the_rows_are_known(name, is_index):
    assert is_index_name(name) == is_index
