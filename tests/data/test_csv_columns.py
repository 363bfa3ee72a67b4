import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.csv_columns import TRUTHS, find_columns


def find(*rows, labelled=True, files=()):
    sample = [(line, row.split(",")) for line, row in enumerate(rows, 1)]
    return find_columns("a.csv", sample, labelled, lambda text: text in files)


def test_columns_are_found_by_their_names():
    found = find("label,path,split,group,sha256", "cat,a.png,train,g,0")
    assert (found.path, found.label, found.split, found.group, found.sha256) == (1, 0, 2, 3, 4)
    assert (found.width, found.strict_group, found.header, found.notes) == (5, True, True, ())


def test_a_patient_groups_less_strictly():
    found = find("path,label,patient_id", "a.png,cat,7")
    assert (found.group, found.strict_group) == (2, False)


def test_the_name_whose_texts_are_files_is_the_path():
    found = find("id,image,label", "1,a.png,cat", files=["a.png"])
    assert found.path == 1
    assert "The images are those of the column 'image'." in found.notes


def test_columns_of_0_and_1_are_the_classes():
    found = find("path,cat,dog", "a.png,1,0", "b.png,0,1")
    assert found.one_hot == ((1, "cat"), (2, "dog"))
    assert found.label is None


def test_truths_are_a_split_and_other_texts_are_none():
    found = find("path,label,is_valid", "a.png,cat,True")
    assert found.flags == ((2, "valid"),)
    found = find("path,label,is_valid", "a.png,cat,maybe")
    assert found.flags == ()
    assert TRUTHS["no"] is False


def test_rows_that_r_numbers_have_one_name_less():
    found = find("path,label", "1,a.png,cat", "2,b.png,dog")
    assert (found.path, found.label, found.width, found.optional) == (1, 2, 3, {0})


def test_without_a_header_the_columns_are_guessed_and_told():
    found = find("a.png,cat,train", "b.png,dog,val")
    assert (found.path, found.label, found.split, found.header) == (0, 1, 2, False)
    assert found.notes == ("No header; its columns are taken as: images, labels, split.",)
    numbered = find("0,a.png,cat", "1,b.png,cat", "2,c.png,dog")
    assert (numbered.path, numbered.label) == (1, 2)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("label,text", "cat,x"), "no column 'path' among label, text"),
        (("path,label,label", "a,b,c"), "column 'label' comes twice"),
        (("path,colour,size,price,x", "a,b,c,d,e"), "no column 'label' among"),
        (("path,label,grop", "a,b,c"), "column 'grop' is not one of .* did you mean 'group'"),
        (("path,label,fold", "a.png,cat,0"), "numbers folds and does not say which"),
        (("a.png,b.png", "c.png,d.png"), "no header at all"),
        (("path," + "x" * 201, "a.png,b"), "is not one of the names of a header"),
    ],
)
def test_what_is_missing_or_doubtful_is_refused(rows, words):
    with pytest.raises(DataError, match=words):
        find(*rows)


def test_labels_are_not_asked_for_where_none_are_needed():
    found = find("path", "a.png", labelled=False)
    assert (found.path, found.label) == (0, None)
    unread = find("path,label,colour,size", "a,b,c,d")
    assert unread.notes == ("Columns that are not read: colour, size.",)
