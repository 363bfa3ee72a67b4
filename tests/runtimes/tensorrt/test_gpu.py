"""An engine built and run: on a machine with an NVIDIA GPU, TensorRT and CUDA from Python."""

from importlib.util import find_spec

import numpy as np
import pytest
from support.small_exports import export_tiny as export
from support.small_exports import infer, make_images, place_export

from edge_convnext.runtimes.load import load_runtime, runtime_names
from edge_convnext.runtimes.tensorrt import TensorRtConfig, build_engine
from edge_convnext.runtimes.tensorrt.api import open_api
from edge_convnext.runtimes.tensorrt.open_cuda import why_no_cuda
from edge_convnext.stages.to_opset17 import use_opset_17

WHY_NOT = "TensorRT is not installed" if find_spec("tensorrt") is None else why_no_cuda()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_engine_computes_what_its_graph_says(tmp_path, precision):
    images = make_images(5)
    model = export("linear", tmp_path)
    if precision == "int8":
        model = place_export(model, [images])
    if not open_api("tensorrt").is_typed:
        model = use_opset_17(model, tmp_path / "opset17.onnx")
    config = TensorRtConfig(timing_cache=tmp_path / "timings", max_batch=4)
    engine = build_engine(model.path, tmp_path / "m.engine", config)
    runner = load_runtime("tensorrt", engine.path)
    expected = infer(model.path, images)
    np.testing.assert_allclose(runner.infer(images), expected, atol=0.05 * np.abs(expected).max())
    assert runner.describe().options["cuda_graph"] == "on"
    assert all(ms > 0 for ms in runner.time_launches(4, 10))
    assert "tensorrt" in runtime_names("engines")
