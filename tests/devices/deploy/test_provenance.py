import json
import shutil

import pytest
from support.deployables import ship, write_engine, write_graph
from support.example_report import example_report

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.deploy.write import write_deployment
from edge_convnext.report.described import BoardReport, BundledFile
from edge_convnext.report.manifest import write_manifest


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


def test_a_build_whose_manifest_was_removed_is_not_deployed(build, tmp_path):
    (build / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json: is missing"):
        write_deployment(build, "python", tmp_path / "out")
    ship(build, "int8")
    report = build / "report.json"
    report.write_text(report.read_text().replace('"ship": "int8"', '"ship": "fp32"'))
    with pytest.raises(ArtifactError, match=r"report\.json: is not the file that .*manifest"):
        write_deployment(build, "python", tmp_path / "out")
