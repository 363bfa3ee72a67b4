import re
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from support.rtx_builds import build_rtx, dtypes, needs_rtx
from support.small_exports import (
    ATTO,
    FORMS,
    TINY,
    export,
    export_tiny,
    infer,
    largest_error,
    make_images,
    place_export,
    quantize_export,
)
from support.tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.core.sections import ExportConfig
from edge_convnext.graph.file import element_types
from edge_convnext.graph.qdq import Wiring
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.stages.fuse_for_onnxruntime import lower_for_onnxruntime
from edge_convnext.stages.to_float16 import halve_body

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
# Float forms, Q/DQ of NNCF, and Q/DQ as TensorRT wants it, for computed weights too.
CASES = [
    *((form, precision) for form in FORMS for precision in ("fp32", "int8")),
    *((form, "fp32") for form in ("mixed", "late", "weights_expand", "product_expand")),
    *((form, "blocks") for form in ("mixed", "late", "late_product_mixed")),
]
QUANTIZE = {"int8": quantize_export, "blocks": place_export}
NORMS = {"LayerNormalization", "Reciprocal", "ReduceL2", "ReduceMean", "Sqrt"}
IMAGES = make_images(4)
# Of the largest logit. float16 has 11 bits; behind a quantizer, a value next to the border of
# two steps takes the other one.
FLOAT16_ERROR, INT8_ERROR = 1e-3, 2e-2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("halve")


@pytest.fixture(scope="module")
def exports(folder):
    """By form and precision, all of the same weights."""
    models = {(form, "fp32"): export_tiny(form, folder) for form in dict(CASES)}
    for form, precision in CASES:
        if precision != "fp32":
            models[form, precision] = QUANTIZE[precision](models[form, "fp32"], [IMAGES])
    return models


@pytest.fixture(scope="module")
def halved(folder, exports):
    return {
        (form, precision): halve_body(model, folder / f"{form}.{precision}.half.onnx")
        for (form, precision), model in exports.items()
    }


def halve_proto(tmp_path, proto, precision="int8", border="float32"):
    onnx.save(proto, tmp_path / "graph.onnx")
    model = OnnxModel(tmp_path / "graph.onnx", precision, "linear")
    return onnx.load(halve_body(model, tmp_path / "half.onnx", border).path)


def attribute(node, name):
    return next(item.i for item in node.attribute if item.name == name)


@pytest.mark.parametrize(("form", "precision"), CASES)
def test_logits_are_those_of_the_float32_body(exports, halved, form, precision):
    expected = infer(exports[form, precision].path, IMAGES)
    found = infer(halved[form, precision].path, IMAGES)
    limit = FLOAT16_ERROR if precision == "fp32" else INT8_ERROR
    assert largest_error(found, expected) < limit


@pytest.mark.parametrize(("form", "precision"), CASES)
def test_norms_compute_in_float32_and_products_in_float16(halved, form, precision):
    proto = onnx.load(halved[form, precision].path)
    types = element_types(proto)
    for node in proto.graph.node:
        kind = types[node.input[0]]
        if node.op_type in NORMS or (node.op_type == "Mul" and node.input[0] == node.input[1]):
            assert kind == FLOAT, node.name
        linear = node.op_type in ("Add", "MatMul") and "pwconv" in node.name
        if linear or node.op_type in ("Conv", "Gemm", "Gelu"):
            assert kind == HALF, node.name


@pytest.mark.parametrize(("form", "precision"), CASES)
def test_nothing_but_norms_and_the_border_is_float32(halved, form, precision):
    """Nor what a norm hands on to a quantizer or to pwconv2's weights, which it scales."""
    proto = onnx.load(halved[form, precision].path)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    types = element_types(proto)
    wiring = Wiring(proto)
    wide = [node for node in proto.graph.node if types[node.output[0]] == FLOAT]
    patches = r"|(stem|.*\.downsample)\.conv/(Reshape|Transpose)"  # of NHWC, before a quantizer
    modules = re.compile(
        r".*(\.norm/|\.grn/|\.pwconv2/Mul)|head/ReduceMean" + patches * (precision == "int8")
    )
    for node in wide:
        readers = wiring.readers.get(node.output[0], []) if node.op_type == "Cast" else [node]
        for reader in readers:
            assert modules.match(reader.name), reader.name
    read = {name for node in wide for name in node.input}
    quantizers = {
        node.input[1]
        for node in proto.graph.node
        if node.op_type == "QuantizeLinear" and types[node.input[0]] == FLOAT
    }
    for tensor in proto.graph.initializer:
        assert tensor.data_type != FLOAT or tensor.name in read | quantizers


