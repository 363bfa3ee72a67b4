import pytest
from support.tiny_qdq import Builder

from edge_convnext.graph.norms import NORMS, is_norm
from edge_convnext.graph.structure import read_structure


def reads(kind, *, subtracted=False):
    """The node that reads a map, and the graph's structure."""
    build = Builder()
    x = build.node("Relu", ["images"], "x")
    y = build.node(kind, [x], "y")
    if subtracted:
        y = build.node("Sub", [x, y], "z")
    seen = read_structure(build.model({"images": [1, 4, 6, 6]}, y, 4))
    return seen, next(node for node in seen.nodes if node.name == f"y/{kind}")


@pytest.mark.parametrize(
    ("kind", "subtracted", "found"),
    [
        ("ReduceMean", True, True), ("ReduceMean", False, False), ("ReduceL2", False, True),
        ("LpNormalization", False, True), ("Sigmoid", False, False), ("ReduceMax", True, False),
    ],
)  # fmt: skip
def test_a_norm_is_an_operation_or_begins_with_a_mean_that_is_subtracted(kind, subtracted, found):
    seen, node = reads(kind, subtracted=subtracted)
    assert is_norm(seen, node, "x") is found


def test_they_are_norms_of_onnx():
    import onnx

    assert all(onnx.defs.has(name) for name in NORMS)
