from types import SimpleNamespace as Of

import pytest
from support.fake_tensorrt import DEVICE

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


def test_a_builder_asks_for_its_memory_at_each_build(monkeypatch, tmp_path):
    seen = []
    free = iter([512, None])
    facts = Of(facts=lambda: DEVICE)
    monkeypatch.setattr(builders, "is_installed", lambda name: name == "tensorrt")
    monkeypatch.setattr(builders, "why_no_cuda", lambda: None)
    monkeypatch.setattr(builders, "open_api", lambda name: Of(version="10.3.0"))
    monkeypatch.setattr(builders, "open_cuda", lambda: facts)
    monkeypatch.setattr(builders, "build_engine", lambda *given: seen.append(given[2]))
    ((builder,), reason) = builders.find_builders(lambda: next(free))
    for _ in range(2):
        builder.build(None, tmp_path, tmp_path, "int8", tmp_path / "cache")
    assert reason is None
    assert [one.workspace_mib for one in seen] == [512, None]
    assert {one.timing_cache for one in seen} == {tmp_path / "cache"}
