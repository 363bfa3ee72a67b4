import pytest

from edge_convnext.devices.bench import builders
from edge_convnext.runtimes.tensorrt import open_cuda


@pytest.mark.parametrize(
    ("modules", "gpu", "expected"),
    [
        (("tensorrt",), True, "pip install 'edge-convnext[tensorrt]'"),
        (("tensorrt_rtx",), True, "or 'edge-convnext[cuda]' (cuda-python)"),
        (("tensorrt", "cuda"), True, None),
        (("tensorrt", "pycuda"), True, None),
        (("tensorrt",), False, None),  # nothing would be measured here anyway
        ((), True, None),
    ],
)
def test_what_is_missing_between_tensorrt_and_the_gpu_is_known_before_any_work(
    monkeypatch, modules, gpu, expected
):
    monkeypatch.setattr(builders, "is_installed", lambda name: name in modules)
    monkeypatch.setattr(open_cuda, "find_spec", lambda name: name if name in modules else None)
    monkeypatch.setattr(open_cuda, "has_gpu", lambda: gpu)
    reason = builders.why_no_engines()
    assert (reason is None) is (expected is None)
    assert expected is None or expected in reason
