"""Lines of labels files as people have them: read, or named in the refusal."""

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.labels_file import read_labels, read_labels_file

CLASSES = ("cat", "dog", "emu")
FORMS = {
    "index-name.txt": "0 cat\n1 dog\n2 emu\n",
    "index-colon.txt": "2: emu\n0: cat\n1: dog\n",
    "bracket.txt": "0) cat\n1) dog\n2) emu\n",
    "brackets.txt": "[0] cat\n[1] dog\n[2] emu\n",
    "parentheses.txt": "(0) cat\n(1) dog\n(2) emu\n",
    "arrow.txt": "0 -> cat\n1 -> dog\n2 -> emu\n",
    "arrow-last.txt": "dog => 1\ncat => 0\nemu => 2\n",
    "name-colon.txt": "dog: 1\ncat: 0\nemu: 2\n",
    "name-index.csv": "dog,1\ncat,0\nemu,2\n",
    "header.csv": "ClassId,SignName\n0,cat\n1,dog\n2,emu\n",
    "crlf-bom.txt": "\ufeffcat\r\ndog\r\nemu\r\n",
    "comment.txt": "# made by hand\ncat\ndog\nemu\n",
    "quoted.txt": '"cat"\n"dog"\n"emu"\n',
    "one-line.txt": "cat, dog, emu",
}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_lines_are_read_in_the_forms_people_have(tmp_path, name):
    (tmp_path / name).write_text(FORMS[name], encoding="utf-8", newline="")
    assert read_labels_file(tmp_path / name) == CLASSES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,5\n1,3\n", "two columns of numbers"),
        ("0: cat\n0: dog\n", "indices are not 0 to 1 (0 comes twice)"),
    ],
)
def test_lines_of_two_meanings_are_refused(tmp_path, text, message):
    (tmp_path / "labels").write_text(text)
    with pytest.raises(DataError) as caught:
        read_labels_file(tmp_path / "labels")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["9" * 5000 + " cat\n1 dog\n", ("9" * 1_000_000 + "\n") * 3])
def test_lines_that_would_hang_or_break_a_reader(tmp_path, text):
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        read_labels_file(tmp_path / "labels.txt")
    assert len(str(caught.value)) < 1700


def test_indices_from_1_on_are_told(tmp_path):
    (tmp_path / "labels.txt").write_text("1 cat\n2 dog\n")
    read = read_labels(tmp_path / "labels.txt")
    assert read.names == ("cat", "dog")
    assert "run from 1 to 2; they are taken as logits 0 to 1" in read.notes[0]


def test_the_data_tells_what_the_name_is(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("n01 x\nn02 y\n".replace("n0", "n0000000"))
    assert read_labels(path, {"n00000001"}).names == ("n00000001", "n00000002")
    assert read_labels(path, {"y"}).names == ("x", "y")
    path.write_text("1 euro\n2 cent\n")
    assert read_labels(path, {"2 cent"}).names == ("1 euro", "2 cent")
    assert read_labels(path, {"cent"}).names == ("euro", "cent")


def test_a_header_above_names_is_skipped_where_the_data_has_all_others(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("class\ncat\ndog\nemu\n")
    found = read_labels(path, CLASSES)
    assert found.names == CLASSES
    assert found.notes == ("The header of names.csv, class, is skipped.",)
    assert read_labels(path, ("class", "cat")).names == ("class", *CLASSES)


@pytest.mark.parametrize("head", ["path,label,split\n", "", "image_id\tlabel\tx\n"])
def test_a_table_of_images_is_no_labels_file(tmp_path, head):
    mark = "\t" if "\t" in head else ","
    path = tmp_path / "list.csv"
    path.write_text(head + "".join(f"a/{i}.JPG{mark}{i % 2}{mark}train\n" for i in range(5)))
    with pytest.raises(DataError, match="a table of images") as error:
        read_labels(path)
    assert "pass it as --data" in str(error.value)
    names = tmp_path / "names.csv"
    names.write_text("cat.v2,0\ndog,1\n")
    assert read_labels(names).names == ("cat.v2", "dog")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1 a\n2 a\n1 b\n2 b\n", ("1 a", "2 a", "1 b", "2 b")),  # half of the names repeat
        ("0 a\n1 a\n2 b\n3 b\n", ("0 a", "1 a", "2 b", "3 b")),
        ("3 cat\n7 dog\n", ("3 cat", "7 dog")),  # no marked index, and none from 0 or 1 on
        ("0 cat\n", ("0 cat",)),  # of one line nothing can be told
    ],
)
def test_a_number_that_is_no_index_belongs_to_the_name(tmp_path, text, names):
    (tmp_path / "labels.txt").write_text(text)
    assert read_labels_file(tmp_path / "labels.txt") == names


def test_a_comment_above_the_names_is_told(tmp_path):
    (tmp_path / "labels.txt").write_text("# made by hand\ncat\n#1 dog\n")
    read = read_labels(tmp_path / "labels.txt")
    assert read.names == ("cat", "#1 dog")
    assert read.notes == ("The comment above the names of labels.txt is skipped.",)
