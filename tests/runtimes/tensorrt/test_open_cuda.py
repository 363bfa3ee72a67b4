import sys

import pytest

from edge_convnext.core.errors import MissingDependencyError
from edge_convnext.runtimes.tensorrt import open_cuda as module
from edge_convnext.runtimes.tensorrt.open_cuda import has_gpu


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], False),
        (["dev/null", "dev/nvram"], False),
        (["dev/nvidia0", "dev/nvidiactl"], True),  # a PC
        (["proc/driver/nvidia/version"], True),
        (["dev/nvhost-gpu", "dev/nvmap"], True),  # a Jetson
        (["dev/dxg"], True),  # WSL
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="these are Linux's files")
def test_a_gpu_is_seen_by_its_drivers_files(tmp_path, files, found):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert has_gpu(tmp_path) is found


@pytest.mark.parametrize(
    ("gpu", "said"), [(False, "^no NVIDIA GPU was found here"), (True, "needs CUDA from Python")]
)
def test_bindings_are_advised_only_where_there_is_a_gpu(monkeypatch, gpu, said):
    monkeypatch.setattr(module, "has_gpu", lambda: gpu)
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    module.open_cuda.cache_clear()
    with pytest.raises(MissingDependencyError, match=said):
        module.open_cuda()
