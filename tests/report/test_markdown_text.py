import pytest

from edge_convnext.report.markdown_text import bullets, escape, escape_markdown, folded, table


def test_cells_are_escaped_and_rows_are_whole():
    assert table(("a", "b"), [("x|y", "<b>")]).splitlines() == [
        "| a | b |", "| --- | --- |", "| x\\|y | \\<b\\> |",
    ]  # fmt: skip


def test_a_list_has_a_line_for_each_sentence():
    assert bullets(["one", "two\nlines"]) == "- one\n- two lines"


def test_a_folded_part_shows_its_summary_alone():
    assert folded("more <b>", "text") == [
        "<details><summary>more \\<b\\></summary>", "text", "</details>",
    ]  # fmt: skip


def test_nothing_from_outside_is_markup():
    assert escape("# *a* ~b~ &amp; `c`") == r"\# \*a\* \~b\~ \&amp; \`c\`"


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
