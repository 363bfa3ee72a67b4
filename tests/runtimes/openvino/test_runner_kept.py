"""Compiled graphs in the cache: imported the second time, and never a reason to fail."""

import numpy as np
import pytest
from support.tiny_graph import expected_logits, make_images, write_graph

from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.openvino import runner

IMAGES = make_images(3)


@pytest.fixture
def compiled(monkeypatch):
    """Batch sizes of the graphs that were compiled, rather than imported."""
    calls = []
    real = runner._compile

    def count(core, path, batch, options):
        calls.append(batch)
        return real(core, path, batch, options)

    monkeypatch.setattr(runner, "_compile", count)
    return calls


def load(path, cache, **options):
    return load_runtime("openvino", path, RuntimeOptions(cache=cache, **options))


def right(runtime):
    np.testing.assert_allclose(runtime.infer(IMAGES), expected_logits(IMAGES), atol=1e-5)


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_the_second_load_imports_what_the_first_compiled(tmp_path, compiled, batch):
    path, cache = write_graph(tmp_path / "g.onnx"), tmp_path / "cache"
    for _ in range(2):
        runtime = load(path, cache, batch=batch)
        right(runtime)
        assert runtime.describe().batch == batch
    assert compiled == [batch]
    (usage,) = Cache(cache).usage()
    assert (usage.stage, usage.entries) == ("openvino", 1)


def test_what_decides_the_result_decides_the_key(tmp_path, compiled):
    path, cache = write_graph(tmp_path / "g.onnx"), tmp_path / "cache"
    other = tmp_path / "other.onnx"
    other.write_bytes(path.read_bytes())
    load(path, cache, threads=1)
    load(other, cache, threads=1)  # the content counts, not the name
    assert len(compiled) == 1
    load(path, cache, threads=2)
    load(path, cache, threads=1, batch=2)
    load(path, cache, threads=1, settings=(("PERFORMANCE_HINT", "THROUGHPUT"),))
    load(write_graph(tmp_path / "two.onnx", batch=2), cache, threads=1)
    assert len(compiled) == 5


def test_without_a_folder_nothing_is_kept(tmp_path, compiled):
    path = write_graph(tmp_path / "g.onnx")
    for _ in range(2):
        right(load_runtime("openvino", path))
    assert len(compiled) == 2


def test_a_damaged_file_is_made_again(tmp_path, compiled):
    path, cache = write_graph(tmp_path / "g.onnx"), tmp_path / "cache"
    load(path, cache)
    (blob,) = cache.glob("openvino/*/compiled.blob")
    blob.write_bytes(blob.read_bytes()[:-100])
    right(load(path, cache))
    right(load(path, cache))
    assert len(compiled) == 2


def test_a_kept_graph_that_openvino_does_not_take_is_compiled(tmp_path, compiled, monkeypatch):
    path, cache = write_graph(tmp_path / "g.onnx"), tmp_path / "cache"
    load(path, cache)
    core = runner.shared_core()

    class Refusing:
        def __getattr__(self, name):
            return getattr(core, name)

        def import_model(self, *_):
            raise RuntimeError("another build")

    monkeypatch.setattr(runner, "shared_core", Refusing)
    right(load(path, cache))
    assert len(compiled) == 2


def test_a_cache_that_can_not_be_written_is_no_reason_to_fail(tmp_path, compiled):
    path, cache = write_graph(tmp_path / "g.onnx"), tmp_path / "cache"
    cache.write_text("a file is in the way")
    right(load(path, cache))
    assert len(compiled) == 1


def test_a_graph_that_can_not_be_compiled_is_refused_as_ever(tmp_path):
    path = tmp_path / "g.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(InferenceError, match="can't compile this graph"):
        load(path, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("openvino/*"))
