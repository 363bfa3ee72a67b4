import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from onnx import TensorProto
from support.deployables import LABELS, triton, write_graph
from support.trt_stand_ins import CLASSES

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.manifest import write_manifest


def model_config(text):
    """Parse with Triton's own schema."""
    text_format = pytest.importorskip("google.protobuf.text_format")
    try:
        files = distribution("tritonclient").files or []
    except PackageNotFoundError:
        pytest.skip("Triton's schema comes with tritonclient, which is not installed")
    path = next(file.locate() for file in files if str(file).endswith("grpc/model_config_pb2.py"))
    spec = spec_from_file_location("model_config_pb2", path)  # without grpc, which it needs not
    schema = sys.modules.get("model_config_pb2") or module_from_spec(spec)
    if "model_config_pb2" not in sys.modules:
        sys.modules["model_config_pb2"] = schema
        spec.loader.exec_module(schema)
    return schema, text_format.Parse(text, schema.ModelConfig())


def test_a_triton_repository_has_the_engines_names_and_batch(build, tmp_path):
    text = triton(build, tmp_path / "repository")
    files = {
        path.relative_to(tmp_path / "repository").as_posix()
        for path in (tmp_path / "repository").rglob("*.*")
    }
    assert files == {
        "convnextv2_atto/config.pbtxt",
        "convnextv2_atto/labels.txt",
        "convnextv2_atto/prepare.py",
        "convnextv2_atto/1/model.plan",
    }
    labels = (tmp_path / "repository/convnextv2_atto/labels.txt").read_text(encoding="utf-8")
    assert tuple(labels.splitlines()) == LABELS
    schema, config = model_config(text)
    assert (config.name, config.platform) == ("convnextv2_atto", "tensorrt_plan")
    assert config.max_batch_size == 4  # the engine's profile, though 8 was the default
    images, logits = config.input[0], config.output[0]
    assert (images.name, list(images.dims)) == ("pixels", [3, 4, 4])
    assert (logits.name, list(logits.dims)) == ("scores", [CLASSES])
    assert images.data_type == logits.data_type == schema.TYPE_FP32
    assert logits.label_filename == "labels.txt"
    assert config.dynamic_batching.max_queue_delay_microseconds == 100


def test_the_configuration_is_what_triton_documents(build, tmp_path):
    assert triton(build, tmp_path / "a", model=build / "model.int8.onnx", max_batch=2) == (
        'name: "convnextv2_atto"\n'
        'platform: "onnxruntime_onnx"\n'
        "max_batch_size: 2\n"
        'input [\n  {\n    name: "pixels"\n    data_type: TYPE_FP32\n    dims: [ 3, 4, 4 ]\n'
        "  }\n]\n"
        'output [\n  {\n    name: "scores"\n    data_type: TYPE_FP32\n    dims: [ 5 ]\n'
        '    label_filename: "labels.txt"\n  }\n]\n'
        "dynamic_batching { max_queue_delay_microseconds: 100 }\n"
    )


def test_a_triton_repository_of_an_onnx_model(build, tmp_path):
    model = build / "model.fp32.onnx"
    text = triton(build, tmp_path / "a", model=model, max_batch=16, queue_delay_us=500)
    assert not (tmp_path / "a/convnextv2_atto/labels.txt").exists()  # nobody named the classes
    assert (tmp_path / "a/convnextv2_atto/1/model.onnx").read_bytes() == model.read_bytes()
    _, config = model_config(text)
    assert (config.platform, config.max_batch_size) == ("onnxruntime_onnx", 16)
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    assert config.output[0].label_filename == ""


def test_a_fixed_batch_is_a_size_like_any_other(build, tmp_path):
    graph = write_graph(build / "fixed.onnx", batch=2, kind=TensorProto.UINT8)
    write_manifest(build, [graph, build / "report.json"])
    schema, config = model_config(triton(build, tmp_path / "a", model=graph))
    assert config.max_batch_size == 0
    assert list(config.input[0].dims) == [2, 3, 4, 4]
    assert list(config.output[0].dims) == [2, CLASSES]
    assert config.input[0].data_type == schema.TYPE_UINT8
    assert not config.HasField("dynamic_batching")


def test_engines_of_tensorrt_for_rtx_are_not_for_triton(build, tmp_path):
    with pytest.raises(ArtifactError, match="Triton runs no engines of TensorRT for RTX"):
        triton(build, tmp_path / "a", model=build / "model.int8.rtx.engine")
    assert not (tmp_path / "a").exists()
    (build / "model.int8.engine").unlink()
    assert "onnxruntime_onnx" in triton(build, tmp_path / "a")
