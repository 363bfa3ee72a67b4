import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_convnext.runtimes import tensorrt
from edge_convnext.runtimes.tensorrt import TensorRtConfig


@dataclass(frozen=True)
class Built:
    path: Path
    precision: str
    builder: str
    build_seconds: float


@pytest.fixture
def built(call, monkeypatch):
    seen = {}

    def build_engine(onnx, output, config, precision, say):
        say("building")
        seen.update(onnx=onnx, output=output, config=config, precision=precision)
        output.write_bytes(b"engine" * 500_000)
        return Built(output, "int8", "TensorRT 10.3", 12.4)

    monkeypatch.setattr(tensorrt, "build_engine", build_engine)

    def run(*flags):
        code, out, err = call("engine", "model.onnx", *flags)
        assert code == 0
        return seen, out, err

    return run


def test_an_engine_goes_beside_its_model_with_settings_of_tensorrt(built):
    seen, out, err = built()
    assert (seen["onnx"], seen["output"]) == (Path("model.onnx"), Path("model.engine"))
    assert (seen["config"], seen["precision"]) == (TensorRtConfig(), None)
    assert out == "model.engine: int8, 3.0 MB, TensorRT 10.3, built in 12 s\n"
    assert err == "building\n"


def test_every_flag_reaches_the_builder(built):
    seen, out, err = built(
        "--output", "x.engine", "--precision", "fp16", "--timing-cache", "t.cache",
        "--workspace-mb", 64, "--optimization-level", 5, "--version-compatible",
        "--hardware-compatible", "--max-batch", 16, "--opt-batch", 2, "--timeout-s", 9, "--json",
    )  # fmt: skip
    assert (seen["output"], seen["precision"]) == (Path("x.engine"), "fp16")
    assert seen["config"] == TensorRtConfig(
        workspace_mib=64, timing_cache=Path("t.cache"), optimization_level=5,
        version_compatible=True, hardware_compatible=True, opt_batch=2, max_batch=16, timeout_s=9,
    )  # fmt: skip
    assert err == ""
    document = json.loads(out)
    assert (document["path"], document["build_seconds"]) == ("x.engine", 12.4)


def test_an_engine_does_not_replace_its_model(call, tmp_path):
    (tmp_path / "m.onnx").write_text("mine")
    code, out, err = call("engine", "m.onnx", "-o", "./m.onnx")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "is read by this command" in err
    assert (tmp_path / "m.onnx").read_text() == "mine"
