import pytest
from support.deployables import ship, write_engine, write_graph
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.deploy import facts as facts_module
from edge_convnext.devices.deploy.facts import read_deployable
from edge_convnext.devices.deploy.provenance import require_whole_engine
from edge_convnext.devices.deploy.write import choose_for
from edge_convnext.report.manifest import write_manifest


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


def test_a_graph_whose_channels_are_free_is_refused_with_what_to_do(tmp_path):
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", "any", 8, 8])
    with pytest.raises(ArtifactError, match="free sizes other than the batch; build again"):
        facts_module._tensor(value, tmp_path / "m.onnx")
