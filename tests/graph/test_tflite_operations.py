"""The kinds of operations that are written for LiteRT, and the table of how."""

from __future__ import annotations

from support.litert_graphs import make_graph, node

from edge_convnext.graph.tflite.operations.table import WRITERS
from edge_convnext.graph.tflite_operations import WRITTEN, unwritable_nodes


def test_each_kind_has_a_writer_and_each_writer_is_told_of():
    assert set(WRITERS) == WRITTEN


def test_other_kinds_and_other_domains_are_found():
    proto = make_graph(node("Relu", "images", out="r"), node("Erf", "r"))
    assert [one.op_type for one in unwritable_nodes(proto)] == ["Erf"]
    proto.graph.node[0].domain = "com.microsoft"
    assert [one.op_type for one in unwritable_nodes(proto)] == ["Relu", "Erf"]
