import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.csv_text import read_rows, sniff_dialect


@pytest.fixture
def write(tmp_path):
    def put(text, encoding="utf-8"):
        path = tmp_path / "a.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return put


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("path,label\na.png,1\n", ","),
        ("path;label\na,b.png;1\n", ";"),
        ("x\ty\na.png\t1\n", "\t"),
        ("a.png 1\nb.png 2\n", " "),
        ("path\na b.png\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_is_the_one_that_fits(write, text, delimiter):
    assert sniff_dialect(write(text)).delimiter == delimiter


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"),
     ("utf-16-be", "utf-16-be"), ("utf-32", "utf-32")],
)  # fmt: skip
def test_the_encoding_is_told_by_the_first_bytes(write, encoding, named):
    path = write("path,label\nä.png,é\n", encoding)
    dialect = sniff_dialect(path)
    assert dialect.encoding == named
    assert [fields for _, fields in read_rows(path, dialect)][1] == ["ä.png", "é"]


def test_rows_have_their_line_and_what_stands_above_is_skipped(write):
    path = write("sep=;\n# by hand\n\npath;label\n;;\n'a';'x\ny'\n")
    dialect = sniff_dialect(path)
    assert (dialect.skipped, dialect.quote) == (3, '"')
    assert next(iter(read_rows(path, dialect))) == (4, ["path", "label"])


def test_single_quotes_around_every_text_are_quotes(write):
    path = write("'path','label'\n'a.png','x'\n'b.png','x,y'\n")
    dialect = sniff_dialect(path)
    assert dialect.quote == "'"
    assert list(read_rows(path, dialect)) == [
        (1, ["path", "label"]), (2, ["a.png", "x"]), (3, ["b.png", "x,y"]),
    ]  # fmt: skip


def test_what_is_no_csv_is_told_with_its_line(write):
    path = write('path,label\na.png,"x\n')
    with pytest.raises(DataError, match=r"a\.csv line 2: not CSV .*; correct the line"):
        list(read_rows(path, sniff_dialect(path)))
    path = write(b"path,label\n\xff\n")
    with pytest.raises(DataError, match="not UTF-8 text; save it as 'CSV UTF-8'"):
        sniff_dialect(path)
    path = write("path,label\n" + "a" * ((1 << 20) + 1))
    with pytest.raises(DataError, match=r"line 2: over 1048576 characters: a+\.\.\.; save it"):
        sniff_dialect(path)


def test_a_folder_is_no_list(tmp_path):
    with pytest.raises(DataError, match=r"can't be read .*; check the file and its permissions"):
        sniff_dialect(tmp_path)
