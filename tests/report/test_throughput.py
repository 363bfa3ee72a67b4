"""The report's part on throughput: read and written, and left out of older reports."""

import pytest
from pydantic import ValidationError
from support.example_report import example_report
from support.throughput import PART, ROW

from edge_convnext.report.contract import Report
from edge_convnext.report.throughput import ThroughputReport


def test_a_report_keeps_its_throughput():
    report = example_report(throughput=PART)
    text = report.model_dump_json(by_alias=True)
    assert Report.model_validate_json(text).throughput == report.throughput
    assert report.throughput.best(ROW["artifact"]).streams == 2
    assert example_report().throughput is None


@pytest.mark.parametrize("change", [{"percentile": 101.0}, {"limit_ms": 0.0}, {"other": 1}])
def test_what_makes_no_sense_is_refused(change):
    with pytest.raises(ValidationError):
        ThroughputReport.model_validate({**PART, **change})
