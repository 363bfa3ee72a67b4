"""Where channels are rescaled, and which constants change by how much, in graphs written down."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from support.tiny_qdq import Builder

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.core.sections import EqualizeConfig
from edge_convnext.stages import equalize as module
from edge_convnext.stages.equalize import apply_factors, equalize, find_sites

F32 = np.float32
C = 4
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((1, C, 3, 3)).astype(F32)
FACTORS = np.array([0.5, 2.0, -4.0, 1.0], F32)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(F32)


def layer_norm(kind="MatMul", *, biased=True, between=(), outputs=6):
    """LayerNormalization over NHWC, things that move it, and a product."""
    build = Builder()
    rows = build.node("Transpose", ["images"], "rows", perm=[0, 2, 3, 1])
    scale = [build.constant("scale", normal(C))]
    scale += [build.constant("shift", normal(C))] if biased else []
    name = build.node("LayerNormalization", [rows, *scale], "norm", axis=-1)
    width = C
    for number, step in enumerate(between):
        output = f"moved{number}"
        if step == "patches":  # of 3 x 3, each of which becomes one row
            shape = build.constant(f"shape{number}", np.array([1, 9 * C]))
            name, width = build.node("Reshape", [name, shape], output), 9 * C
        elif step == "flat":
            shape = build.constant(f"shape{number}", np.array([9, C]))
            name = build.node("Reshape", [name, shape], output)
        elif step == "turn":
            name = build.node("Transpose", [name], output, perm=[0, 2, 1, 3])
        elif step == "nchw":
            name = build.node("Transpose", [name], output, perm=[0, 3, 1, 2])
        else:
            name = build.node(step, [name], output)
    if kind == "Conv":
        weight = build.constant("weight", normal(outputs, C, 1, 1))
        result = build.node("Conv", [name, weight], "product")
    elif kind == "Gemm":
        weight = build.constant("weight", normal(outputs, width))
        result = build.node("Gemm", [name, weight], "product", transB=1)
    else:
        weight = build.constant("weight", normal(width, outputs))
        result = build.node("MatMul", [name, weight], "product")
    rank = 2 if {"patches", "flat"} & set(between) else 4
    return build.model({"images": [1, C, 3, 3]}, result, rank)


def grn(kind="MatMul", *, channels_first=False, scalar=True, shape=None):
    """x * (gamma * n(x) + 1), and a product."""
    build = Builder()
    name = "images"
    if not channels_first:
        name = build.node("Transpose", ["images"], "rows", perm=[0, 2, 3, 1])
    axes = [2, 3] if channels_first else [1, 2]
    gamma_shape = shape or ((C, 1, 1) if channels_first else (C,))
    build.constant("gamma", normal(*gamma_shape))
    build.constant("one", F32(1) if scalar else np.ones(gamma_shape, F32))
    n = build.node("ReduceL2", [name, build.constant("axes", np.array(axes))], "n", keepdims=1)
    scaled = build.node("Mul", ["gamma", n], "scaled")
    total = build.node("Add", [scaled, "one"], "total")
    made = build.node("Mul", [name, total], "grn")
    if kind == "Conv":
        result = build.node("Conv", [made, build.constant("weight", normal(6, C, 1, 1))], "product")
    else:
        result = build.node("MatMul", [made, build.constant("weight", normal(C, 6))], "product")
    return build.model({"images": [1, C, 3, 3]}, result, 4)


def written_out(name="stages.0.blocks.0.norm/Last", kind="Mul", reader="Conv"):
    """A Mul at the end of a LayerNorm that is written out, over NCHW."""
    build = Builder()
    made = build.node(kind, ["images", "images"], "scaled")
    build.nodes[-1].name = name
    if reader == "Conv":
        result = build.node("Conv", [made, build.constant("weight", normal(6, C, 1, 1))], "product")
    else:
        weight = build.constant("weight", normal(3, 6))
        result = build.node("MatMul", [made, weight], "product")
    return build.model({"images": [1, C, 3, 3]}, result, 4)


def constants_of(proto):
    return {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}


def run(proto):
    return ReferenceEvaluator(proto).run(None, {"images": IMAGES})[0]


def site_of(proto):
    (site,) = find_sites(proto)
    return site


def told(site):
    return (site.producer, site.tensor, site.axis, site.reader, site.repeats, site.may_turn)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("between", [(), ("turn",), ("turn", "turn")])
def test_a_norm_is_scaled_with_the_rows_of_the_product_behind_it(biased, between):
    proto = layer_norm(biased=biased, between=between)
    site = site_of(proto)
    assert told(site) == (
        "norm/LayerNormalization", "norm", -1, "product/MatMul", 1, False,
    )  # fmt: skip
    before = constants_of(proto)
    np.testing.assert_array_equal(site.weight, before["weight"])
    expected = run(proto)
    apply_factors(proto, site, FACTORS)
    after = constants_of(proto)
    np.testing.assert_allclose(
        after["norm/LayerNormalization.equalized_1"], before["scale"] / FACTORS, rtol=1e-6
    )
    assert ("norm/LayerNormalization.equalized_2" in after) is biased
    if biased:
        np.testing.assert_allclose(
            after["norm/LayerNormalization.equalized_2"], before["shift"] / FACTORS, rtol=1e-6
        )
    np.testing.assert_allclose(
        after["product/MatMul.equalized_1"], before["weight"] * FACTORS[:, None], rtol=1e-6
    )
    np.testing.assert_allclose(run(proto), expected, rtol=1e-4, atol=1e-5)


def test_patches_repeat_the_channels_along_the_rows_of_the_weight():
    proto = layer_norm(between=("patches",))
    site = site_of(proto)
    assert told(site) == ("norm/LayerNormalization", "norm", -1, "product/MatMul", 9, False)
    before = constants_of(proto)["weight"]
    assert site.weight.shape == (C, 9 * 6)
    for channel in range(C):  # row 4 p + c of the weight belongs to channel c of patch p
        np.testing.assert_array_equal(site.weight[channel], before[channel::C].reshape(-1))
    expected = run(proto)
    apply_factors(proto, site, FACTORS)
    np.testing.assert_allclose(
        constants_of(proto)["product/MatMul.equalized_1"],
        before * np.tile(FACTORS, 9)[:, None], rtol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(run(proto), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "between"), [("Conv", ("nchw",)), ("Gemm", ("flat",))])
def test_the_inputs_of_a_convolution_and_a_transposed_gemm_are_their_second_axis(kind, between):
    proto = layer_norm(kind, between=between)
    site, before, expected = site_of(proto), constants_of(proto)["weight"], run(proto)
    np.testing.assert_array_equal(site.weight, np.moveaxis(before, 1, 0).reshape(C, -1))
    apply_factors(proto, site, FACTORS)
    shape = (1, C, 1, 1) if kind == "Conv" else (1, C)
    np.testing.assert_allclose(
        constants_of(proto)[f"product/{kind}.equalized_1"], before * FACTORS.reshape(shape),
        rtol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(run(proto), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scalar", [True, False])
@pytest.mark.parametrize("channels_first", [True, False])
def test_a_grn_takes_the_factors_into_gamma_and_the_one(scalar, channels_first):
    kind = "Conv" if channels_first else "MatMul"
    proto = grn(kind, channels_first=channels_first, scalar=scalar)
    site = site_of(proto)
    axis = -3 if channels_first else -1
    assert told(site) == ("grn/Mul", "grn", axis, f"product/{kind}", 1, True)
    before, expected = constants_of(proto), run(proto)
    apply_factors(proto, site, FACTORS)
    after = constants_of(proto)
    shape = (C, 1, 1) if channels_first else (C,)
    np.testing.assert_allclose(
        after["scaled/Mul.equalized_0"], before["gamma"] / FACTORS.reshape(shape), rtol=1e-6
    )
    one = after["total/Add.equalized_1"]
    assert one.shape == shape
    np.testing.assert_allclose(one, 1 / FACTORS.reshape(shape), rtol=1e-6)
    np.testing.assert_allclose(run(proto), expected, rtol=1e-4, atol=1e-5)


def test_a_gamma_of_full_rank_keeps_its_shape():
    proto = grn(shape=(1, 1, 1, C))
    site, expected = site_of(proto), run(proto)
    assert (site.axis, site.weight.shape) == (-1, (C, 6))
    apply_factors(proto, site, FACTORS)
    assert constants_of(proto)["scaled/Mul.equalized_0"].shape == (1, 1, 1, C)
    np.testing.assert_allclose(run(proto), expected, rtol=1e-4, atol=1e-5)


def test_a_gamma_of_one_value_is_no_row_of_channels():
    assert find_sites(grn(shape=(1,))) == []


def test_the_module_of_a_norm_is_all_but_the_last_part_of_its_name():
    assert len(find_sites(written_out("outer/stages.0.blocks.0.norm/Last"))) == 1
    assert find_sites(written_out("stages.0.blocks.0.norm/inner/Last")) == []


def test_a_norm_that_is_written_out_gets_one_multiplication():
    proto = written_out()
    site = site_of(proto)
    assert told(site) == (
        "stages.0.blocks.0.norm/Last", "scaled", -3, "product/Conv", 1, True,
    )  # fmt: skip
    expected = run(proto)
    apply_factors(proto, site, FACTORS)
    path = "stages.0.blocks.0.norm"
    assert [(node.name, list(node.input), list(node.output)) for node in proto.graph.node] == [
        (f"{path}/Last", ["images", "images"], ["scaled"]),
        (f"{path}/Equalize", ["scaled", f"{path}.equalize"], [f"{path}/Equalize"]),
        ("product/Conv", [f"{path}/Equalize", "product/Conv.equalized_1"], ["product"]),
    ]
    scale = constants_of(proto)[f"{path}.equalize"]
    assert (scale.shape, scale.dtype) == ((C, 1, 1), F32)
    np.testing.assert_allclose(scale.reshape(-1), 1 / FACTORS, rtol=1e-6)
    np.testing.assert_allclose(run(proto), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "proto",
    [
        layer_norm(between=("Relu",)),  # it computes
        written_out(name="stages.0.blocks.0.act/Last"),  # no norm's
        written_out(kind="Add"),
        written_out(reader="MatMul"),  # over another axis
    ],
    ids=["relu", "no norm", "no product", "matmul"],
)
def test_what_is_no_normalization_before_a_product_is_left_alone(proto):
    assert find_sites(proto) == []


@pytest.mark.parametrize("name", ["norm", "moved0"])
def test_a_tensor_that_others_read_is_left_alone(name):
    proto = layer_norm(between=("turn",))
    proto.graph.node.append(onnx.helper.make_node("Relu", [name], ["other"], name="other"))
    assert find_sites(proto) == []


def test_a_product_of_a_computed_weight_and_one_of_the_images_are_left_alone():
    proto = layer_norm()
    proto.graph.node[-1].input[1] = "rows"
    assert find_sites(proto) == []
    proto = layer_norm()
    proto.graph.node[-1].input[0] = "images"
    assert find_sites(proto) == []


def test_a_weight_that_the_channels_do_not_fit_is_left_alone():
    def with_rows(rows, between=()):
        proto = layer_norm(between=between)
        (weight,) = [one for one in proto.graph.initializer if one.name == "weight"]
        weight.CopyFrom(numpy_helper.from_array(normal(rows, 6), "weight"))
        return find_sites(proto)

    assert with_rows(7, ("patches",)) == []
    assert with_rows(8) == []  # twice the channels, and nothing flattened them
    assert with_rows(8, ("turn",)) == []
    assert len(with_rows(8, ("patches",))) == 1
    assert len(with_rows(8, ("turn", "patches"))) == 1


def save(folder, proto):
    onnx.save(proto, folder / "before.onnx")
    return OnnxModel(folder / "before.onnx", "fp32", "linear", None, 0)


@pytest.mark.parametrize("factors", [FACTORS, None])
def test_the_stage_asks_for_the_factors_of_every_site_and_writes_what_it_gets(
    tmp_path, monkeypatch, factors
):
    proto = grn()
    calls = []

    def choose(weight, repeats, seen, alpha, kind, *, turn):
        calls.append((weight, repeats, seen, alpha, kind, turn))
        return factors

    monkeypatch.setattr(module, "choose_factors", choose)
    config = EqualizeConfig(alpha=0.25)
    before = save(tmp_path, proto)
    after = equalize(before, [IMAGES], config, "uint8", tmp_path / "after.onnx")
    assert after == replace(before, path=tmp_path / "after.onnx")
    ((weight, repeats, seen, alpha, kind, turn),) = calls
    np.testing.assert_array_equal(weight, constants_of(proto)["weight"])
    assert (repeats, alpha, kind, turn) == (1, 0.25, "uint8", True)
    assert seen.low.shape == (C,)
    made = onnx.load(after.path)
    np.testing.assert_allclose(run(made), run(proto), rtol=1e-4, atol=1e-5)
    if factors is None:
        assert made == proto
    else:
        assert constants_of(made).keys() == {
            "axes", "scaled/Mul.equalized_0", "total/Add.equalized_1", "product/MatMul.equalized_1",
        }  # fmt: skip
    again = equalize(before, [IMAGES], config, "uint8", tmp_path / "again.onnx")
    assert again.path.read_bytes() == after.path.read_bytes()


def test_a_norm_may_not_be_turned_over(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "choose_factors", lambda *_, turn: asked.append(turn))
    equalize(save(tmp_path, layer_norm()), [IMAGES], EqualizeConfig(), "uint8", tmp_path / "a.onnx")
    assert asked == [False]


def test_a_graph_without_sites_is_written_as_it_is(tmp_path):
    proto = layer_norm(between=("Relu",))
    made = equalize(save(tmp_path, proto), [], EqualizeConfig(), "int8", tmp_path / "after.onnx")
    assert onnx.load(made.path) == proto


def test_what_can_not_be_equalized_is_refused(tmp_path):
    model = save(tmp_path, grn())
    with pytest.raises(QuantizationError) as caught:
        equalize(replace(model, precision="int8"), [], EqualizeConfig(), "int8", tmp_path / "a")
    assert str(caught.value) == f"{model.path}: is int8; equalize the FP32 graph"
    model.path.unlink()
    with pytest.raises(ArtifactError) as caught:
        equalize(model, [], EqualizeConfig(), "int8", tmp_path / "a")
    assert str(caught.value) == f"{model.path}: no such ONNX file; export the model first"
