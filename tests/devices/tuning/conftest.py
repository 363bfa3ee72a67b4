"""What the tests of this folder share."""

import pytest

from edge_convnext.devices.tuning import entrants
from edge_convnext.measure import candidates as candidates_module
from edge_convnext.measure.memory import PeakMemory


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    pytest.importorskip("torch", reason="the build extra is not installed")
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def search(root):
    """The bundle of a search for a CPU."""
    from support.board_searches import write_tiny_search  # it needs torch, and a conftest may not

    return write_tiny_search(root)


@pytest.fixture
def without_children(monkeypatch):
    """Each graph is taken to run alone, in 100 MB."""
    tried = []

    def measure(runtime, path, images, options):
        tried.append(path.name)
        return PeakMemory(50_000_000, 100_000_000)

    monkeypatch.setattr(entrants, "measure_peak_memory", measure)
    return tried


@pytest.fixture
def ort_as_gpu(monkeypatch):
    """ONNX Runtime runs what `Builder` copied."""
    from edge_convnext.runtimes.load import load_runtime

    def load(name, path, options=None):
        return load_runtime("onnxruntime" if name == "tensorrt" else name, path, options)

    monkeypatch.setattr(candidates_module, "load_runtime", load)
