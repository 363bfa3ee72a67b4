import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from support.own_files import SIZE, Own, run_file
from support.pointwise_nets import Net, count
from support.tiny_qdq import Builder

from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.errors import ExportError
from edge_convnext.core.sections import ExportConfig, LoadConfig
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.square_attention import find_square_attention
from edge_convnext.runtimes.metadata import read_metadata
from edge_convnext.runtimes.reference import load_reference
from edge_convnext.stages.export import export_onnx
from edge_convnext.stages.load import load_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    path = Own(opset=11, tail=("Softmax",), nhwc=True, batch=1).save(folder / "net.onnx")
    config = LoadConfig(weights=str(path))
    return load_weights(config, "onnx:net", 0, folder / "canonical.onnx")


@pytest.mark.parametrize("form", ["raw", "linear", "conv"])
@pytest.mark.parametrize("batch", ["dynamic", 1, 4])
def test_the_graph_has_the_batch_and_says_what_it_is(weights, tmp_path, batch, form):
    made = export_onnx(weights, form, "fp32", ExportConfig(batch=batch), tmp_path / "m.onnx")
    proto = onnx.load(made.path)
    for one in (*proto.graph.input, *proto.graph.output):
        dim = one.type.tensor_type.shape.dim[0]
        assert (dim.dim_param or dim.dim_value) == ("batch" if batch == "dynamic" else batch)
    found = read_metadata(made.path)
    assert (found.info, found.form, found.precision) == (weights.info, form, "fp32")
    fields = json.loads({p.key: p.value for p in proto.metadata_props}[METADATA_KEY])
    assert fields["tools"].startswith("edge-convnext ")
    shown = np.random.default_rng(0).standard_normal((4, 3, SIZE, SIZE)).astype(np.float32)
    count = 1 if batch == 1 else 4
    logits = run_file(made.path, shown[:count])
    assert np.abs(logits - load_reference(weights).infer(shown[:count])).max() < 1e-5


def test_a_pointwise_convolution_becomes_a_product_in_its_form(tmp_path):
    net = Net()
    proto = net.head(net.conv("stem", "one", 6, 6))
    onnx.save(proto, tmp_path / "net.onnx")
    config = LoadConfig(weights=str(tmp_path / "net.onnx"))
    weights = load_weights(config, "onnx:net", 0, tmp_path / "canonical.onnx")
    for form, products in (("raw", 0), ("linear", 1)):
        made = export_onnx(weights, form, "fp32", ExportConfig(), tmp_path / "m.onnx")
        assert count(onnx.load(made.path), "MatMul", "Transpose") == (products, products)


