import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from support import trt_stand_ins
from support.example_report import example_report
from support.trt_stand_ins import CLASSES, CUDA_RUNTIME_API_H, NV_INFER_H
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.data import decode_image
from edge_convnext.devices.deploy import facts as facts_module
from edge_convnext.devices.deploy import write
from edge_convnext.devices.deploy.facts import read_deployable
from edge_convnext.devices.deploy.provenance import require_whole_engine
from edge_convnext.devices.deploy.write import choose_for, write_deployment
from edge_convnext.report.contract import BoardReport, BundledFile, Report
from edge_convnext.report.manifest import write_manifest

TEMPLATES = Path(write.__file__).with_name("templates")
SCRIPT = TEMPLATES / "classify.py"
NAMES = ("pixels", "scores")  # not those that builds have: nothing may assume any
LABELS = ("cat", 'a "dog"', "häher", "what??/", "5")


def write_graph(path, batch="batch", kind=TensorProto.FLOAT, names=NAMES, labels=LABELS, **facts):
    """A graph of no sense with a build's metadata, [batch, 3, 4, 4] to [batch, 5]."""
    source, result = names
    weight = onnx.numpy_helper.from_array(np.zeros((48, CLASSES), np.float32), "weight")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [source], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["float"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], [result]),
        ],
        "tiny",
        [helper.make_tensor_value_info(source, kind, [batch, 3, 4, 4])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, [batch, CLASSES])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    info = ModelInfo(
        "convnextv2_atto", CLASSES, 3, labels, Preprocess(image_size=4), "random", "0" * 64, None
    )
    helper.set_model_props(model, info.to_metadata(precision="int8", form="linear", **facts))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def write_engine(path, graph, runtime="tensorrt", **fields):
    path.write_bytes(b"plan")
    carried = {entry.key: entry.value for entry in onnx.load(graph).metadata_props}
    facts = {
        "runtime": runtime,
        "onnx_sha256": sha256_file(graph),
        "engine_sha256": sha256_file(path),
        "profile": {"input": "pixels", "max": [4, 3, 4, 4]},
        "flags": {},
        "model": json.loads(next(iter(carried.values()))),
        **fields,
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(facts))
    return path


@pytest.fixture
def build(tmp_path):
    """A build with an ONNX model, an engine of each runtime, and the graph of the engines."""
    folder = tmp_path / "build"
    graph = write_graph(folder / "model.int8.onnx")
    write_graph(folder / "model.fp32.onnx", labels=())
    write_engine(folder / "model.int8.rtx.engine", graph, "tensorrt_rtx")
    write_engine(folder / "model.int8.engine", graph)
    ship(folder, "int8")
    return folder


def ship(folder, precision):
    """The verdict of a build."""
    report = example_report()
    verdict = report.verdict.model_copy(update={"ship": precision})
    report.model_copy(update={"verdict": verdict}).write(folder / "report.json")
    write_manifest(folder, sorted(path for path in folder.iterdir() if path.is_file()))


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


def triton(build, out, **options):
    write_deployment(build, "triton", out, **options)
    return (out / "convnextv2_atto" / "config.pbtxt").read_text()


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


def test_what_the_verdict_ships_is_deployed(build, tmp_path):
    ship(build, "fp32")
    for engine in build.glob("*.engine"):
        engine.unlink()
    write_deployment(build, "triton", tmp_path / "a")
    shipped = tmp_path / "a/convnextv2_atto/1/model.onnx"
    assert shipped.read_bytes() == (build / "model.fp32.onnx").read_bytes()
    assert "label_filename" not in (shipped.parents[1] / "config.pbtxt").read_text()


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


@pytest.mark.parametrize("kind", ["python", "cpp"])
def test_programs_get_the_classic_engine_first(build, tmp_path, kind):
    files = write_deployment(build, kind, tmp_path / "a")
    names = {path.as_posix() for path in files}
    assert {"model.engine", "model.engine.json"} < names
    assert json.loads((tmp_path / "a/model.engine.json").read_text())["runtime"] == "tensorrt"
    (build / "model.int8.engine").unlink()
    write_deployment(build, kind, tmp_path / "b")
    assert json.loads((tmp_path / "b/model.engine.json").read_text())["runtime"] == "tensorrt_rtx"


