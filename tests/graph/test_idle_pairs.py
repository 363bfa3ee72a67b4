import numpy as np
import pytest
from support.tiny_qdq import Builder
from support.written_graphs import branched, draw, forked

from edge_convnext.graph.idle_pairs import drop_idle_pairs
from edge_convnext.graph.placements import PLACEMENTS
from edge_convnext.graph.placer import place
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.roles import describe

BATCHES = [draw(1, 3, 8, 8, seed=seed) for seed in range(2)]


def with_weights(names, make=branched):
    """A graph, all in pairs, but with quantized weights of some products alone."""
    proto = make()
    made = place(proto, describe(proto), PLACEMENTS["closed_gates"], "uint8", BATCHES)
    floats = Wiring(proto)
    for node in made.graph.node:
        if node.name in {one.name for one in describe(proto).products} - set(names):
            own = next(one for one in proto.graph.node if one.name == node.name)
            node.input[1] = own.input[1]
            if not any(one.name == own.input[1] for one in made.graph.initializer):
                made.graph.initializer.append(floats.constants[own.input[1]])
    return made


def left(names):
    made = with_weights(names)
    before = sum(node.op_type == "QuantizeLinear" for node in made.graph.node)
    dropped = drop_idle_pairs(made)
    kept = [n.input[0] for n in made.graph.node if n.op_type == "QuantizeLinear"]
    assert dropped == before - len(kept)
    assert not any("/Dequantize" in name and name not in Wiring(made).producer
                   for node in made.graph.node for name in node.input)  # fmt: skip
    return kept


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ([], []),
        (["stem"], ["images", "relu6"]),
        # The pool runs in INT8 too; SiLU's parts lie beside, and the sum that reads `pooled`.
        (["one"], ["relu6", "pooled", "one", "gate", "silu", "two", "sum"]),
        (["two"], ["pooled", "one", "gate", "silu", "two", "sum"]),
        (["left"], ["pooled", "two", "sum", "left"]),
        (["logits"], ["left", "right", "both", "pool", "flat"]),
    ],
)
def test_a_pair_goes_with_the_last_product_beside_it(names, pairs):
    assert left(names) == pairs


def test_where_all_products_are_quantized_nothing_is_idle():
    made = with_weights(["stem", "one", "two", "left", "right", "logits"])
    before = made.SerializeToString(deterministic=True)
    assert drop_idle_pairs(made) == 0
    assert made.SerializeToString(deterministic=True) == before


def test_a_float_product_reads_what_a_float_product_made_as_it_is():
    made = with_weights(["right", "last"], forked)
    drop_idle_pairs(made)
    read = {node.name: node.input[0] for node in made.graph.node}
    assert (read["left"], read["right"]) == ("relu", "relu/Dequantize")
    made = with_weights(["stem", "right", "last"], forked)
    drop_idle_pairs(made)
    assert {node.name: node.input[0] for node in made.graph.node}["left"] == "relu/Dequantize"


def test_it_reads_it_where_it_read_the_pair_and_its_other_factor_stays():
    build = Builder()
    weight = build.constant("w", np.eye(4, dtype=np.float32))
    grid = [build.constant("s", np.float32(0.1)), build.constant("z", np.int8(0))]
    stored = [build.constant("q", np.eye(4, dtype=np.int8)), *grid]
    values = build.node("MatMul", ["images", weight], "values")
    pair = build.node("DequantizeLinear", [build.node("QuantizeLinear", [values, *grid], "v_q"),
                                           *grid], "v_dq")  # fmt: skip
    scores = build.node("Softmax", ["images"], "scores")
    mixed = build.node("MatMul", [scores, pair], "mixed")
    other = build.node(
        "MatMul", [pair, build.node("DequantizeLinear", stored, "q_dq")], "quantized"
    )
    made = build.model({"images": [1, 4, 4]}, build.node("Add", [mixed, other], "y"), 3)
    assert drop_idle_pairs(made) == 0
    read = {node.output[0]: list(node.input) for node in made.graph.node}
    assert (read["mixed"], read["quantized"]) == (["scores", "values"], ["v_dq", "q_dq"])
