from edge_convnext.report.markdown_text import bullets, escape, folded, table


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
