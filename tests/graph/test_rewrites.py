import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from support.tiny_qdq import Builder
from support.written_networks import attention, gated, normal

from edge_convnext.graph.rewrites import fold_affines

C = 5
MAP, TOKENS = normal(2, 3, 6, 6), normal(2, 7, 3)
ROW = np.abs(normal(C)) + 0.5


# What may be added behind a product: a bias, and what is none.
ADDED = {"added": None, "number": (), "one": (1,), "along": (4,), "whole": (1, 1, 4, 4)}


def product(kind, *, bias, behind, constants, swap=False, flat=False, beta=1.0, **attributes):
    """A product, perhaps its bias as an addition, and what stands behind it."""
    build = Builder()
    images = MAP if kind == "Conv" else TOKENS[0] if kind == "Gemm" or flat else TOKENS
    shape = {"Conv": (C, 3, 3, 3), "Gemm": (C, 3), "MatMul": (3, C)}[kind]
    names = ["images", build.constant("w", normal(*shape))]
    if bias == "own":
        names.append(build.constant("b", normal(C)))
    named = {"transB": 1, "beta": beta} if kind == "Gemm" else {}
    x = build.node(kind, names, "p", **named)
    if bias in ADDED:
        usual = (C, 1, 1) if kind == "Conv" else (C,)
        row = normal(*(usual if ADDED[bias] is None else ADDED[bias]))
        x = build.node("Add", [build.constant("b", row), x], "a")
    given = [build.constant(f"c{at}", one) for at, one in enumerate(constants)]
    y = build.node(behind, [*given, x] if swap else [x, *given], "y", **attributes)
    y = build.node("Relu", [y], "z")
    return build.model({"images": list(images.shape)}, y, images.ndim), images


def run(proto, images):
    return ReferenceEvaluator(proto).run(None, {"images": images})[0]


BATCH_NORM = [ROW, normal(C), normal(C), ROW]
CASES = {
    f"{kind} {bias} {behind}": product(kind, bias=bias, behind=behind, constants=constants, **named)
    for kind, shape in (("Conv", (C, 1, 1)), ("Gemm", (C,)), ("MatMul", (C,)))
    for bias in ("none", "own", "added")
    if (kind, bias) not in {("MatMul", "own")}
    for behind, constants, named in (
        ("Mul", [ROW.reshape(shape)], {}),
        ("Mul", [np.float32(0.3)], {"swap": True}),
        ("Div", [ROW.reshape(shape)], {}),
        ("BatchNormalization", BATCH_NORM, {"epsilon": 1e-3}),
    )
    if behind != "BatchNormalization" or kind != "MatMul"
} | {
    f"{kind} {bias} {behind}": product(kind, bias=bias, behind=behind, constants=constants, **named)
    for kind, bias, behind, constants, named in (
        *(("Conv", bias, "Div", [np.float32(6)], {}) for bias in ADDED if bias != "added"),
        *(("Conv", bias, "Mul", [ROW.reshape(C, 1, 1)], {}) for bias in ADDED if bias != "added"),
        ("Conv", "number", "BatchNormalization", BATCH_NORM, {}),
        ("Gemm", "number", "BatchNormalization", BATCH_NORM, {}),
        ("MatMul", "one", "Mul", [ROW], {}),
        ("MatMul", "added", "BatchNormalization", BATCH_NORM, {"flat": True}),
    )
}


@pytest.mark.parametrize("name", CASES)
def test_a_factor_by_channel_goes_into_the_product_in_front(name):
    proto, images = CASES[name]
    after = onnx.ModelProto()
    after.CopyFrom(proto)
    assert fold_affines(after) == 1
    onnx.checker.check_model(after, full_check=True)
    kinds = [node.op_type for node in after.graph.node]
    assert kinds == [one.op_type for one in proto.graph.node if one.name.split("/")[0] != "y"]
    expected, found = run(proto, images), run(after, images)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    read = {one for node in after.graph.node for one in node.input}
    assert {tensor.name for tensor in after.graph.initializer} <= read


@pytest.mark.parametrize(
    "case",
    [
        product("Conv", bias="own", behind="Mul", constants=[normal(4, 1)]),  # along the height
        product("MatMul", bias="none", behind="Mul", constants=[normal(7, 1)]),
        product("MatMul", bias="none", behind="Div", constants=[ROW], swap=True),
        product("Conv", bias="own", behind="Add", constants=[normal(C, 1, 1)]),
        product(
            "MatMul", bias="none", behind="BatchNormalization", constants=BATCH_NORM, flat=True
        ),
        product("Gemm", bias="own", behind="BatchNormalization", constants=BATCH_NORM, beta=0.5),
    ],
    ids=["rows", "tokens", "divided by", "sum", "no place", "half a bias"],
)
def test_what_is_no_factor_by_channel_stays(case):
    proto, images = case
    expected = run(proto, images)
    assert fold_affines(proto) == 0
    np.testing.assert_array_equal(run(proto, images), expected)


def test_a_product_that_others_read_as_well_stays():
    build = Builder()
    x = build.node("MatMul", ["images", build.constant("w", normal(3, C))], "p")
    m = build.node("Mul", [x, build.constant("s", ROW)], "m")
    proto = build.model({"images": [2, 7, 3]}, build.node("Add", [x, m], "y"), 3)
    assert fold_affines(proto) == 0


def test_networks_without_such_an_operation_stay_as_they_are():
    for proto in (attention(), gated()):
        before = proto.SerializeToString(deterministic=True)
        assert fold_affines(proto) == 0
        assert proto.SerializeToString(deterministic=True) == before