@pytest.mark.parametrize(("form", "precision"), CASES)
def test_no_value_is_cast_twice_and_no_cast_undoes_another(halved, form, precision):
    proto = onnx.load(halved[form, precision].path)
    wiring = Wiring(proto)
    casts = [node for node in proto.graph.node if node.op_type == "Cast"]
    assert casts
    assert set(Counter(node.input[0] for node in casts).values()) == {1}
    for node in casts:
        maker = wiring.producer.get(node.input[0])
        assert maker is None or maker.op_type not in ("Cast", "DequantizeLinear"), node.name
        moved = [wiring.producer.get(name) for name in node.input]
        while moved[0] is not None and moved[0].op_type in ("Reshape", "Transpose"):
            moved = [wiring.producer.get(moved[0].input[0])]
        assert moved[0] is None or moved[0].op_type != "Cast", node.name


def test_a_norm_before_a_quantizer_needs_no_cast_behind_it(halved):
    wiring = Wiring(onnx.load(halved["linear", "int8"].path))
    norm = wiring.producer["stages.0.blocks.0.norm/LayerNormalization"]
    (quantize,) = wiring.readers[norm.output[0]]
    assert quantize.op_type == "QuantizeLinear"
    (dequantize,) = wiring.readers[quantize.output[0]]
    wide, narrow = (wiring.value(node.input[1]) for node in (quantize, dequantize))
    assert (wide.dtype, narrow.dtype) == (np.float32, np.float16)
    assert wide == narrow  # the same number, or the pair would scale what passes


def test_the_metadata_says_what_the_body_is(halved):
    for precision, name in (("fp32", "fp16"), ("int8", "int8")):
        model = halved["linear", precision]
        assert model.precision == name
        (entry,) = onnx.load(model.path).metadata_props
        assert entry.key == METADATA_KEY
        assert '"body": "float16"' in entry.value
        assert f'"precision": "{name}"' in entry.value
    assert halved["linear", "int8"].quantized_ops == 13


def test_equal_graphs_give_equal_bytes(folder, exports, halved):
    again = halve_body(exports["conv", "int8"], folder / "again.onnx")
    assert again.path.read_bytes() == halved["conv", "int8"].path.read_bytes()


@pytest.mark.parametrize(
    ("case", "limit"), [(("linear", "fp32"), 2e-3), (("late", "blocks"), 2e-2)]
)
def test_a_float16_border_is_not_cast(tmp_path, exports, case, limit):
    model = halve_body(exports[case], tmp_path / "half.onnx", "float16")
    graph = onnx.load(model.path).graph
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.elem_type == HALF
    assert graph.node[0].op_type == "Conv"
    assert graph.node[-1].op_type == "Gemm"
    expected = infer(exports[case].path, IMAGES)
    assert largest_error(infer(model.path, IMAGES.astype(np.float16)), expected) < limit


def tiny_scales(value):
    """A quantized product one of whose weight scales is so small."""
    proto = quantized_product()
    wiring = Wiring(proto)
    scale = np.full(CHANNELS, 0.01, np.float32)
    scale[3] = value
    wiring.constants["weight_scale"].CopyFrom(numpy_helper.from_array(scale, "weight_scale"))
    return proto


def test_a_scale_that_float16_cannot_hold_keeps_its_product_in_float32(tmp_path):
    before = tiny_scales(1e-7)
    after = halve_proto(tmp_path, before)
    wiring = Wiring(after)
    product = next(node for node in after.graph.node if node.op_type == "MatMul")
    types = element_types(after)
    assert {types[name] for name in (*product.input, *product.output)} == {FLOAT}
    assert wiring.value("weight_scale")[3] == np.float32(1e-7)
    images = np.random.default_rng(0).standard_normal((1, 4, 4, CHANNELS), dtype=np.float32)
    expected, found = (
        ReferenceEvaluator(proto).run(None, {"images": images})[0] for proto in (before, after)
    )
    # The activations' own scale is rounded, so that some of them take the next step: 0.02.
    np.testing.assert_allclose(found, expected, atol=0.05)
    np.testing.assert_allclose(found[..., 3], expected[..., 3], atol=1e-6)


