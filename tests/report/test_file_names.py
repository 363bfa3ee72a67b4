from pathlib import Path

from edge_convnext.report.file_names import REPORT, gpu_graph_name


def test_files_have_their_usual_names():
    assert REPORT == "report.json"
    assert gpu_graph_name(Path("cache/x/int8.b1.onnx")) == "gpu/int8.b1.onnx"
