"""Lint of a graph that is written down."""

import onnx
import onnx.reference

from edge_convnext.runtimes.lint import lint


def lint_graph(tmp_path, model, target):
    path = tmp_path / "graph.onnx"
    onnx.save(model, path)
    return lint(path, target)
