"""What the tests of this folder share."""

import pytest

from edge_convnext.devices.bench import bench_bundle
from edge_convnext.measure import benchmark as benchmark_module
from edge_convnext.measure import candidates as candidates_module


@pytest.fixture(autouse=True)
def without_children(monkeypatch):
    """`measured`, which is made before this, has its memory measured; once is enough."""
    monkeypatch.setattr(benchmark_module, "try_memory", lambda *_: None)


@pytest.fixture(scope="module")
def measured(root):
    """One bench of the bundle: its report and folder."""
    from support.bench_boards import ORT  # it needs torch, and a conftest may not

    return bench_bundle(root / "tiny.ecb", root / "b1", ORT), root / "b1"


@pytest.fixture
def ort_as_gpu(monkeypatch):
    """ONNX Runtime runs what `Builder` copied."""
    from edge_convnext.runtimes.load import load_runtime

    def load(name, path, options=None):
        return load_runtime("onnxruntime" if name == "tensorrt" else name, path, options)

    monkeypatch.setattr(candidates_module, "load_runtime", load)
