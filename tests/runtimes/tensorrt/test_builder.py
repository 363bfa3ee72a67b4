import json
from types import SimpleNamespace

import pytest
from support.fake_tensorrt import DEVICE
from support.tiny_qdq import quantized_product
from support.trt_builds import api

from edge_convnext.core.errors import (
    ArtifactError,
    EngineBuildError,
    QuantizationError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.runtimes.tensorrt import TensorRtConfig, build_engine, builder
from edge_convnext.runtimes.tensorrt.native import set_profile
from edge_convnext.runtimes.tensorrt.sidecar import read_facts, sidecar_path


class Settings:
    def __init__(self):
        self.flags = []

    def set_flag(self, flag):
        self.flags.append(flag)


class Layer:
    num_outputs = 1

    def __init__(self, name, dtype="f32"):
        self.name, self.dtype, self.precision, self.result = name, dtype, None, None

    def get_output(self, index):
        return SimpleNamespace(dtype=self.dtype)

    def set_output_type(self, index, dtype):
        self.result = dtype


@pytest.mark.parametrize(("version", "flags"), [("8.6.2", 0b1), ("10.3.0", 0b11), ("11.4.0", 0)])
def test_networks_are_typed_from_10_on(version, flags):
    assert builder._network_flags(api(version)) == flags


@pytest.mark.parametrize(
    ("version", "precision", "flags"),
    [
        ("8.6.2", "fp32", []),
        ("8.6.2", "fp16", [0, 12]),
        ("8.6.2", "int8", [0, 1, 12]),
        ("10.3.0", "int8", []),
        ("11.4.0", "fp16", []),
    ],
)
def test_only_8_6_chooses_types_and_keeps_reductions_wide(version, precision, flags):
    settings = Settings()
    layers = [Layer("b.grn/ReduceL2"), Layer("b.grn/ReduceL2_1"), Layer("b.pwconv1/MatMul")]
    layers.append(Layer("b.grn/ReduceL2_axes", "i32"))
    network = SimpleNamespace(num_layers=len(layers), get_layer=lambda index: layers[index])
    builder._choose_types(api(version), settings, network, precision, ("b.grn/ReduceL2",))
    assert settings.flags == flags
    wide = "f32" if flags else None
    assert [layer.precision for layer in layers] == [wide, wide, None, None]
    assert [layer.result for layer in layers] == [wide, wide, None, None]


def test_a_dynamic_batch_gets_a_profile_and_a_static_one_none():
    shapes = []
    profile = SimpleNamespace(set_shape=lambda *given: shapes.append(given))
    native = SimpleNamespace(create_optimization_profile=lambda: profile)
    settings = SimpleNamespace(add_optimization_profile=shapes.append)
    images = SimpleNamespace(name="images", shape=(-1, 3, 8, 8))
    described = set_profile(native, settings, images, 4, 16)
    assert shapes == [("images", (1, 3, 8, 8), (4, 3, 8, 8), (16, 3, 8, 8)), profile]
    bounds = {"min": [1, 3, 8, 8], "opt": [4, 3, 8, 8], "max": [16, 3, 8, 8]}
    assert described == {"input": "images", **bounds}
    images.shape = (2, 3, 8, 8)
    assert set_profile(native, settings, images, 4, 16) is None


def built(**changes):
    fields = {
        "version": "10.3.0", "label": "tensorrt 10.3.0", "device": DEVICE, "kernels": (),
        "profile": None, "batch": 1, "input_type": "FLOAT", "notes": ("a note",), "seconds": 2.0,
    }  # fmt: skip
    return builder._Built(**{**fields, **changes})


@pytest.fixture
def child(monkeypatch):
    """TensorRT 10, and a child process that writes what it was told to."""
    monkeypatch.setattr(builder, "open_api", lambda name: api("10.3.0"))
    calls = []

    def run(function, arguments, timeout_s):
        assert function is builder._build
        calls.append(arguments)
        arguments[-1].write_bytes(b"plan")
        return built()

    monkeypatch.setattr(builder, "run_isolated", run)
    return calls


def test_an_engine_and_its_facts_are_written_together(tmp_path, child):
    onnx = tmp_path / "m.onnx"
    onnx.write_bytes(quantized_product().SerializeToString())
    config = TensorRtConfig(workspace_mib=64, timing_cache=tmp_path / "t", hardware_compatible=True)
    said = []
    engine = build_engine(onnx, tmp_path / "out" / "m.engine", config, say=said.append)
    assert said == ["building m.engine: takes minutes if the timing cache is new"]
    assert (engine.precision, engine.builder) == ("int8", "tensorrt 10.3.0")
    assert engine.compute_capabilities == ("8.7",)
    facts = json.loads(sidecar_path(engine.path).read_text())
    assert facts["onnx_sha256"] == sha256_file(onnx)
    assert facts["engine_sha256"] == sha256_file(engine.path)
    assert facts["gpu"]["name"] == DEVICE.name
    assert facts["flags"]["workspace_mib"] == 64
    assert facts["notes"] == ["a note"]
    assert facts["quantized_ops"] == 1
    read = read_facts(engine.path)
    assert (read.hardware_compatible, read.version_compatible, read.batch) == (True, False, 1)
    assert child[0][1:3] == ("int8", ())


@pytest.mark.parametrize(
    ("graph", "config", "error", "reason"),
    [
        ({"activation_zero": 3}, {}, QuantizationError, "zero-point: TensorRT needs zero point 0"),
        ({}, {"optimization_level": 6}, EngineBuildError, "optimization level 6"),
        ({}, {"opt_batch": 9}, EngineBuildError, "tuned for batch 9 of 1 to 8"),
    ],
)
def test_what_can_be_told_beforehand_costs_no_build(tmp_path, child, graph, config, error, reason):
    onnx = tmp_path / "m.onnx"
    onnx.write_bytes(quantized_product(**graph).SerializeToString())
    with pytest.raises(error, match=reason):
        build_engine(onnx, tmp_path / "m.engine", TensorRtConfig(**config))
    assert child == []
    assert list(tmp_path.iterdir()) == [onnx]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.onnx", None, "no such ONNX file"),
        ("m.onnx", b"plan", "not ONNX"),
        ("leaf.engine.onnx", b"plan", "not ONNX"),  # a graph may be called so
        ("m.engine", b"plan", r"belongs to an engine; pass the graph \(\.onnx\)"),
        ("m.engine.json", b"{}", "belongs to an engine"),
    ],
)
def test_what_is_no_graph_is_said_before_anything_of_building(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    said = []
    with pytest.raises(ArtifactError, match=reason):
        build_engine(tmp_path / name, tmp_path / "out.engine", say=said.append)
    assert said == []
