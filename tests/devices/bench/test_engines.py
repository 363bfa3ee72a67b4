import pytest
from support.bench_boards import Builder, graph

from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bench.engines import build_engines, graphs_for

pytest.importorskip("torch", reason="the build extra is not installed")


GPU = (
    graph("gpu/fp16.b1.onnx", "fp16", "typed20"),
    graph("gpu/int8.b1.onnx", "int8", "typed20"),
    graph("gpu/fp32.b1.opset17.onnx", "fp32", "opset17"),
    graph("gpu/int8.b1.opset17.onnx", "int8", "opset17"),
    graph("model.int8.onnx", "int8", "cpu"),
)


@pytest.mark.parametrize(
    ("version", "runtime", "expected"),
    [
        (
            "8.6.2",
            "tensorrt",
            {"fp16": "gpu/fp32.b1.opset17.onnx", "int8": "gpu/int8.b1.opset17.onnx"},
        ),
        ("10.3.0", "tensorrt", {"fp16": "gpu/fp16.b1.onnx", "int8": "gpu/int8.b1.onnx"}),
        ("11.4.0", "tensorrt", {"fp16": "gpu/fp16.b1.onnx", "int8": "gpu/int8.b1.onnx"}),
        ("1.7.1", "tensorrt_rtx", {"fp16": "gpu/fp16.b1.onnx", "int8": "gpu/int8.b1.onnx"}),
    ],
)
def test_each_tensorrt_gets_the_graphs_it_reads(version, runtime, expected):
    chosen = {precision: one.name for one, precision in graphs_for(Builder(version, runtime), GPU)}
    assert chosen == {"fp32": "gpu/fp32.b1.opset17.onnx", **expected}


def test_engines_are_built_once_and_a_failed_one_is_told(tmp_path):
    graphs = []
    for one in GPU:
        path = tmp_path / one.name.replace("/", "-")
        path.write_bytes(one.name.encode())
        graphs.append((one, path, sha256_file(path)))
    builder = Builder(fails="int8")
    built, failed = build_engines(builder, graphs, tmp_path / "engines")
    assert [one.precision for one in built] == ["fp16", "fp32"]
    assert [(one.graph.precision, one.reason) for one in failed] == [("int8", "no kernel")]
    builder.fails = None
    built, failed = build_engines(builder, graphs, tmp_path / "engines")
    assert {one.precision: one.reused for one in built} == {
        "fp16": True, "int8": False, "fp32": True
    }  # fmt: skip
    assert {cache for _, _, cache in builder.built} == {"tensorrt.timing"}  # shared
    newer = Builder("10.7.0")
    build_engines(newer, graphs, tmp_path / "engines")
    assert len(newer.built) == 3  # another version's engines are not taken
