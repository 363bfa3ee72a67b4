import json
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.example_report import SHA, STAGES, example_fields, example_report, without_measurements

from edge_convnext.build.amend import add_sensitivity
from edge_convnext.core.artifacts import Parity
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_bytes
from edge_convnext.devices.doctor import environment
from edge_convnext.report import contract as report_module
from edge_convnext.report.contract import Report, schema_json
from edge_convnext.report.described import EnvironmentReport, FileReport
from edge_convnext.report.stages import ParityReport, StageReport
from edge_convnext.stages.sensitivity import Sensitivity

SCHEMA_FILE = Path(report_module.__file__).with_name("report.schema.json")
CONTRACT = (
    "schema",
    "model",
    "environment",
    "recipe",
    "stages",
    "accuracy",
    "benchmark",
    "verdict",
)


def test_a_report_reads_back_as_it_was_written(tmp_path):
    report = example_report()
    report.write(tmp_path / "report.json")
    assert Report.read(tmp_path / "report.json") == report


def test_equal_reports_are_equal_bytes_in_the_order_of_the_contract():
    text = example_report().to_json()
    assert text == Report.model_validate_json(text).to_json()
    keys = list(json.loads(text))
    assert [key for key in keys if key in CONTRACT] == list(CONTRACT)
    assert json.loads(text)["schema"] == "edge-convnext/report/3"


def test_the_schema_file_is_current():
    pytest.importorskip("pydantic", "2.11", reason="older versions word the same schema otherwise")
    assert json.loads(SCHEMA_FILE.read_text()) == json.loads(schema_json()), (
        "write it anew: python -c 'from edge_convnext.report.contract import schema_json; "
        'print(schema_json(), end="")\' > edge_convnext/report/report.schema.json'
    )


def test_every_type_of_the_schema_is_described():
    for name, definition in json.loads(schema_json())["$defs"].items():
        if name != "JsonValue":
            assert definition.get("description"), name


@pytest.mark.parametrize("status", ["skipped", "not_run", "failed"])
def test_a_stage_that_made_nothing_new_says_why(status):
    with pytest.raises(ValidationError, match=f"status {status} needs a reason"):
        StageReport(name="fold", status=status)
    assert StageReport(name="fold", status=status, reason="--no-fold").reason == "--no-fold"


def test_every_stage_is_there_once_and_in_order():
    for stages in (STAGES[:-1], STAGES[::-1], [*STAGES, STAGES[-1]]):
        with pytest.raises(ValidationError, match="stages are, in this order: load, fold"):
            example_report(stages=stages)


def test_a_report_from_before_the_newest_stages_is_still_read(tmp_path):
    older = [stage for stage in STAGES if stage["name"] not in ("approximate", "recover")]
    report = example_report(stages=older)
    report.write(tmp_path / "report.json")
    assert Report.read(tmp_path / "report.json") == report


def test_a_report_of_the_schema_before_is_read_and_tells_no_confidence(tmp_path):
    """Its intervals were of another making: `shown` would be a word that nobody checked."""
    fields = json.loads(example_report().to_json())
    for name in ("confidence", "accuracy", "speed", "images_to_show", "rounds_to_show"):
        assert fields["verdict"].pop(name, None) is None
    del fields["verdict"]["speed_skewed"], fields["benchmark"]["throttled_periods"]
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**fields, "schema": "edge-convnext/report/2"}))
    report = Report.read(path)
    assert report == example_report()
    assert (report.verdict.ship, report.verdict.confidence) == ("int8", None)
    assert json.loads(report.to_json())["schema"] == "edge-convnext/report/3"


def test_a_ranking_goes_into_the_report_of_a_finished_build(tmp_path):
    before = example_report(outputs=[])
    before.write(tmp_path / "report.json")
    one = Sensitivity("stages.0.blocks.0.pwconv1/Conv", 41.0, 99.0, 31.0, 97.0, 62.5)
    add_sensitivity(tmp_path, {"conv.inner": (one,)})
    after = Report.read(tmp_path / "report.json")
    (found,) = after.sensitivity
    assert found.graph == "conv.inner"
    (ranking,) = found.operations
    assert ranking.model_dump() == asdict(one)
    assert after.model_copy(update={"sensitivity": ()}) == before
    text = (tmp_path / "report.md").read_text()
    assert "## Sensitivity of INT8 conv.inner" in text
    assert "62.5" in text


@pytest.mark.parametrize("name", ["evaluate", "benchmark"])
def test_results_and_status_agree(name):
    changes = without_measurements(name)
    assert example_report(**changes).stage(name).reason == "random weights"
    with pytest.raises(ValidationError, match=f"the {name} stage's status contradicts"):
        example_report(stages=changes["stages"])


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("accuracy", "top1_drop_pp", float("nan")),
        ("accuracy", "agreement_pct", 100.1),
        ("accuracy", "top1_drop_ci95_pp", [0.5, -0.5]),
        ("benchmark", "speedup_vs_best_float", float("inf")),
        ("model", "params", 0),
        ("model", "surprise", 1),
        ("verdict", "ship", "int4"),
        ("verdict", "confidence", "sure"),
        ("verdict", "images_to_show", 0),
    ],
)
def test_what_the_contract_excludes_is_refused(part, field, value):
    fields = example_fields()
    with pytest.raises(ValidationError, match=field):
        Report.model_validate({**fields, part: {**fields[part], field: value}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"No such file or directory; `edge-convnext build`"),
        ("{", r"not JSON"),
        ("[]", r"schema is None, this version reads 'edge-convnext/report/3'"),
        ('{"schema": "edge-convnext/report/9"}', r"schema is 'edge-convnext/report/9'"),
        ('{"schema": "edge-convnext/report/3"}', r"not a valid report \(created: Field required\)"),
    ],
)
def test_an_unreadable_report_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ArtifactError, match=message) as caught:
        Report.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_described_relative_to_the_report(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    inside, outside = folder / "model.onnx", tmp_path / "cached.onnx"
    for path in (inside, outside):
        path.write_bytes(b"graph")
    assert FileReport.of(inside, folder) == FileReport(
        path="model.onnx", sha256=sha256_bytes(b"graph"), bytes=5
    )
    assert FileReport.of(outside, folder).path == outside.as_posix()


def test_artefacts_and_the_machine_fit_the_contract():
    parity = Parity(n_images=8, max_abs_err=0.0, sqnr_db=None, agreement_pct=100.0)
    assert ParityReport.model_validate(parity).sqnr_db is None
    assert EnvironmentReport.model_validate(environment()).cores >= 1


def test_a_row_is_found_by_artifact_and_batch():
    benchmark = example_report().benchmark
    row = benchmark.row(benchmark.chosen, 8)
    assert (row.runtime, row.batch) == ("openvino", 8)
    assert benchmark.row(benchmark.chosen, 3) is None
    assert benchmark.row(None, 1) is None
    assert len(SHA) == 64
