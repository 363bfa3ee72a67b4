"""Which attention has as many heads as tokens, and a Transpose that moves them."""

import pytest
from support.miscomputed import (
    ATTENTIONS_RIGHT,
    ATTENTIONS_WRONG,
    ATTENTIONS_WRONG_IN_BF16,
    attention_graph,
)

from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.square_attention import find_square_attention

WRONG = {**ATTENTIONS_WRONG, **ATTENTIONS_WRONG_IN_BF16}


def found(proto):
    return list(find_square_attention(proto, Wiring(proto)))


@pytest.mark.parametrize("name", WRONG)
def test_attention_of_as_many_heads_as_tokens_is_found(name):
    (one,) = found(attention_graph(WRONG[name]))
    assert one.softmax.op_type == "Softmax"
    assert (one.first.op_type, one.second.op_type) == ("MatMul", "MatMul")
    assert len(one.transposes) == (2 if name in ATTENTIONS_WRONG_IN_BF16 else 1)
    for move in one.transposes:
        assert list(move.attribute[0].ints) == [0, 2, 1, 3]


def test_the_transposes_are_those_of_the_first_factor_and_of_the_result():
    (one,) = found(attention_graph(WRONG["keys and values moved too"]))
    assert one.transposes[0].input[0] == one.second.output[0]
    (one,) = found(attention_graph(WRONG["moved before"]))
    assert one.transposes[0].output[0] != one.first.input[0]  # a factor is in between
    (one,) = found(attention_graph(WRONG["all moved"]))
    before, behind = one.transposes
    assert (before.output[0], behind.input[0]) == (one.first.input[0], one.second.output[0])


@pytest.mark.parametrize("name", ATTENTIONS_RIGHT)
def test_its_neighbours_are_not(name):
    assert found(attention_graph(ATTENTIONS_RIGHT[name])) == []


def test_it_is_found_where_the_batch_is_dynamic():
    proto = attention_graph(WRONG["moved behind"])
    del proto.graph.value_info[:]
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    assert len(found(proto)) == 1