def test_what_can_not_be_deployed_is_said_in_one_line(build, tmp_path):
    def refused(match, *arguments, **options):
        with pytest.raises(ArtifactError, match=match) as error:
            write_deployment(*arguments, **options)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()

    out = tmp_path / "out"
    refused("no report.json", tmp_path, "python", out)
    refused("python runs engines", build, "python", out, model=build / "model.int8.onnx")
    refused("can't be read", build, "python", out, model=build / "absent.engine")
    lost = write_graph(build / "lost.onnx", batch=3)
    write_manifest(build, [path for path in sorted(build.iterdir()) if "engine" not in path.name])
    engine = write_engine(build / "lost.engine", lost)
    lost.unlink()
    refused("the ONNX graph it was built from", build, "triton", out, model=engine)
    write_deployment(build, "cpp", tmp_path / "elsewhere", engine)  # it asks the engine itself
    foreign = tmp_path / "foreign.onnx"
    model = onnx.load(build / "model.int8.onnx")
    del model.metadata_props[:]
    onnx.save(model, foreign)
    refused("no edge-convnext metadata", build, "triton", out, model=foreign)
    for engine in build.glob("*.engine"):
        engine.unlink()
    refused("no engine that this format can use", build, "cpp", out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(ArtifactError, match="is there already"):
        write_deployment(build, "triton", tmp_path / "full")
    report = Report.read(build / "report.json")
    data = tmp_path / "images"
    data.mkdir()
    recipe = {**report.recipe, "data": {"source": str(data)}}
    report.model_copy(update={"recipe": recipe}).write(build / "report.json")
    with pytest.raises(ArtifactError, match="choose an --out outside of the data"):
        write_deployment(build, "triton", data / "out")
    assert not list(data.iterdir())


def test_only_whole_models_of_the_build_are_deployed(build, tmp_path):
    def refused(match, kind="python", **options):
        with pytest.raises(ArtifactError, match=match) as error:
            write_deployment(build, kind, tmp_path / "out", **options)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()

    other = tmp_path / "other"
    graph = write_graph(other / "model.int8.onnx", batch=2, labels=("a", "b", "c", "d", "e"))
    engine = write_engine(other / "model.int8.engine", graph)
    engine.write_bytes(b"another plan")
    refused("is not the engine that model.int8.engine.json describes", model=engine)
    sidecar = engine.with_name(f"{engine.name}.json")
    facts = {**json.loads(sidecar.read_text()), "engine_sha256": sha256_file(engine)}
    sidecar.write_text(json.dumps(facts))
    for kind in ("python", "cpp", "triton"):
        refused("neither it nor its graph is a file of", kind, model=engine)
    refused(r"model\.int8\.onnx: it is no file of .*, so classes", "triton", model=graph)
    shutil.copy(engine, build)  # both over those of the build
    shutil.copy(sidecar, build)
    refused("is not the file that the build's manifest.json states")
    (build / "model.int8.engine").write_bytes(b"pl")
    refused("the SHA-256 differs")


def test_an_engine_that_the_device_built_of_a_graph_of_the_build_is_deployed(build, tmp_path):
    engine = write_engine(tmp_path / "here.engine", build / "model.int8.onnx")
    assert write_deployment(build, "python", tmp_path / "out", engine)


def test_what_a_board_measured_is_deployed_from_its_folder(build, tmp_path):
    engine = build / "model.int8.engine"
    board = tmp_path / "board"
    board.mkdir()
    for path in (engine, engine.with_name(f"{engine.name}.json")):
        shutil.copy(path, board)
    report = board_report([("model.int8.onnx", sha256_file(build / "model.int8.onnx"))])
    report.write(board / "report.json")
    with pytest.raises(ArtifactError, match=r"manifest\.json: is missing"):
        write_deployment(board, "python", tmp_path / "a")
    write_manifest(board, [board / "report.json"])
    assert write_deployment(board, "python", tmp_path / "a")
    board_report([("model.int8.onnx", "0" * 64)]).write(board / "report.json")
    write_manifest(board, [board / "report.json"])
    with pytest.raises(ArtifactError, match="neither it nor its graph is a file of"):
        write_deployment(board, "python", tmp_path / "b")


def board_report(graphs):
    report = example_report()
    board = BoardReport(
        name="a board",
        bundle_sha256="0" * 64,
        graphs=tuple(BundledFile(path=path, sha256=sha256) for path, sha256 in graphs),
        ships="model.int8.engine",
    )
    return report.model_copy(update={"board": board})


@pytest.mark.parametrize(
    ("verdict", "options", "said"),
    [
        ("int8", (), "the verdict ships INT8"),
        (
            "undecided",
            (),
            "the verdict is undecided: a guess among 2; --model takes another",
        ),
        ("fp16", (), "the verdict ships FP16, which this format has no file of here; --model"),
        ("undecided", ("--model", "model.int8.b8.engine"), "as --model says"),
    ],
)
def test_the_command_says_which_file_it_took_and_why(build, tmp_path, verdict, options, said):
    for batch in (16, 8):  # smallest first, whatever the names sort like
        write_engine(
            build / f"model.int8.b{batch}.engine",
            build / "model.int8.onnx",
            precision="int8",
            compute_capabilities=["8.6", "12.0"],
            batch=batch,
        )
    (build / "model.int8.engine").unlink()
    ship(build, verdict)
    named = [str(build / one) if one.endswith(".engine") else one for one in options]
    out = ["--format", "python", "--out", str(tmp_path / "out")]
    answer = CliRunner().invoke(app, ["deploy", str(build), *out, *named])
    assert answer.exit_code == 0, answer.exception
    first = answer.stdout.splitlines()[0]
    what = "int8, TensorRT, compute capability 8.6, 12.0, batch 8"
    assert first.startswith(f"{build / 'model.int8.b8.engine'} ({what}): {said}")


@pytest.mark.parametrize(
    ("verdict", "taken", "said"),
    [
        ("int8", "int8.b1.engine", "the verdict ships INT8"),
        ("fp16", "fp16.b1.engine", "the verdict ships FP16"),
        ("undecided", "int8.b1.engine", "the verdict is undecided: a guess among 4; --model"),
        ("fp32", "fp16.b1.engine", "the verdict ships FP32, which this format has no file of"),
    ],
)
def test_engines_of_a_gpu_build_are_known_by_their_names(build, verdict, taken, said):
    for engine in build.glob("*.engine"):
        engine.unlink()
    for precision in ("fp16", "int8"):
        graph = write_graph(build / "gpu" / f"{precision}.b1.onnx")
        for batch in (8, 1):
            write_engine(build / "gpu" / f"{precision}.b{batch}.engine", graph)
    ship(build, verdict)
    choice = choose_for("python", build)
    assert (choice.path, choice.why[: len(said)]) == (build / "gpu" / taken, said)


@pytest.mark.parametrize(
    "fields",
    [
        {"profile": {"max": 3}},
        {"profile": {"max": []}},
        {"profile": [4]},
        {"flags": [1]},
        {"batch": "1"},
        {"onnx_sha256": ["0"]},
        {"precision": 8},
        {"compute_capabilities": "8.6"},
        {"model": [1]},
    ],
)
def test_a_sidecar_of_other_types_is_damaged(build, fields):
    engine = write_engine(build / "model.int8.engine", build / "model.int8.onnx", **fields)
    said = rf"engine\.json: damaged \('{next(iter(fields))}' is not what .*build the engine again"
    with pytest.raises(ArtifactError, match=said):
        read_deployable(engine, build)


def test_what_an_older_sidecar_does_not_tell_is_left_out(build):
    write_manifest(build, [build / "model.int8.onnx", build / "report.json"])
    fields = {"profile": None, "flags": None}
    engine = write_engine(build / "model.int8.engine", build / "model.int8.onnx", **fields)
    model = read_deployable(engine, build)
    assert (model.precision, model.version_compatible) == (None, False)
    assert model.label == "TensorRT"


def test_a_sidecar_can_not_steer_the_terminal_and_its_engine_is_read_once(
    build, tmp_path, monkeypatch
):
    fields = {"precision": "int8\x1b[2J", "compute_capabilities": ["8.6\nforged"]}
    engine = write_engine(build / "model.int8.engine", build / "model.int8.onnx", **fields)
    write_manifest(build, [build / "model.int8.onnx", engine, build / "report.json"])
    read = []
    monkeypatch.setattr(
        facts_module,
        "require_whole_engine",
        lambda path: read.append(path) or require_whole_engine(path),
    )
    arguments = ["deploy", str(build), "--format", "python", "--out", str(tmp_path / "out")]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.exception
    first, second, *_ = answer.stdout.splitlines()
    assert r"(int8\x1b[2J, TensorRT, compute capability 8.6\x0aforged, batch up to 4)" in first
    assert second.endswith("classify.py")
    assert read == [engine]


def test_an_engine_names_no_module_that_the_script_would_import(build, tmp_path, monkeypatch):
    for name in ("os", "tensorrt.plugins", "", None, ["tensorrt"], "x" * 999):
        engine = write_engine(build / "model.int8.engine", build / "model.int8.onnx", name)
        write_manifest(build, [build / "model.int8.onnx", engine, build / "report.json"])
        for kind in ("python", "cpp", "triton"):
            with pytest.raises(ArtifactError, match="which is no runtime of engines") as said:
                write_deployment(build, kind, tmp_path / "out", engine)
            assert len(str(said.value)) < 700
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["wave", None, ["tensorrt"], {}])
def test_the_script_imports_no_other_module_than_tensorrt(
    build, tmp_path, monkeypatch, photograph, name
):
    out = tmp_path / "out"
    write_deployment(build, "python", out)
    (out / "wave.py").write_text("raise RuntimeError('it was imported')")
    monkeypatch.syspath_prepend(out)
    sidecar = out / "model.engine.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "runtime": name}))
    script(monkeypatch)
    with pytest.raises(SystemExit, match="no TensorRT is called"):
        run_script(monkeypatch, out, photograph)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 3}', '{"model": {}}'])
