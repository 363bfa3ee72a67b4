import json
import platform
import sys
from importlib.util import find_spec

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.core.artifacts import ModelInfo, OnnxModel, Preprocess
from edge_convnext.core.errors import ArtifactError, EngineBuildError, MissingDependencyError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.sections import EngineConfig
from edge_convnext.runtimes.tensorrt import rtx_builder
from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine, sidecar_path, why_no_rtx

needs_rtx = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or not find_spec("tensorrt_rtx"),
    reason="needs tensorrt-rtx, for x86-64 Linux",
)

INFO = ModelInfo(
    "convnextv2_atto", 2, 3, ("ant", "bee"), Preprocess(16), "w.pth", "ab" * 32, "CC BY-NC 4.0"
)


class Graph:
    """Convolution, activation, pooling, matrix product; activations and weights quantized."""

    def __init__(self, dtype=np.float32, quantize="all", zero_point=0, activation="Relu"):
        self.dtype, self.quantize, self.zero_point = dtype, quantize, zero_point
        self.random = np.random.default_rng(0)
        self.nodes, self.constants = [], []
        x = self.node(
            "Cast", ["images"], "body", to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        )
        x = self.activations(x)
        x = self.node("Conv", [x, self.weights("stem.conv", (32, 3, 4, 4), 0)], "stem.conv")
        x = self.node(activation, [x], "stem.act")
        x = self.node("ReduceMean", [x, self.constant("axes", np.array([2, 3]))], "pool")
        x = self.node("Flatten", [x], "flat")
        x = self.activations(x)
        x = self.node("MatMul", [x, self.weights("head.fc", (32, 8), 1)], "head.fc")
        self.node("Cast", [x], "logits", to=TensorProto.FLOAT)

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def activations(self, x):
        if self.quantize != "all":
            return x
        scale = self.constant(f"{x}.scale", np.array(0.05, self.dtype))
        zero = self.constant(f"{x}.zero", np.array(self.zero_point, np.int8))
        quantized = self.node("QuantizeLinear", [x, scale, zero], f"{x}/Quantize")
        return self.node("DequantizeLinear", [quantized, scale, zero], f"{x}/Dequantize")

    def weights(self, name, shape, axis):
        name = f"{name}.weight"
        if self.quantize == "none":
            return self.constant(name, self.random.normal(size=shape).astype(self.dtype))
        values = self.constant(name, self.random.integers(-127, 128, shape).astype(np.int8))
        scale = self.constant(f"{name}.scale", np.full(shape[axis], 0.01, self.dtype))
        zero = self.constant(f"{name}.zero", np.zeros(shape[axis], np.int8))
        return self.node("DequantizeLinear", [values, scale, zero], f"{name}/Dequantize", axis=axis)

    def save(self, path, batch="batch", metadata=None):
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 16, 16])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 8])],
            self.constants,
        )
        opset = [helper.make_opsetid("", 20)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=10)
        helper.set_model_props(model, metadata or {})
        onnx.save(model, path)
        return path


def int8(path, quantized_ops=2):
    return OnnxModel(path, "int8", "linear", "pointwise", quantized_ops)


@needs_rtx
@pytest.mark.parametrize("body", [np.float32, np.float16])
def test_each_quantized_operation_becomes_one_int8_kernel(tmp_path, body):
    onnx_path = Graph(body).save(tmp_path / "m.onnx", metadata=INFO.to_metadata(form="linear"))
    output = tmp_path / "out" / "m.engine"
    engine = build_rtx_engine(int8(onnx_path), EngineConfig(max_batch=4), output)
    assert engine.int8_kernels == 2
    assert engine.kernels > 2
    assert engine.compute_capabilities == ("8.6", "8.9", "12.0")
    assert engine.builder.startswith("tensorrt-rtx ")
    assert output.stat().st_size > 100_000
    facts = json.loads(sidecar_path(output).read_text())
    assert facts["onnx_sha256"] == sha256_file(onnx_path)
    assert (facts["kernels"], facts["int8_kernels"]) == (engine.kernels, 2)
    assert facts["model"]["weights_licence"] == "CC BY-NC 4.0"
    assert facts["model"]["weights_sha256"] == INFO.weights_sha256
    assert facts["model"]["classes"] == ["ant", "bee"]
    assert Preprocess.from_json(facts["model"]["preprocess"]) == INFO.preprocess
    assert facts["profile"] == {
        "input": "images",
        "min": [1, 3, 16, 16],
        "opt": [1, 3, 16, 16],
        "max": [4, 3, 16, 16],
    }
    assert sorted(path.name for path in output.parent.iterdir()) == ["m.engine", "m.engine.json"]


