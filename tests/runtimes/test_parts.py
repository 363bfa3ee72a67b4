from pathlib import Path

from onnx import helper
from support.written_networks import gated

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.parts import PLAIN, Parts
from edge_convnext.runtimes import parts as module
from edge_convnext.runtimes.parts import parts_of_graph

PATH = Path("g.onnx")


def named(model):
    proto = gated()
    info = ModelInfo(model, 5, 3, (), Preprocess(), "random", "0" * 64, None)
    helper.set_model_props(proto, info.to_metadata())
    return proto


def test_a_convnext_has_its_own_parts_and_a_graph_of_none_has_none():
    assert parts_of_graph(named("convnextv2_atto"), PATH) is FAMILY.parts
    assert parts_of_graph(gated(), PATH) is PLAIN
    assert parts_of_graph(named("of nobody"), PATH) is PLAIN


def test_where_names_tell_nothing_the_graph_does(monkeypatch):
    class Family:
        parts = Parts(("other",), frozenset(), lambda _name: None, by_role=True)

    monkeypatch.setattr(module, "family_of_graph", lambda _proto, _path: Family)
    parts = parts_of_graph(gated(), PATH)
    assert parts.by_role
    assert parts.of_node("stem/Conv") == "first"
    assert parts.of_node("dw/Conv") == "stage 1 depthwise"
    assert parts.of_node("logits/Gemm") == "last"
    assert {"quantize", "reorder", "other"} < set(parts.names)
