"""What the tests of this folder share."""

import pytest
from support.deployables import ship, write_engine, write_graph


@pytest.fixture
def build(tmp_path):
    """A build with an ONNX model, an engine of each runtime, and the graph of the engines."""
    folder = tmp_path / "build"
    graph = write_graph(folder / "model.int8.onnx")
    write_graph(folder / "model.fp32.onnx", labels=())
    write_engine(folder / "model.int8.rtx.engine", graph, "tensorrt_rtx")
    write_engine(folder / "model.int8.engine", graph)
    ship(folder, "int8")
    return folder
