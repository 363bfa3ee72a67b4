from types import SimpleNamespace

import pytest

from edge_convnext.core.errors import (
    MissingDependencyError,
)
from edge_convnext.runtimes.tensorrt import api as api_module
from edge_convnext.runtimes.tensorrt.api import is_installed, open_api


@pytest.mark.skipif(is_installed("tensorrt"), reason="TensorRT is installed")
def test_without_tensorrt_it_says_where_it_comes_from():
    with pytest.raises(MissingDependencyError, match="comes with JetPack"):
        open_api("tensorrt")


def test_tensorrt_8_5_is_told_to_use_onnx_runtime(monkeypatch):
    old = SimpleNamespace(__version__="8.5.2.2")
    monkeypatch.setattr(api_module, "import_module", lambda name: old)
    open_api.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"8\.5\.2\.2 has no LayerNormalization"):
        open_api("tensorrt")
