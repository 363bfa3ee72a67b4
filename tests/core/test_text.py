import pytest

from edge_convnext.core.text import escape_markdown, printable, spreadsheet_cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc", r"a\x0ab\x09c"),
        ("a\u202eb", r"a\u202eb"),
        ("a\U000e0001b", r"a\U000e0001b"),
        ("##[error]", r"##\x5berror]"),
        ("::error::x", r":\x3aerror:\x3ax"),
        (":::stop", r":\x3a:stop"),
        ("a:b", "a:b"),
        ("ideographic\u3000space, crème, 猫", "ideographic\u3000space, crème, 猫"),
    ],
)
def test_what_steers_a_terminal_is_shown_by_its_escape(text, shown):
    assert printable(text) == shown


def test_printable_leaves_letters_of_any_language_alone():
    for text in ("crème brûlée 火\u3000災 😀", "C:\\new", "[b]x[/b]"):
        assert printable(text) == text
    assert printable("a\r\u2028\U000e0001") == r"a\x0d\u2028\U000e0001"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@all", "@&#8203;all"), ("a#1", "a\\#&#8203;1"), ("http://x", "http://&#8203;x"),
        ("WWW.x.y", "WWW&#8203;.x.y"), ("www", "www"),
        ("*_[]<>|~&$`\\", r"\*\_\[\]\<\>\|\~\&\$\`\\"),
    ],
)  # fmt: skip
def test_markdown_links_and_notifies_nobody(text, shown):
    assert escape_markdown(text) == shown


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(text):
    assert spreadsheet_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["ant", "-", "-1.5", "+0.3 [-0.1, 0.7]", "", "a=b"])
def test_other_cells_stay_as_they_are(text):
    assert spreadsheet_cell(text) == text
