"""The README's main line, from nothing: train the demo, build it, read the verdict."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from edge_convnext.core.files import sha256_file
from edge_convnext.report.contract import Report


@pytest.mark.slow
def test_the_demo_builds_a_measured_int8_model(tmp_path):
    code = "from edge_convnext.cli import main; main()"
    line = ["build", "--model", "atto", "--precision", "int8"]
    line += ["--rounds", "4", "--batch", "1"]  # how fast it is here is not what is tested
    result = subprocess.run(
        [sys.executable, "-c", code, *line],
        cwd=tmp_path,
        env={**os.environ, "EDGE_CONVNEXT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "demo" in result.stderr
    folder = tmp_path / "build" / "atto-int8"
    report = Report.read(folder / "report.json")
    assert report.banner is not None
    assert report.accuracy.fp32.top1_pct >= 97.0
    assert report.accuracy.top1_drop_pp <= 0.5
    assert report.accuracy.agreement_pct >= 99.0
    # 24 pointwise convolutions and 3 of downsampling: the plan leaves stem and head in float.
    assert report.stage("quantize").variants[0].quantized_ops == 27
    for file in report.outputs:
        assert sha256_file(folder / file.path) == file.sha256
    assert {"calibration.csv", "model.fp32.onnx", "model.int8.onnx", "predictions.csv"} <= {
        file.path for file in report.outputs
    }
    json.loads((folder / "report.json").read_text())