def test_a_damaged_sidecar_ends_the_script_in_one_line(
    build, tmp_path, monkeypatch, photograph, content
):
    write_deployment(build, "python", tmp_path / "out")
    (tmp_path / "out" / "model.engine.json").write_text(content)
    script(monkeypatch)
    with pytest.raises(SystemExit) as said:
        run_script(monkeypatch, tmp_path / "out", photograph)
    assert "\n" not in said.value.code
    assert "usage: python classify.py" in said.value.code


def test_logits_that_are_no_numbers_are_no_answer_of_the_script(
    build, tmp_path, monkeypatch, photograph, capsys
):
    write_deployment(build, "python", tmp_path / "out")
    script(monkeypatch)
    run = trt_stand_ins.Context.execute_async_v3

    def overflow(self, stream):
        run(self, stream)
        at = self._at[self._engine._names[1]]
        trt_stand_ins.view(at, (self._batch, CLASSES), np.float32)[...] = np.nan
        return True

    monkeypatch.setattr(trt_stand_ins.Context, "execute_async_v3", overflow)
    with pytest.raises(SystemExit, match="logits that are no numbers"):
        run_script(monkeypatch, tmp_path / "out", photograph)
    assert capsys.readouterr().out == ""


def test_a_build_whose_manifest_was_removed_is_not_deployed(build, tmp_path):
    (build / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json: is missing"):
        write_deployment(build, "python", tmp_path / "out")
    ship(build, "int8")
    report = build / "report.json"
    report.write_text(report.read_text().replace('"ship": "int8"', '"ship": "fp32"'))
    with pytest.raises(ArtifactError, match=r"report\.json: is not the file that .*manifest"):
        write_deployment(build, "python", tmp_path / "out")


def test_a_failure_leaves_nothing(build, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    before = set(tmp_path.iterdir())
    with pytest.raises(ArtifactError, match="can't be written"):
        write_deployment(build, "triton", tmp_path / "out")
    assert set(tmp_path.iterdir()) == before


def test_the_command(build, tmp_path):
    out = tmp_path / "out"
    arguments = ["deploy", str(build), "--format", "python", "--out", str(out), "--json"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["files"] == [
        "classify.py",
        "model.engine",
        "model.engine.json",
    ]
    shown = CliRunner().invoke(app, ["deploy", str(build), "--format", "cpp", "-o", f"{out}2"])
    assert str(tmp_path / "out2" / "model.h") in shown.stdout.split()


def test_the_script_is_sixty_lines():
    assert len(SCRIPT.read_text().splitlines()) <= 60


def script(monkeypatch, trt=None, name="tensorrt", **options):
    cuda = trt_stand_ins.cuda(options.pop("fails", None))
    trt_stand_ins.install(monkeypatch, trt or trt_stand_ins.tensorrt(), cuda, name, **options)


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("photograph") / "leaf.png"
    pixels = np.random.default_rng(0).integers(0, 256, (90, 61, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(image_size=32),
        Preprocess(image_size=32, resize="shortest", crop_pct=0.875, interpolation="bicubic"),
        Preprocess(image_size=33, resize="shortest", crop_pct=0.9, interpolation="lanczos"),
        Preprocess(image_size=30, resize="shortest", mean=(0.5, 0.4, 0.3), std=(0.5, 0.2, 0.1)),
    ],
)
def test_the_script_prepares_an_image_as_the_package_does(
    monkeypatch, photograph, preprocess, channels
):
    script(monkeypatch)
    read_image = runpy.run_path(str(SCRIPT))["read_image"]
    model = {"preprocess": asdict(preprocess), "in_channels": channels}
    images = read_image(photograph, model)
    wanted = decode_image(photograph, preprocess, channels)[None]
    assert images.shape == wanted.shape
    np.testing.assert_allclose(images, wanted, atol=2e-6)
    planar = read_image(photograph, {**model, "images_type": "uint8", "images_layout": "nchw"})
    inside = read_image(photograph, {**model, "images_type": "uint8", "images_layout": "nhwc"})
    assert planar.dtype == inside.dtype == np.uint8
    np.testing.assert_array_equal(planar, inside.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("batch", [-1, 1, 3])
@pytest.mark.parametrize("kind", ["FLOAT", "HALF"])
def test_the_script_runs_engines_of_any_batch_and_float(monkeypatch, batch, kind):
    trt = trt_stand_ins.tensorrt((batch, 3, 4, 4), kind, NAMES)
    script(monkeypatch, trt, new_cuda=batch < 3)
    infer = runpy.run_path(str(SCRIPT))["infer"]
    images = np.random.default_rng(1).random((1, 3, 4, 4))
    logits = infer(trt, b"plan", images)
    assert logits.dtype == np.float32
    wanted = images.mean() * np.arange(1, CLASSES + 1)
    np.testing.assert_allclose(logits, wanted, rtol=1e-2 if kind == "HALF" else 1e-5)


def test_the_stand_ins_have_only_what_tensorrt_for_rtx_has():
    real = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    pairs = {
        real.ICudaEngine: trt_stand_ins.Engine,
        real.IExecutionContext: trt_stand_ins.Context,
        real.Runtime: trt_stand_ins.tensorrt().Runtime,
    }
    for there, here in pairs.items():
        assert {name for name in vars(here) if name[0] != "_"} <= set(dir(there))
    assert hasattr(real.ICudaEngine, "num_io_tensors")
    assert {"INPUT", "OUTPUT"} <= set(dir(real.TensorIOMode))
    assert set(trt_stand_ins.TYPES) <= set(dir(real.DataType))


def run_script(monkeypatch, folder, image):
    monkeypatch.setattr(sys, "argv", ["classify.py", str(folder / "model.engine"), str(image)])
    runpy.run_path(str(folder / "classify.py"), run_name="__main__")


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_the_script_classifies(build, tmp_path, monkeypatch, capsys, photograph, name):
    model = build / ("model.int8.engine" if name == "tensorrt" else "model.int8.rtx.engine")
    write_deployment(build, "python", tmp_path / "out", model)
    script(monkeypatch, name=name)
    run_script(monkeypatch, tmp_path / "out", photograph)
    printed = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    mean = decode_image(photograph, Preprocess(image_size=4)).mean()
    assert tuple(printed) == (LABELS if mean < 0 else LABELS[::-1])


@pytest.mark.parametrize(
    ("trt", "fails", "said"),
    [
        ({"loads": False}, None, "the engine is not for this machine"),
        ({"shape": (-1, 3, 8, 8)}, None, r"can't run \(1, 3, 4, 4\)"),
        ({}, "cudaMalloc", "cudaMalloc: 2"),
        ({}, "cudaMemcpy", "cudaMemcpy: 2"),
    ],
)
def test_the_script_says_what_failed(build, tmp_path, monkeypatch, photograph, trt, fails, said):
    write_deployment(build, "python", tmp_path / "out")
    script(monkeypatch, trt_stand_ins.tensorrt(**trt), fails=fails)
    with pytest.raises(SystemExit, match=said):
        run_script(monkeypatch, tmp_path / "out", photograph)


@pytest.mark.parametrize("absent", ["numpy", "PIL", "cuda", "tensorrt"])
def test_what_the_script_misses_is_one_line_with_its_usage(
    build, tmp_path, monkeypatch, photograph, absent
):
    write_deployment(build, "python", tmp_path / "out")
    script(monkeypatch)
    for name in [one for one in sys.modules if one.partition(".")[0] == absent]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)  # as if it were not installed
    with pytest.raises(SystemExit) as said:
        run_script(monkeypatch, tmp_path / "out", photograph)
    assert re.fullmatch(
        rf".*{absent}.*; usage: python classify.py model.engine .*", said.value.code
    )


@pytest.mark.parametrize("arguments", [[], ["model.engine"], ["absent.engine", "leaf.jpg"]])
def test_the_script_says_how_to_call_it(tmp_path, arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert "usage: python classify.py model.engine leaf.jpg" in line


needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


def compile_program(folder, includes, *flags):
    command = ["g++", "-std=c++14", "-Wall", "-Wextra", "-Werror", *flags]
    for include in includes:
        command += ["-isystem", str(include)]
    result = subprocess.run(
        [*command, str(folder / "classify.cpp")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def write_headers(folder):
    """Stand-ins for TensorRT's and CUDA's."""
    headers = folder / "headers"
    headers.mkdir()
    (headers / "NvInfer.h").write_text(NV_INFER_H)
    (headers / "cuda_runtime_api.h").write_text(CUDA_RUNTIME_API_H)
    return headers


@needs_compiler
def test_the_cpp_program_classifies_with_stand_ins(build, tmp_path, photograph):
    write_deployment(build, "cpp", tmp_path / "out")
    headers = write_headers(tmp_path)
    program = tmp_path / "classify"
    compile_program(tmp_path / "out", [headers], "-o", str(program))

    image = tmp_path / "leaf.ppm"
    Image.open(photograph).resize((4, 4), Image.Resampling.BILINEAR).save(image)

    def classify(engine, file):
        command = [str(program), str(engine), str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    answer = classify(tmp_path / "out/model.engine", image)
    assert answer.returncode == 0, answer.stderr
    rows = [line.split(maxsplit=1) for line in answer.stdout.splitlines()]
    mean = float(decode_image(photograph, Preprocess(image_size=4)).mean())
    wanted = sorted(((k + 1) * mean, LABELS[k]) for k in range(CLASSES))[::-1]
    assert [label for _, label in rows] == [label for _, label in wanted]
    np.testing.assert_allclose(
        [float(row[0]) for row in rows], [row[0] for row in wanted], atol=2e-3
    )

    compile_program(tmp_path / "out", [headers], "-DHALVES", "-o", f"{program}16")
    command = [f"{program}16", str(tmp_path / "out/model.engine"), str(image)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    rounded = [float(line.split()[0]) for line in answer.stdout.splitlines()]
    np.testing.assert_allclose(rounded, [row[0] for row in wanted], atol=2e-3, rtol=2e-3)

    assert classify(tmp_path / "absent", image).stderr.startswith("can't read")
    (tmp_path / "empty").touch()
    assert "not for this machine" in classify(tmp_path / "empty", image).stderr
    Image.open(photograph).save(image)
    assert "of the model's size" in classify(tmp_path / "out/model.engine", image).stderr
    image.write_bytes(b"P6\n4 4\n255\nshort")
    assert "ends too early" in classify(tmp_path / "out/model.engine", image).stderr


@needs_compiler
def test_the_cpp_program_rounds_to_halves_as_numpy_does(build, tmp_path):
    write_deployment(build, "cpp", tmp_path / "out")
    headers = write_headers(tmp_path)
    program = tmp_path / "out/round.cpp"
    program.write_text(
        "#define main classify\n"
        '#include "classify.cpp"\n'
        "#undef main\n"
        "int main() {\n"
        "    for (float x; std::fread(&x, sizeof x, 1, stdin);)\n"
        '        std::printf("%d %.9g\\n", toHalf(x), fromHalf(toHalf(x)));\n'
        "}\n"
    )
    command = ["g++", "-std=c++14", "-isystem", str(headers), "-o", str(tmp_path / "round")]
    subprocess.run([*command, str(program)], check=True)
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32),
            rng.normal(0, 2, 20_000),
            rng.normal(0, 1e-5, 2_000),  # subnormal
            [0.0, -0.0, 2049.0, 2051.0],  # ties go to even
        ]
    ).astype(np.float32)
    answer = subprocess.run(
        [str(tmp_path / "round")], input=values.tobytes(), capture_output=True, check=True
    )
    rows = np.array(answer.stdout.split(), np.float64).reshape(-1, 2)
    halves = values.astype(np.float16)
    np.testing.assert_array_equal(rows[:, 0], halves.view(np.uint16))
    np.testing.assert_array_equal(rows[:, 1].astype(np.float32), halves.astype(np.float32))


def tensorrt_includes():
    """Folders of TensorRT's own headers and of CUDA's, where both are here."""
    places = [
        *filter(None, [os.environ.get("TENSORRT_INCLUDE")]),
        "/usr/include/aarch64-linux-gnu",
        "/usr/include/x86_64-linux-gnu",
        "/usr/local/tensorrt/include",
    ]
    trt = next((place for place in places if Path(place, "NvInfer.h").is_file()), None)
    cuda = next(
        (
            place
            for place in (
                "/usr/local/cuda/include",
                *map(str, Path("/usr/local").glob("cuda-*/include")),
            )
            if Path(place, "cuda_runtime_api.h").is_file()
        ),
        None,
    )
    return [trt, cuda] if trt and cuda else None


@needs_compiler
def test_the_cpp_program_compiles_against_tensorrts_headers(build, tmp_path):
    includes = tensorrt_includes()
    if includes is None:
        pytest.skip("TensorRT's headers (TENSORRT_INCLUDE) or CUDA's are not installed")
    write_deployment(build, "cpp", tmp_path / "out")
    compile_program(tmp_path / "out", includes, "-fsyntax-only")
