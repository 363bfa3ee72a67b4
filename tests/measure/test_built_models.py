import pytest
from support.profiled import ONE_THREAD
from support.tiny_graph import write_graph

from edge_convnext.core.errors import InferenceError
from edge_convnext.measure.profile import profile
from edge_convnext.runtimes import RuntimeOptions


def test_another_batch_size_than_the_exported_is_refused(tmp_path):
    path = write_graph(tmp_path / "static.onnx", batch=2)
    assert profile(path, "onnxruntime", RuntimeOptions(threads=1), rounds=1).batch == 2
    with pytest.raises(InferenceError, match="pass --batch 2"):
        profile(path, "onnxruntime", ONE_THREAD, rounds=1)
