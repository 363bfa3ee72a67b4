"""Operations that can't be written for LiteRT, as its lint names them."""

from __future__ import annotations

import onnx
from support.litert_graphs import make_graph, node

from edge_convnext.runtimes.lint import lint


def test_what_can_be_written_has_no_findings(tmp_path):
    onnx.save(make_graph(node("Relu", "images")), tmp_path / "g.onnx")
    assert lint(tmp_path / "g.onnx", "litert") == ()


def test_what_can_not_is_a_warning_with_its_node(tmp_path):
    onnx.save(make_graph(node("Erf", "images")), tmp_path / "g.onnx")
    (found,) = lint(tmp_path / "g.onnx", "litert")
    assert (found.rule, found.severity, found.node) == ("unwritable", "warning", "n/y/Erf")


def test_a_model_of_litert_was_checked_when_it_was_written(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    assert lint(tmp_path / "m.tflite", "litert") == ()
    assert lint(tmp_path / "m.tflite", "openvino") == ()
