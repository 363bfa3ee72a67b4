import json
from types import SimpleNamespace

import pytest
from support.fake_tensorrt import DEVICE
from support.tiny_qdq import quantized_product

from edge_convnext.core.errors import (
    ArtifactError,
    EngineBuildError,
    MissingDependencyError,
    QuantizationError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.runtimes.tensorrt import TensorRtConfig, build_engine, builder
from edge_convnext.runtimes.tensorrt import api as api_module
from edge_convnext.runtimes.tensorrt.api import Api, is_installed, open_api
from edge_convnext.runtimes.tensorrt.graph import check_precision
from edge_convnext.runtimes.tensorrt.inspector import count_int8, parse_layers
from edge_convnext.runtimes.tensorrt.native import set_profile
from edge_convnext.runtimes.tensorrt.sidecar import read_facts, sidecar_path
from edge_convnext.runtimes.tensorrt.timing_cache import load_timings, save_timings

_ATTRIBUTES = {
    "8.6.2": {
        "NetworkDefinitionCreationFlag": {"EXPLICIT_BATCH": 0},
        "BuilderFlag": {"FP16": 0, "INT8": 1, "PREFER_PRECISION_CONSTRAINTS": 12},
    },
    "10.3.0": {
        "NetworkDefinitionCreationFlag": {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
        "BuilderFlag": {"FP16": 0, "INT8": 1, "PREFER_PRECISION_CONSTRAINTS": 12},
    },
    "11.4.0": {"NetworkDefinitionCreationFlag": {"STRONGLY_TYPED": 1}, "BuilderFlag": {}},
}


def api(version):
    """What of a version decides which calls are made."""
    parts = {kind: SimpleNamespace(**values) for kind, values in _ATTRIBUTES[version].items()}
    return Api("tensorrt", SimpleNamespace(**parts, DataType=SimpleNamespace(FLOAT="f32")), version)


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


@pytest.mark.parametrize(
    ("version", "have", "want", "reason"),
    [
        ("8.6.2", "fp32", "int8", "8.6 makes fp16 of an fp32 graph, and int8 of a quantized one"),
        ("8.6.2", "fp16", "fp32", "8.6 makes"),
        ("10.3.0", "fp32", "fp16", "builds the types that the graph states: pass the fp16 graph"),
    ],
)
def test_a_precision_that_the_graph_does_not_have_is_refused(tmp_path, version, have, want, reason):
    with pytest.raises(EngineBuildError, match=reason):
        check_precision(tmp_path / "m.onnx", have, want, api(version))
    check_precision(tmp_path / "m.onnx", "fp32", "fp16", api("8.6.2"))


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


class Timings:
    """A timing cache: device and entries, as text."""

    def __init__(self, text):
        self.device, *self.entries = text.split()

    def combine(self, other, ignore_mismatch):
        assert not ignore_mismatch
        if other.device != self.device:
            return False
        self.entries += [entry for entry in other.entries if entry not in self.entries]
        return True

    def serialize(self):
        return bytearray(" ".join([self.device, *self.entries]), "ascii")


class Builds:
    """A builder's settings on one device."""

    def __init__(self, device):
        self.device, self.timings = device, None

    def create_timing_cache(self, data):
        if data == b"damaged":
            raise TypeError("factory function returned nullptr")
        return Timings(data.decode() or self.device)

    def set_timing_cache(self, timings, ignore_mismatch):
        assert not ignore_mismatch
        if timings.device != self.device:
            return False
        self.timings = timings
        return True

    def get_timing_cache(self):
        return self.timings


def test_builds_that_share_a_timing_cache_lose_nothing(tmp_path):
    path = tmp_path / "timings"
    one, other = Builds("orin"), Builds("orin")
    assert load_timings(one, path) is None
    assert load_timings(other, path) is None
    one.timings.entries.append("conv")
    other.timings.entries.append("gemm")
    assert save_timings(one, path) is None
    assert save_timings(other, path) is None
    assert path.read_text() == "orin conv gemm"
    third = Builds("orin")
    assert load_timings(third, path) is None
    assert third.timings.entries == ["conv", "gemm"]


@pytest.mark.parametrize("content", ["thor conv", "damaged"])
def test_timings_of_another_gpu_are_said_and_replaced(tmp_path, content):
    path = tmp_path / "timings"
    path.write_text(content)
    settings = Builds("orin")
    assert "was not used" in load_timings(settings, path)
    settings.timings.entries.append("conv")
    assert "is replaced" in save_timings(settings, path)
    assert path.read_text() == "orin conv"
    assert [one.name for one in tmp_path.iterdir() if not one.name.startswith(".")] == ["timings"]


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
    assert said == ["building m.engine: minutes, where the timing cache is new"]
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
        ("m.engine", b"plan", r"is of an engine; pass the \.onnx graph"),
        ("m.engine.json", b"{}", "is of an engine"),
    ],
)
def test_what_is_no_graph_is_said_before_anything_of_building(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    said = []
    with pytest.raises(ArtifactError, match=reason):
        build_engine(tmp_path / name, tmp_path / "out.engine", say=said.append)
    assert said == []


@pytest.mark.skipif(is_installed("tensorrt"), reason="TensorRT is installed")
def test_without_tensorrt_it_says_where_it_comes_from():
    with pytest.raises(MissingDependencyError, match="comes with JetPack"):
        open_api("tensorrt")


def test_tensorrt_8_5_is_told_to_use_onnx_runtime(monkeypatch):
    old = SimpleNamespace(__version__="8.5.2.2")
    monkeypatch.setattr(api_module, "import_module", lambda name: old)
    open_api.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"8\.5\.2\.2 has no LayerNormalization"):
        open_api("tensorrt")


def layer(kind, reads, writes, **more):
    tensor = {"Name": "x", "Dimensions": [1, 8, 4, 4]}
    return {
        "Name": "b.pwconv1", "LayerType": kind, "Inputs": [{**tensor, **reads}],
        "Outputs": [{**tensor, **writes}], "Metadata": "[ONNX Layer: b.pwconv1/Conv]", **more,
    }  # fmt: skip


def test_layers_of_8_6_and_of_10_are_read_alike():
    eight = layer(
        "CaskConvolution",
        {"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"},
        {"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"},
        Weights={"Type": "Int8", "Count": 64},
    )
    ten = layer("gemm", {"Format": "Row major", "Datatype": "Int8"}, {"Datatype": "Half"})
    reformat = layer("Reformat", {"Datatype": "Int8"}, {"Datatype": "Half"})
    kernels = parse_layers(json.dumps({"Layers": [eight, ten, reformat], "Bindings": []}))
    assert [[t.dtype for t in (*k.inputs, *k.outputs)] for k in kernels] == [["Int8", "Half"]] * 3
    assert kernels[0].weight_bytes == 64
    assert kernels[0].nodes == ("b.pwconv1/Conv",)
    assert count_int8(kernels) == 2


@pytest.mark.parametrize("text", ["", "{", '{"Layers": ["name alone"]}', '{"Layers": null}'])
def test_an_inspector_that_says_less_gives_no_layers(text):
    assert parse_layers(text) == ()
