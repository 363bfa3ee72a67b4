import json
import shutil

import onnx
import pytest
from support.deployables import ship, write_engine, write_graph
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.deploy.write import write_deployment
from edge_convnext.report.contract import Report
from edge_convnext.report.manifest import write_manifest


def test_what_the_verdict_ships_is_deployed(build, tmp_path):
    ship(build, "fp32")
    for engine in build.glob("*.engine"):
        engine.unlink()
    write_deployment(build, "triton", tmp_path / "a")
    shipped = tmp_path / "a/convnextv2_atto/1/model.onnx"
    assert shipped.read_bytes() == (build / "model.fp32.onnx").read_bytes()
    assert "label_filename" not in (shipped.parents[1] / "config.pbtxt").read_text()


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
    write_manifest(build, [build / "report.json", build / "model.int8.onnx"])
    with pytest.raises(ArtifactError, match="choose an --out outside of the data"):
        write_deployment(build, "triton", data / "out")
    assert not list(data.iterdir())


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
