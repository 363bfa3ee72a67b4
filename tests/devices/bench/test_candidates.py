"""What a board compares: graphs of a bundle in its runtimes, and engines built there."""

from pathlib import Path
from types import SimpleNamespace

from edge_convnext.devices.bench.candidates import (
    cpu_candidates,
    engine_candidate,
    fused_for_others,
    list_candidates,
)
from edge_convnext.devices.bench.engines import BuiltEngine
from edge_convnext.runtimes import load as load_module


def graph(name, **fields):
    usual = {
        "name": name, "file": f"f/{name}", "kind": "cpu", "format": "qdq", "precision": "fp32",
        "form": "conv", "placement": None, "batch": None, "quantized_ops": None, "settings": {},
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **fields})


def bundle(*graphs):
    return SimpleNamespace(
        manifest=SimpleNamespace(
            graphs=graphs, member=lambda file: SimpleNamespace(sha256=f"sha of {file}")
        ),
        graph_path=lambda one: Path("/unpacked") / one.file,
    )


def test_a_graph_runs_in_every_runtime_that_takes_it():
    made = bundle(
        graph("model.int8.onnx", precision="int8", placement="inner", quantized_ops=4),
        graph("fused.onnx", format="onnxruntime"), graph("gpu/x.onnx", kind="typed20"),
    )  # fmt: skip
    found = cpu_candidates(made, ("onnxruntime", "openvino"), bf16=False)
    assert [one.name for one in found] == [
        "model.int8.onnx onnxruntime f32", "fused.onnx onnxruntime f32",
        "model.int8.onnx openvino f32",
    ]  # fmt: skip
    one = found[0]
    assert one.model.path == Path("/unpacked/f/model.int8.onnx")
    assert (one.model.precision, one.model.form, one.model.placement) == ("int8", "conv", "inner")
    assert (one.digest, one.batch, one.on_gpu) == ("sha of f/model.int8.onnx", None, False)


def test_openvino_runs_in_bfloat16_too_where_the_cpu_has_it():
    made = bundle(graph("a"), graph("b", precision="fp16", batch=2))
    found = cpu_candidates(made, ("onnxruntime", "openvino"), bf16=True)
    assert [one.name for one in found if one.hint == "bf16"] == ["a openvino bf16"]
    assert [one.batch for one in found if one.name.startswith("b")] == [2, 2]


def test_where_openvino_computes_in_float16_int8_has_that_to_beat(monkeypatch):
    monkeypatch.setattr(
        load_module, "runs_hint", lambda runtime, hint: (runtime, hint) == ("openvino", "f16")
    )
    made = bundle(graph("a"), graph("b", precision="fp16"), graph("c", precision="int8"))
    found = cpu_candidates(made, ("onnxruntime", "openvino"), bf16=False)
    names = ["a openvino f16", "c openvino f16"]
    assert [one.name for one in found if one.hint == "f16"] == names


def test_settings_that_the_build_timed_are_tried_beside_the_usual_ones():
    made = bundle(graph("a", settings={"onnxruntime": {"b": "2", "a": "1"}}))
    usual, own = cpu_candidates(made, ("onnxruntime",), bf16=False)
    assert (usual.settings, own.settings) == ((), (("a", "1"), ("b", "2")))
    assert own.name == "a onnxruntime f32+a=1+b=2"


def test_on_a_cpu_whose_products_overflow_the_exact_ones_are_tried_too():
    made = bundle(
        graph("a", precision="int8", settings={"onnxruntime": {"b": "2"}}), graph("float"),
    )  # fmt: skip
    exact = ("session.x64quantprecision", "1")
    found = list_candidates(made, ("onnxruntime", "openvino"), (), ("avx2",))
    own = [one.settings for one in found if one.runtime == "onnxruntime"]
    assert own == [(), (("b", "2"),), (exact,), (("b", "2"), exact), ()]
    others = [one for one in found if one.runtime == "openvino" and one.hint == "f32"]
    assert [one.settings for one in others] == [(), ()]
    usual = list_candidates(made, ("onnxruntime",), (), ("avx2", "avx512_vnni"))
    assert [one.settings for one in usual] == [(), (("b", "2"),), ()]


def test_what_is_fused_for_one_runtime_is_left_out_of_the_others_with_the_reason():
    made = bundle(
        graph("a"), graph("fused", format="onnxruntime"),
        graph("gpu/x", kind="typed20", format="onnxruntime"),
    )  # fmt: skip
    assert fused_for_others(made, ("onnxruntime",)) == []
    (one,) = fused_for_others(made, ("onnxruntime", "openvino"))
    assert one.artifact == "fused openvino"
    assert "fused for ONNX Runtime, and OpenVINO does not load" in one.reason


def test_a_model_of_litert_is_listed_where_litert_is_not_and_for_no_other_runtime():
    made = bundle(graph("a"), graph("model.int8.tflite", format="litert", precision="int8"))
    (one,) = fused_for_others(made, ("onnxruntime", "openvino"))
    assert one.artifact == "model.int8.tflite"
    assert one.reason == "LiteRT is not measured here; pip install 'edge-convnext[litert]'"
    assert fused_for_others(made, ("onnxruntime", "litert")) == []
    found = cpu_candidates(made, ("onnxruntime", "litert"), False)
    assert {(one.name.split()[0], one.runtime) for one in found} == {
        ("a", "onnxruntime"), ("model.int8.tflite", "litert")
    }  # fmt: skip


def test_an_engine_is_what_its_graph_is_at_its_own_precision():
    source = graph("gpu/fp32.onnx", form="mixed", placement="blocks", batch=8, precision="fp32")
    engine = BuiltEngine(source, Path("made.engine"), "fp16", "tensorrt", "key", 1.0, False)
    found = engine_candidate(engine)
    assert found.name == engine.name == "gpu/fp32.onnx tensorrt fp16"
    assert (found.model.precision, found.model.form, found.model.placement) == (
        "fp16", "mixed", "blocks",
    )  # fmt: skip
    assert (found.digest, found.batch, found.hint, found.on_gpu) == ("key", 8, None, True)
