from __future__ import annotations

import numpy as np
import pytest
from support.races import QUICK, candidates_of
from support.tiny_graph import make_images, write_graph

from edge_convnext.core.errors import InferenceError
from edge_convnext.measure import row_memory as module
from edge_convnext.measure.benchmark import (
    benchmark,
)
from edge_convnext.measure.memory import measure_peak_memory, peak_resident_bytes
from edge_convnext.runtimes import RuntimeOptions


def test_peak_memory_is_that_of_the_model_and_not_of_this_process(tmp_path):
    ballast = np.ones(300 << 17)  # 300 MiB, touched
    path = write_graph(tmp_path / "g.onnx")
    (row,) = benchmark(candidates_of(path, "a"), make_images(1), QUICK).rows
    assert peak_resident_bytes() > ballast.nbytes
    assert 0 < row.baseline_memory_bytes < row.peak_memory_bytes < ballast.nbytes


def test_peak_memory_that_can_not_be_measured_costs_no_timing(tmp_path, monkeypatch, caplog):
    def fail(*arguments):
        raise InferenceError("the child was killed")

    monkeypatch.setattr(module, "measure_peak_memory", fail)
    path = write_graph(tmp_path / "g.onnx")
    (row,) = benchmark(candidates_of(path, "a"), make_images(1), QUICK).rows
    assert (row.peak_memory_bytes, row.baseline_memory_bytes) == (None, None)
    assert row.latency_ms_p50 > 0
    assert "the child was killed" in caplog.text


def test_a_child_that_fails_is_told_in_one_line(tmp_path):
    (tmp_path / "g.onnx").write_bytes(b"")
    with pytest.raises(
        InferenceError, match=r"g\.onnx: peak memory in onnxruntime can't"
    ) as caught:
        measure_peak_memory(
            "onnxruntime", tmp_path / "g.onnx", make_images(1), RuntimeOptions(threads=1)
        )
    assert "\n" not in str(caught.value)