def test_the_scale_of_a_channel_of_zeros_does_not_matter(tmp_path):
    before = tiny_scales(1e-7)
    wiring = Wiring(before)
    weight = np.array(wiring.value("weight"))
    weight[:, 3] = 0
    wiring.constants["weight"].CopyFrom(numpy_helper.from_array(weight, "weight"))
    after = halve_proto(tmp_path, before)
    product = next(node for node in after.graph.node if node.op_type == "MatMul")
    assert element_types(after)[product.output[0]] == HALF
    assert Wiring(after).value("weight_scale").min() > 6e-5


@needs_rtx
@pytest.mark.parametrize(("scale", "output"), [(0.01, "Half"), (1e-7, "Float")])
def test_the_kernel_is_int8_whatever_the_scale(tmp_path, scale, output):
    built = build_rtx(halve_proto(tmp_path, tiny_scales(scale), border="float16"))
    (kernel,) = [one for one in built.kernels if one.multiplies_int8]
    assert kernel.kind == "gemm"
    assert dtypes(kernel.outputs) == (output,)


def test_a_quantized_value_that_both_types_read_is_dequantized_for_each(tmp_path):
    build = Builder()
    grid = [build.constant("s", np.float32(0.02)), build.constant("z", np.int8(0))]
    build.node("QuantizeLinear", ["images", *grid], "q")
    build.node("DequantizeLinear", ["q", *grid], "dq")
    build.node("LayerNormalization", ["dq", build.constant("one", np.ones(8, np.float32))], "n")
    after = halve_proto(
        tmp_path, build.model({"images": [1, 8]}, build.node("Add", ["dq", "n"], "y"), 2)
    )
    kinds = Counter(node.op_type for node in after.graph.node)
    assert (kinds["DequantizeLinear"], kinds["Cast"]) == (2, 2)  # the norm's end and the output


def test_a_quantized_value_that_a_norm_alone_reads_is_dequantized_wide(tmp_path):
    build = Builder()
    grid = [build.constant("s", np.float32(0.02)), build.constant("z", np.int8(0))]
    build.node("QuantizeLinear", ["images", *grid], "q")
    build.node("DequantizeLinear", ["q", *grid], "dq")
    turned = build.node("Transpose", ["dq"], "t", perm=[1, 0])
    build.node("LayerNormalization", [turned, build.constant("one", np.ones(1, np.float32))], "n")
    after = halve_proto(tmp_path, build.model({"images": [1, 8]}, "n", 2))
    assert [node.op_type for node in after.graph.node] == [
        *("QuantizeLinear", "DequantizeLinear", "Transpose", "LayerNormalization")
    ]


def naive(path):
    """What a converter makes that knows no norm: every float is float16."""
    proto = onnx.load(path)
    for tensor in proto.graph.initializer:
        if tensor.data_type == FLOAT:
            narrow = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(narrow, tensor.name))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = HALF
    return proto


def large_activations(kind):
    """Weights whose activations are in the thousands, as trained ones' can be."""
    state, block = random_state(TINY, 0), "stages.2.blocks.0"
    if kind == "before the norm":  # which takes any factor away again
        for part in ("weight", "bias"):
            state[f"{block}.dwconv.{part}"] *= 5000
        state[f"{block}.pwconv2.weight"] *= 30  # or the block hardly changes the logits
    else:  # GELU is no linear function; the weights behind it bring the values back
        for part in ("weight", "bias"):
            state[f"{block}.pwconv1.{part}"] *= 2000
        state[f"{block}.grn.beta"] *= 2000
        state[f"{block}.pwconv2.weight"] /= 2000
    return state


