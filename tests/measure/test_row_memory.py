"""Memory of candidates that were timed goes into their rows, and costs no race where it fails."""

from support.races import QUICK, candidates_of
from support.tiny_graph import make_images, write_graph

from edge_convnext.core.errors import InferenceError
from edge_convnext.measure import row_memory as module
from edge_convnext.measure.benchmark import benchmark
from edge_convnext.measure.memory import PeakMemory


def test_memory_is_added_to_the_rows_of_those_that_are_left(tmp_path, monkeypatch):
    pair = candidates_of(write_graph(tmp_path / "g.onnx"), "a", "b")
    result = benchmark(pair, make_images(2), QUICK, measure_memory=False)
    asked = []

    def measure(runtime, path, images, options):
        asked.append((runtime, path, images.shape[0], options.threads))
        return PeakMemory(5, 7)

    monkeypatch.setattr(module, "measure_peak_memory", measure)
    found = module.add_memory(result, pair[1:], make_images(2))
    batch = result.rows[0].batch
    assert asked == [(pair[1].runtime, pair[1].model.path, batch, 1)]
    assert [row.peak_memory_bytes for row in found.rows] == [None, 7]
    assert found.rows[0] is result.rows[0]


def test_what_can_not_be_measured_is_left_out_with_a_warning(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise InferenceError("killed")

    monkeypatch.setattr(module, "measure_peak_memory", fail)
    (one,) = candidates_of(write_graph(tmp_path / "g.onnx"), "a")
    assert module.try_memory(one, make_images(1), 1) is None
    assert "killed" in caplog.text