def test_a_float16_body(weights, tmp_path):
    made = export_onnx(weights, "raw", "fp16", ExportConfig(), tmp_path / "m.onnx")
    assert made.precision == "fp16"
    assert read_metadata(made.path).precision == "fp16"
    kinds = {tensor.data_type for tensor in onnx.load(made.path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds


def write_attention(path, heads=4):
    """A file with attention of four tokens, whose heads a Transpose moves."""
    draw, size, width = np.random.default_rng(0), SIZE // 2, 4 * heads
    build = Builder()

    def row(*shape):
        build.constant(f"c{len(build.constants)}", draw.standard_normal(shape).astype("f") * 0.3)
        return build.constants[-1].name

    def shape(*sizes):
        return build.constant(f"c{len(build.constants)}", np.int64(sizes))

    for name in ("first", "values"):
        build.node("Conv", ["x", row(width, 3, size, size)], f"{name}.map", strides=[size, size])
        build.node("Reshape", [f"{name}.map", shape(0, heads, 4, 4)], name)
    build.node("Transpose", ["values"], "keys", perm=[0, 1, 3, 2])
    build.node("MatMul", ["first", "keys"], "scores")
    build.node("Softmax", ["scores"], "sharp", axis=-1)
    build.node("MatMul", ["sharp", "values"], "context")
    build.node("Transpose", ["context"], "moved", perm=[0, 2, 1, 3])
    build.node("Reshape", ["moved", shape(0, 4 * width)], "flat")
    build.node("Gemm", ["flat", row(4 * width, 5)], "y")
    onnx.save(build.model({"x": ["n", 3, SIZE, SIZE]}, "y", 2), path)
    return path


@pytest.mark.parametrize(("heads", "moved"), [(4, 1), (2, 0)])
def test_attention_that_openvino_computes_wrongly_is_written_otherwise(tmp_path, heads, moved):
    path = write_attention(tmp_path / "net.onnx", heads)
    config = LoadConfig(weights=str(path))
    loaded = load_weights(config, "onnx:net", 0, tmp_path / "canonical.onnx")
    made = export_onnx(loaded, "raw", "fp32", ExportConfig(), tmp_path / "m.onnx")
    before, after = onnx.load(loaded.path), onnx.load(made.path)
    assert len(list(find_square_attention(before, Wiring(before)))) == moved
    assert list(find_square_attention(after, Wiring(after))) == []
    shown = np.random.default_rng(0).standard_normal((3, 3, SIZE, SIZE)).astype(np.float32)
    assert np.array_equal(run_file(made.path, shown), run_file(path, shown))


def test_another_opset_is_refused(weights, tmp_path):
    with pytest.raises(ExportError, match="at opset 20, not 18; leave --opset out"):
        export_onnx(weights, "raw", "fp32", ExportConfig(opset=18), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_batch_that_the_operations_do_not_allow_is_refused(weights, tmp_path):
    proto = onnx.load(weights.path)
    for one in (*proto.graph.input, *proto.graph.output):
        one.type.tensor_type.shape.dim[0].dim_value = 1
    fixed = tmp_path / "canonical.onnx"
    onnx.save(proto, fixed)
    (tmp_path / "source.onnx").write_bytes(weights.path.with_name("source.onnx").read_bytes())
    from dataclasses import replace

    only = replace(weights, path=fixed)
    with pytest.raises(ExportError, match="allow batches of 1 alone, not dynamic"):
        export_onnx(only, "raw", "fp32", ExportConfig(), tmp_path / "m.onnx")
    assert export_onnx(only, "raw", "fp32", ExportConfig(batch=1), tmp_path / "m.onnx")


def test_a_factor_by_channel_goes_into_its_product(weights, tmp_path):
    plain = export_onnx(weights, "raw", "fp32", ExportConfig(), tmp_path / "plain.onnx")
    proto = onnx.load(weights.path)
    conv = next(node for node in proto.graph.node if node.op_type == "Conv")
    channels = next(one.dims[0] for one in proto.graph.initializer if one.name == conv.input[1])
    factors = np.linspace(0.5, 2.0, channels, dtype=np.float32).reshape(1, -1, 1, 1)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(factors, "factors"))
    (made,) = conv.output
    conv.output[0] = f"{made}.before"
    scaled = onnx.helper.make_node("Mul", [conv.output[0], "factors"], [made], name="scale")
    proto.graph.node.insert(list(proto.graph.node).index(conv) + 1, scaled)
    path = tmp_path / "canonical.onnx"
    onnx.save(proto, path)
    scaled_weights = replace(weights, path=path)
    graph = export_onnx(scaled_weights, "raw", "fp32", ExportConfig(), tmp_path / "m.onnx")
    kinds = [node.op_type for node in onnx.load(graph.path).graph.node]
    assert kinds == [node.op_type for node in onnx.load(plain.path).graph.node]
    shown = np.random.default_rng(0).standard_normal((2, 3, SIZE, SIZE)).astype(np.float32)
    expected = run_file(path, shown)
    assert np.abs(expected - run_file(plain.path, shown)).max() > 1e-3  # the factors do something
    assert np.abs(expected - run_file(graph.path, shown)).max() <= 1e-5 * np.abs(expected).max()
