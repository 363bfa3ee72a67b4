import sys
from html.parser import HTMLParser

import pytest
from support.example_report import (
    OV_INT8,
    example_fields,
    example_report,
    without_measurements,
)

from edge_convnext.core.errors import MissingDependencyError
from edge_convnext.report.notebook import candidate_rows, notebook_html

HOSTILE = "<script>alert(1)</script>\x1b[2J"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)


def rows_of(report):
    return candidate_rows(report.accuracy, report.benchmark, report.refused)


def test_there_is_a_row_for_each_candidate_and_batch_with_its_accuracy():
    report = example_report(refused=[{**OV_INT8, "reason": "wrong"}])
    rows = rows_of(report)
    assert len(rows) == len(report.benchmark.rows)
    (one,) = (row for row in rows if row["chosen"] and row["batch"] == 1)
    assert (one["precision"], one["runtime"], one["top1_pct"]) == ("int8", "openvino", 96.43)
    assert (one["top1_drop_low_pp"], one["latency_ms_p99"], one["refused"]) == (-0.62, None, True)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}


def test_what_was_only_evaluated_has_a_row_too():
    rows = rows_of(example_report(**without_measurements("benchmark")))
    assert [row["latency_ms_p50"] for row in rows] == [None, None]
    assert rows_of(example_report(**without_measurements("benchmark", "evaluate"))) == []


def test_jupyter_shows_the_verdict_and_the_candidates_of_one_batch():
    page = example_report()._repr_html_()
    assert "<b>convnextv2_atto: ship int8</b>" in page
    assert "1.21x the speed" in page
    assert page.count("<tr") == 1 + 4
    bare = example_report(**without_measurements("benchmark", "evaluate"))._repr_html_()
    assert "<table>" not in bare


def test_names_stay_text():
    fields = example_fields()
    model = {**fields["model"], "name": HOSTILE}
    verdict = {**fields["verdict"], "reasons": [HOSTILE]}
    page = example_report(model=model, verdict=verdict, banner=HOSTILE)._repr_html_()
    tags = Tags()
    tags.feed(page + notebook_html(HOSTILE, HOSTILE, [HOSTILE], []))
    assert "script" not in tags.seen
    assert "\x1b" not in page


def test_a_data_frame_has_the_names_of_the_report():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = example_report().to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.loc[frame["chosen"], "latency_ms_p50"].min() == pytest.approx(2.56)
    assert list(frame.columns[:3]) == ["artifact", "precision", "runtime"]


def test_without_pandas_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pip install pandas"):
        example_report().to_dataframe()