@pytest.mark.parametrize("form", [*FORMS, "mixed", "late", "weights_expand"])
@pytest.mark.parametrize("kind", ["before the norm", "before GRN"])
def test_squares_that_float16_cannot_hold_do_no_harm(tmp_path, kind, form):
    """facebookresearch/ConvNeXt#80 and facebookresearch/ConvNeXt-V2#66.

    The naive graph is run operation by operation in numpy, where float16 is float16. There its
    GRN gives NaN and its LayerNormalization a constant. ONNX Runtime shows neither on a CPU: it
    has few float16 operations for it, and computes the others in float32 between casts.
    """
    model = export(large_activations(kind), form, tmp_path, config=ExportConfig(batch=1))
    image = IMAGES[:1]
    expected = infer(model.path, image)
    half = halve_body(model, tmp_path / "half.onnx")
    assert largest_error(infer(half.path, image), expected) < 2 * FLOAT16_ERROR
    with np.errstate(all="ignore"):
        (ours,) = ReferenceEvaluator(onnx.load(half.path)).run(None, {"images": image})
        (theirs,) = ReferenceEvaluator(naive(model.path)).run(
            None, {"images": image.astype(np.float16)}
        )
    assert largest_error(ours, expected) < 2 * FLOAT16_ERROR
    assert not largest_error(theirs.astype(np.float32), expected) < 0.05  # not: it may be NaN


def product(weight, opset=20):
    build = Builder()
    build.node("MatMul", ["images", build.constant("fc.weight", weight)], "y")
    proto = build.model({"images": [1, 4]}, "y", 2)
    proto.opset_import[0].version = opset
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (product(np.full((4, 2), 7e4, np.float32)), "fc.weight reaches 7e.04, and float16 ends"),
        (product(np.full((4, 2), np.inf, np.float32)), "fc.weight has NaN or infinite values"),
        (product(np.full((4, 2), np.nan, np.float32)), "fc.weight has NaN or infinite values"),
        (product(np.ones((4, 2), np.float32), 21), "has opset 21, .* export with --opset 20"),
    ],
)
def test_what_float16_cannot_hold_is_refused_by_name(tmp_path, proto, message):
    with pytest.raises(ExportError, match=message):
        halve_proto(tmp_path, proto)
    assert [path.name for path in tmp_path.iterdir()] == ["graph.onnx"]


def test_graphs_that_are_not_float32_and_portable_are_refused(tmp_path, exports, halved):
    target = tmp_path / "x.onnx"
    with pytest.raises(ExportError, match="is float16; pass a graph that is float32"):
        halve_body(halved["linear", "fp32"], target)
    lowered = lower_for_onnxruntime(exports["nhwc", "int8"], tmp_path / "lowered.onnx")
    with pytest.raises(ExportError, match="a MatMulIntegerToFloat, whose type ONNX can't infer"):
        halve_body(lowered, target)
    with pytest.raises(ArtifactError, match="No such file"):
        halve_body(OnnxModel(tmp_path / "gone.onnx", "fp32", "linear"), target)
    assert not target.exists()


@needs_rtx
@pytest.mark.slow
def test_atto_has_the_kernels_that_were_counted(tmp_path):
    """Whole atto at 224 px and batch 1.

    Eight kernels for each of 12 blocks and nine others. INT8 linears in the blocks change
    nothing of that; a quantized downsampling takes its norm apart (two more kernels, three
    times), the head's quantizer is one of its own.
    """
    size = 224
    images = [make_images(1, size, seed) for seed in range(2)]
    model = export(random_state(ATTO, 0), "linear", tmp_path, ATTO, size, ExportConfig(batch=1))
    blocks = ("stem.*", "head.*", r".*\.downsample\..*")
    counts = {"fp16": build_rtx(halve_body(model, tmp_path / "fp16.onnx").path)}
    for name, floats in (("blocks", blocks), ("pointwise", ())):
        quantized = quantize_export(model, images, floats)
        counts[name] = build_rtx(halve_body(quantized, tmp_path / "int8.onnx").path)
    assert [built.error for built in counts.values()] == [None] * 3
    found = {name: (len(built.kernels), built.int8_kernels) for name, built in counts.items()}
    assert found == {"fp16": (105, 0), "blocks": (105, 24), "pointwise": (112, 29)}
    assert counts["fp16"].size_bytes < 12.5e6
