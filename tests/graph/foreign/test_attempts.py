import numpy as np
import pytest
from support.own_files import CLASSES, SIZE, Own

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign import attempts
from edge_convnext.graph.foreign.attempts import MAX_ERROR, rewrite_exactly
from edge_convnext.graph.foreign.entrance import find_entrance
from edge_convnext.graph.foreign.exit import Exit
from edge_convnext.graph.foreign.source import bare_graph, keep_inputs, source_graph
from edge_convnext.graph.foreign.truth import Truth
from edge_convnext.networks.operations import OPERATIONS


@pytest.fixture
def begun():
    proto = Own().make()
    keep_inputs(proto)
    entrance = find_entrance(proto.graph)
    truth = Truth(proto, entrance, (SIZE, SIZE))
    last = proto.graph.output[0].name
    leaves = Exit(last, CLASSES, True, (), (last,), ((),))
    truth.logits = truth.run(source_graph(proto, entrance, leaves, (SIZE, SIZE, None)), None)
    return bare_graph(proto, entrance, leaves, (SIZE, SIZE, 1)), truth


def kinds(made):
    return [node.op_type for node in made.proto.graph.node]


def test_the_logits_stay(begun):
    made = rewrite_exactly(*begun, OPERATIONS, True)
    assert made.error <= MAX_ERROR
    assert made.batch is None
    assert made.kinds == ("HardSwish x2",)


def test_a_rewrite_that_changes_the_logits_is_not_taken(begun, monkeypatch):
    def wrong(proto):
        for node in proto.graph.node:
            if node.op_type == "Clip":
                node.op_type = "Max"
        return {"Wrong": 1}

    monkeypatch.setattr(attempts, "recognise", wrong)
    made = rewrite_exactly(*begun, OPERATIONS, True)
    assert made.error <= MAX_ERROR
    assert made.kinds == ()
    assert "Clip" in kinds(made)


def test_what_no_way_keeps_is_refused_with_the_figure(begun, monkeypatch):
    graph, truth = begun
    truth.logits = truth.logits + np.float32(0.5)
    with pytest.raises(ArtifactError, match=r"the logits change by \d\.\de-0\d of the largest"):
        rewrite_exactly(graph, truth, OPERATIONS, True)


def test_a_graph_that_mixes_the_images_keeps_its_batch(begun, monkeypatch):
    graph, truth = begun
    monkeypatch.setattr(attempts, "free_batch", lambda proto: None)
    made = rewrite_exactly(graph, truth, OPERATIONS, True)
    assert made.batch == 1
    assert made.error <= MAX_ERROR


def test_operations_outside_of_the_list_are_refused(begun):
    graph, truth = begun
    with pytest.raises(ArtifactError, match="has the operation Conv"):
        rewrite_exactly(graph, truth, OPERATIONS - {"Conv"}, True)
