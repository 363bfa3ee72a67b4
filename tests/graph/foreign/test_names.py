from support.own_files import Own

from edge_convnext.graph.foreign.attempts import rewritten
from edge_convnext.graph.foreign.entrance import find_entrance
from edge_convnext.graph.foreign.exit import Exit
from edge_convnext.graph.foreign.index import inline_constants
from edge_convnext.graph.foreign.names import name_by_place
from edge_convnext.graph.foreign.source import bare_graph, keep_inputs


def test_nodes_values_and_weights_are_named_by_their_place():
    proto = Own().make()
    keep_inputs(proto)
    inline_constants(proto.graph)
    last = proto.graph.output[0].name
    begun = bare_graph(
        proto, find_entrance(proto.graph), Exit(last, 5, True, (), (last,), ((),)), (16, 16, 1)
    )
    made, _ = rewritten(begun, True, True)
    name_by_place(made)
    assert [node.name for node in made.graph.node] == [
        "stages.0.0/Conv", "stages.0.0/HardSwish", "stages.0.1/Conv", "stages.0.1/HardSwish",
        "stages.0.1/GlobalAveragePool", "stages.0.1/Reshape", "head/MatMul", "head/Add",
    ]  # fmt: skip
    values = [node.output[0] for node in made.graph.node]
    assert values == [*(node.name for node in made.graph.node[:-1]), "logits"]
    assert {one.name for one in made.graph.initializer} >= {
        "stages.0.0/Conv.weight", "stages.0.0/Conv.bias", "head/MatMul.weight",
    }  # fmt: skip
    assert made.graph.input[0].name == "images"
    assert not made.graph.value_info
