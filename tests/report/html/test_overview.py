from support.example_report import OV_INT8, example_report, without_measurements
from support.gate_builds import sha

from edge_convnext.report.described import BoardReport
from edge_convnext.report.html.overview import overview_table
from edge_convnext.report.html.parts import Limits


def test_reports_stand_side_by_side_in_their_order():
    board = BoardReport(name="orin", bundle_sha256=sha(0), graphs=(), ships=None)
    bare = without_measurements("evaluate", "benchmark")
    reports = [example_report(), example_report(board=board), example_report(**bare)]
    rows = [dict(zip(table.headings, cells, strict=True)) for table in [
        overview_table(reports, Limits())] for cells in table.rows]  # fmt: skip
    assert [row["no."] for row in rows] == ["1", "2", "3"]
    assert rows[0]["chosen"] == OV_INT8["artifact"]
    assert (rows[0]["p50 ms"], rows[0]["vs float"]) == ("2.56", "1.21x")
    assert rows[0]["drop pp [95 %]"] == "0.21 [-0.62, 1.18]"
    assert [row["machine"] for row in rows][1] == "orin"
    assert rows[2]["chosen"] == rows[2]["p50 ms"] == rows[2]["images"] == "-"


def test_a_label_and_a_date_tell_reports_of_one_model_apart():
    table = overview_table([example_report(label="a1b2c3"), example_report()], Limits())
    rows = [dict(zip(table.headings, cells, strict=True)) for cells in table.rows]
    assert [row["label"] for row in rows] == ["a1b2c3", "-"]
    assert rows[0]["made"] == "2025-03-04 05:06 UTC"
