import base64

import pytest

from edge_convnext.report.html.parts import Limits, make_table


def csv_of(table):
    return base64.b64decode(table.csv.partition("base64,")[2]).decode()


def test_a_table_has_its_rows_as_a_csv_too():
    table = make_table("Every class", ("class", "n"), [("a,b", "1"), ('say "x"', "2")], Limits())
    assert csv_of(table) == 'class,n\n"a,b",1\n"say ""x""",2\n'
    assert table.file == "every-class.csv"
    assert table.csv.startswith("data:text/csv;")
    assert table.left_out == 0


def test_rows_and_letters_beyond_the_limits_are_left_out_and_counted():
    table = make_table("x", ("a",), [("y" * 50,), ("b",), ("c",)], Limits(rows=2, chars=10))
    assert table.rows == (("yyyyyyyyyy...",), ("b",))
    assert table.left_out == 1
    assert "c" not in csv_of(table).splitlines()


@pytest.mark.parametrize(
    "formula",
    ["=cmd|'/c calc'!A1", "@SUM(A1)", "+HYPERLINK(0)", "-A1", "-1+cmd|' /C calc'!A0", "-2 =A1()"],
)
def test_a_spreadsheet_runs_no_class_name(formula):
    table = make_table("x", ("class",), [(formula,)], Limits())
    assert csv_of(table).splitlines()[1].lstrip('"').startswith("'")


@pytest.mark.parametrize("figure", ["-1.00", "-1.00 [-3.88, 1.43]", "-", "+0.47", "-3.00 to 1.00"])
def test_a_figure_stays_a_figure(figure):
    assert figure in csv_of(make_table("x", ("pp",), [(figure,)], Limits()))
    assert f"'{figure}" not in csv_of(make_table("x", ("pp",), [(figure,)], Limits()))
