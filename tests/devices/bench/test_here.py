import pytest
from support.bench_boards import Builder
from support.board_builds import build_tiny

from edge_convnext.cli.build import _measure_here
from edge_convnext.core.errors import (
    BoardError,
)
from edge_convnext.devices.bench import here
from edge_convnext.devices.bench.here import builders_for, measure_here
from edge_convnext.report.contract import Report
from edge_convnext.report.folder import write_report
from edge_convnext.report.manifest import verify_build
from edge_convnext.report.stages import StageReport, VariantReport

pytest.importorskip("torch", reason="the build extra is not installed")


def test_a_build_where_the_gpu_is_measured_on_the_spot(tmp_path, ort_as_gpu):
    folder = build_tiny(tmp_path, gpu=True)
    left = VariantReport(target="tensorrt", status="not_run", reason="builds where it will run")
    stage = StageReport(name="engine", status="not_run", reason=left.reason, variants=(left,))
    built = Report.read(folder / "report.json")
    stages = tuple(stage if one.name == "engine" else one for one in built.stages)
    write_report(built.model_copy(update={"stages": stages}), folder)
    report = measure_here(Report.read(folder / "report.json"), [Builder()])
    [run] = report.boards
    ran = {row.artifact for row in run.benchmark.rows}
    assert {"gpu/int8.b1.onnx tensorrt", "gpu/fp16.b1.onnx tensorrt"} <= ran
    engine = report.stage("engine")
    assert engine.reason == engine.variants[0].reason
    assert engine.reason == f"classic TensorRT built and ran its engines on {run.board.name}"
    assert Report.read(folder / "report.json") == report
    assert {check.state for check in verify_build(folder)} == {"unchanged"}


def test_where_no_gpu_is_nothing_is_measured_and_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(here, "find_builders", lambda: ((), "no TensorRT is installed here"))
    assert builders_for(["cpu", "tensorrt"]) == ((), "no TensorRT is installed here")
    assert builders_for(["cpu"]) == ((), None)  # nobody asked for a GPU
    rtx = Builder(runtime="tensorrt_rtx")
    monkeypatch.setattr(here, "find_builders", lambda: ((rtx,), None))
    assert builders_for(["rtx"]) == ((rtx,), None)
    none = "no TensorRT of the target tensorrt runs here"
    assert builders_for(["tensorrt"]) == ((), none)
    assert builders_for(["rtx", "tensorrt"]) == ((rtx,), none)  # one is measured, the other told


def test_a_build_stands_whatever_its_bench_on_the_spot_does(tmp_path, monkeypatch):
    report = Report.read(build_tiny(tmp_path, gpu=True) / "report.json")

    def fail(*_):
        raise BoardError("the GPU fell off the bus")

    monkeypatch.setattr(here, "builders_for", lambda _: ((Builder(),), None))
    monkeypatch.setattr(here, "measure_here", fail)
    same, errors = _measure_here(report, ["tensorrt"], None, True)
    assert (same, errors) == (report, ["the GPU fell off the bus"])
