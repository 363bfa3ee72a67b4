"""What DeepStream's nvinfer is given, held to nvinfer's own formula and parser."""

import configparser
import shutil
import stat
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper
from support.deployables import LABELS, ship, write_graph
from support.trt_stand_ins import CLASSES

from edge_convnext.core.artifacts import OnnxModel, Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.deploy.deepstream import tell_scaling
from edge_convnext.devices.deploy.write import write_deployment
from edge_convnext.report.manifest import write_manifest
from edge_convnext.stages.to_uint8_images import use_uint8_images

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4)).astype(np.float32)


def with_weights(path):
    """The graph of no sense, with some."""
    proto = onnx.load(path)
    weight = np.random.default_rng(1).standard_normal((48, CLASSES), dtype=np.float32)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "weight"))
    onnx.save(proto, path)
    return weight


def make(folder, kind="float32", batch="batch"):
    """A build with a graph for a GPU in this type, and its weights."""
    path = folder / "gpu" / "int8.b1.onnx"
    types = {"float16": TensorProto.FLOAT16}
    write_graph(path, batch, types.get(kind, TensorProto.FLOAT))
    weight = with_weights(path)
    if kind in ("nhwc", "nchw"):
        use_uint8_images(OnnxModel(path, "int8", "linear"), path, kind)
    write_graph(folder / "model.int8.onnx")
    ship(folder, "int8")
    write_manifest(folder, sorted(one for one in folder.rglob("*") if one.is_file()))
    return weight


def deploy(folder, out, **options):
    files = write_deployment(folder, "deepstream", out, **options)
    config = configparser.ConfigParser()
    config.read(out / "config_infer.txt")
    return {path.as_posix() for path in files}, config["property"]


@pytest.mark.parametrize("kind", ["float32", "float16", "nhwc", "nchw"])
def test_by_nvinfers_formula_the_answers_are_those_of_predict(tmp_path, kind):
    weight = make(tmp_path / "build", kind)
    files, config = deploy(tmp_path / "build", tmp_path / "out")
    assert files == {"model.onnx", "config_infer.txt", "labels.txt", "build_engine.sh"}
    assert config["model-color-format"] == "0"  # RGB
    offsets = [float(one) for one in config.get("offsets", "0;0;0").split(";")]
    passed = float(config["net-scale-factor"]) * (PIXELS - np.reshape(offsets, (-1, 1, 1)))
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    (images,), (answers,) = session.get_inputs(), session.get_outputs()
    assert (images.type, answers.type) == ("tensor(float)", "tensor(float)")
    assert answers.name == config["output-blob-names"]
    assert [str(one) for one in images.shape[1:]] == config["infer-dims"].split(";")
    (found,) = session.run(None, {images.name: passed.astype(np.float32)})
    usual = Preprocess()
    normal = (PIXELS / 255 - np.reshape(usual.mean, (-1, 1, 1))) / np.reshape(usual.std, (-1, 1, 1))
    logits = normal.reshape(2, -1) @ weight
    wanted = np.exp(logits - logits.max(1, keepdims=True))
    wanted /= wanted.sum(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=2e-2 if kind == "float16" else 1e-5)
    # The classifier takes the largest of what exceeds the threshold.
    assert float(config["classifier-threshold"]) < found.max(1).min()


def test_labels_are_one_line_between_semicolons(tmp_path):
    make(tmp_path / "build")
    deploy(tmp_path / "build", tmp_path / "out")
    (line,) = (tmp_path / "out" / "labels.txt").read_text("utf-8").splitlines()
    assert line.split(";") == list(LABELS)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [("batch", ["--minShapes=rgb_pixels:1x3x4x4", "--optShapes=rgb_pixels:4x3x4x4",
                "--maxShapes=rgb_pixels:4x3x4x4"]), (1, [])],
)  # fmt: skip
def test_trtexec_builds_the_engine_that_the_configuration_names(tmp_path, batch, expected):
    make(tmp_path / "build", batch=batch)
    _, config = deploy(tmp_path / "build", tmp_path / "out", max_batch=4)
    assert config["batch-size"] == ("1" if batch == 1 else "4")
    assert "onnx-file" not in config  # nvinfer would build it without INT8
    script = tmp_path / "out" / "build_engine.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    shell = shutil.which("sh")
    stand_in = tmp_path / "trtexec"
    stand_in.write_text(f'#!{shell}\nprintf "%s\\n" "$@" > {tmp_path}/given\n')
    stand_in.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run([script], check=True, env=environment, cwd=tmp_path)
    given = (tmp_path / "given").read_text().splitlines()
    engine = config["model-engine-file"]
    assert given == ["--onnx=model.onnx", f"--saveEngine={engine}", "--fp16", "--int8", *expected]


def test_a_typed_graph_is_built_typed(tmp_path):
    make(tmp_path / "build")
    path = tmp_path / "build" / "gpu" / "int8.b1.onnx"
    proto = onnx.load(path)
    proto.opset_import[0].version = 20
    onnx.save(proto, path)
    folder = tmp_path / "build"
    write_manifest(folder, sorted(one for one in folder.rglob("*") if one.is_file()))
    deploy(folder, tmp_path / "out")
    script = (tmp_path / "out" / "build_engine.sh").read_text()
    assert "--stronglyTyped" in script
    assert "--int8" not in script


def test_an_engine_or_a_build_without_graphs_for_a_gpu_is_refused(tmp_path, build):
    with pytest.raises(ArtifactError, match="no graph for TensorRT that this format can use"):
        write_deployment(build, "deepstream", tmp_path / "a")
    with pytest.raises(ArtifactError, match=r"an engine, and deepstream takes a graph"):
        write_deployment(build, "deepstream", tmp_path / "a", build / "model.int8.engine")


def test_what_nvinfer_scales_otherwise_is_told():
    plain = tell_scaling(Preprocess())
    assert "whole frame to 224x224" in plain
    assert "cut from the centre" not in plain
    other = tell_scaling(Preprocess((64, 96), "shortest", 0.9, "bicubic"))
    assert "to 96x64" in other
    assert "bicubic and cut from the centre" in other