@needs_rtx
@pytest.mark.parametrize(("body", "precision"), [(np.float32, "fp32"), (np.float16, "fp16")])
def test_a_float_graph_of_static_batch_has_no_int8_kernel_and_no_profile(tmp_path, body, precision):
    path = Graph(body, "none").save(tmp_path / "m.onnx", batch=1)
    config = EngineConfig(compute_capabilities=("8.9",))
    engine = build_rtx_engine(OnnxModel(path, precision, "linear"), config, tmp_path / "m.engine")
    assert (engine.precision, engine.int8_kernels) == (precision, 0)
    facts = json.loads(sidecar_path(engine.path).read_text())
    assert (facts["profile"], facts["model"]) == (None, None)


@needs_rtx
def test_quantized_operations_that_would_run_in_float_are_refused(tmp_path):
    path = Graph(quantize="weights").save(tmp_path / "m.onnx")
    with pytest.raises(EngineBuildError, match=r"0 INT8 kernels for 2 quantized operations"):
        build_rtx_engine(int8(path), EngineConfig(), tmp_path / "m.engine")
    assert list(tmp_path.iterdir()) == [path]


@needs_rtx
@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"activation": "Sparkle"}, r"node 'stem.act' \(Sparkle\) can't be parsed"),
        ({"zero_point": 3}, r"node 'body/Quantize' \(QuantizeLinear\) .* zero point"),
    ],
)
def test_what_the_parser_refuses_is_quoted_with_its_node(tmp_path, graph, message):
    path = Graph(**graph).save(tmp_path / "m.onnx")
    with pytest.raises(EngineBuildError, match=message) as caught:
        build_rtx_engine(int8(path), EngineConfig(), tmp_path / "m.engine")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@needs_rtx
def test_what_the_builder_refuses_is_quoted(tmp_path):
    path = Graph(quantize="none").save(tmp_path / "m.onnx")
    config = EngineConfig(compute_capabilities=("7.5",))
    with pytest.raises(EngineBuildError, match=r"Turing \(SM75\)"):
        build_rtx_engine(OnnxModel(path, "fp32", "linear"), config, tmp_path / "m.engine")


@needs_rtx
@pytest.mark.parametrize("capabilities", [(), ("8.7",), ("8.6", "8.6")])
def test_unknown_missing_or_repeated_compute_capabilities_are_named(tmp_path, capabilities):
    path = Graph(quantize="none").save(tmp_path / "m.onnx")
    config = EngineConfig(compute_capabilities=capabilities)
    with pytest.raises(EngineBuildError, match=r"choose one or more of 7\.5, 8\.0, 8\.6"):
        build_rtx_engine(OnnxModel(path, "fp32", "linear"), config, tmp_path / "m.engine")


@needs_rtx
def test_a_missing_or_damaged_graph_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"gone\.onnx: no such ONNX file"):
        build_rtx_engine(int8(tmp_path / "gone.onnx"), EngineConfig(), tmp_path / "m.engine")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"not a graph")
    with pytest.raises(EngineBuildError, match=r"damaged\.onnx.*can't be parsed"):
        build_rtx_engine(int8(damaged), EngineConfig(), tmp_path / "m.engine")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, machine):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(rtx_builder, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edge-convnext\[rtx\]'"):
        build_rtx_engine(int8(tmp_path / "m.onnx"), EngineConfig(), tmp_path / "m.engine")


@pytest.mark.parametrize(
    ("system", "machine"), [("linux", "riscv64"), ("darwin", "arm64"), ("win32", "AMD64")]
)
def test_other_machines_are_told_why(monkeypatch, system, machine):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    reason = why_no_rtx()
    assert reason is not None
    assert f"this is {machine} {system}" in reason
