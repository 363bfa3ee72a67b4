"""What `benchmarks/other_cpus.py` makes and judges; nothing is emulated here."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.tiny_qdq import quantized_product

from benchmarks.other_cpus import Job, _passed, run_jobs, write_seven_bits


def weights_of(path):
    found = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    return found["weight"], found["weight_scale"], found["scale"]


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_weights_of_seven_bits_have_their_scales_and_activations_keep_theirs(tmp_path, kind):
    zero = 128 if kind is np.uint8 else 0
    onnx.save(quantized_product(weight=kind, weight_zero=zero), tmp_path / "g.onnx")
    write_seven_bits(tmp_path / "g.onnx", tmp_path / "few.onnx")
    before, after = weights_of(tmp_path / "g.onnx"), weights_of(tmp_path / "few.onnx")
    values = [(one[0].astype(np.float32) - zero) * one[1] for one in (before, after)]
    assert np.abs(after[0].astype(int) - zero).max() <= 64
    np.testing.assert_allclose(values[1], values[0], atol=1.01 * float(before[1].max()))
    assert after[2] == before[2]


def test_a_graph_that_does_not_run_is_a_row_with_its_reason(tmp_path):
    onnx.save(quantized_product(), tmp_path / "g.onnx")
    np.save(tmp_path / "images.npy", np.zeros((2, 4, 4, 8), np.float32))
    jobs = [
        Job("g", str(tmp_path / "g.onnx"), "int8", "onnxruntime"),
        Job("gone", str(tmp_path / "gone.onnx"), "int8", "onnxruntime"),
    ]
    found = run_jobs(jobs, tmp_path / "images.npy", tmp_path)
    assert found["gone onnxruntime"]["error"].endswith("`edge-convnext build` wrote")


def test_each_runtime_needs_a_graph_that_is_whole():
    row = {"found": 2, "planned": ["a", "b"]}
    rows = {"x onnxruntime": row, "y openvino": {"error": "no"}}
    assert _passed(rows, ["onnxruntime"])
    assert not _passed(rows, ["onnxruntime", "openvino"])
    rows["y openvino"] = {**row, "found": 1}
    assert not _passed(rows, ["openvino"])
    rows["z openvino"] = {"found": 0, "planned": []}
    assert not _passed(rows, ["openvino"])
