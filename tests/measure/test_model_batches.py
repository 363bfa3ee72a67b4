from types import SimpleNamespace

import pytest
from support.tiny_graph import write_graph

from edge_convnext.core.errors import ArtifactError
from edge_convnext.measure import model_batches
from edge_convnext.measure.model_batches import usual_batches


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A file that is an engine of one batch size, or of a profile up to `most`."""
    facts = {}

    def make(name, batch, most=8):
        path = tmp_path / name
        facts[path] = SimpleNamespace(batch=batch, max_batch=most)
        return path

    monkeypatch.setattr(model_batches, "is_engine_file", lambda path: path in facts)
    monkeypatch.setattr(model_batches, "read_facts", facts.__getitem__)
    return make


def test_graphs_of_one_batch_are_timed_at_it_and_two_such_do_not_race(tmp_path):
    graphs = [write_graph(tmp_path / f"b{batch}.onnx", batch) for batch in (2, 2, 3)]
    assert usual_batches([*graphs[:2], write_graph(tmp_path / "free.onnx")]) == (2,)
    with pytest.raises(ArtifactError, match=r"b3\.onnx: is of batch 3, and .*b2\.onnx of batch 2"):
        usual_batches(graphs)


def test_a_size_that_every_engine_holds_is_timed(tmp_path, engine):
    graph = write_graph(tmp_path / "free.onnx")
    some = [graph, engine("a", None, 16), engine("b", None, 4)]
    assert usual_batches(some) == (1, 4)
    assert usual_batches([graph]) == usual_batches([]) == (1, 8)


def test_an_engine_of_one_size_and_a_graph_of_another_do_not_race(tmp_path, engine):
    graph, one = write_graph(tmp_path / "b2.onnx", 2), engine("b3.engine", 3)
    with pytest.raises(ArtifactError, match=r"b3\.engine: is of batch 3, and .*b2\.onnx of batch"):
        usual_batches([graph, one])
    assert usual_batches([one, engine("free", None, 4)]) == (3,)


def test_a_model_of_one_batch_is_asked_for_that_alone(tmp_path, engine):
    graph, free = write_graph(tmp_path / "b2.onnx", 2), write_graph(tmp_path / "free.onnx")
    model_batches.check_batches([graph, free, engine("b2.engine", 2), engine("e", None)], [2])
    model_batches.check_batches([free], [1, 8])
    for sizes in ([1], [1, 2], [2, 8]):
        with pytest.raises(ArtifactError, match=r"b2\.onnx: is of batch 2 alone; pass --batch 2$"):
            model_batches.check_batches([free, graph], sizes)
