import pytest
from support.example_report import example_report
from support.gate_builds import make_build

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.contract import Report
from edge_convnext.report.folder import (
    amend_report,
    check_addable,
    check_writable,
    find_old_files,
    write_report,
)
from edge_convnext.report.manifest import read_manifest, write_manifest


def test_a_folder_of_anybodys_may_have_other_files(tmp_path):
    check_writable(tmp_path / "new")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "model.best.onnx").touch()
    check_writable(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["model.int8.onnx", "report.json", "manifest.json", "predictions.csv", "gpu/int8.b8.onnx",
     "cpu/fp32.openvino.onnx", "model.int8.rtx.engine", "model.fp16.rtx.sm86-89.b1.engine.json"],
)  # fmt: skip
def test_a_file_of_our_names_that_no_build_wrote_is_never_replaced(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ArtifactError, match="would be overwritten, and no build"):
        check_writable(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_report_is_written_with_its_tables_and_a_manifest_of_both(tmp_path):
    report = example_report()
    write_report(report, tmp_path)
    assert Report.read(tmp_path / "report.json") == report
    assert set(read_manifest(tmp_path)) == {"report.json", "report.md", "recipe.yaml"}
    check_writable(tmp_path)


def test_an_addition_keeps_what_is_there_and_refuses_what_was_changed(tmp_path):
    folder = make_build(tmp_path / "build").parent
    before = Report.read(folder / "report.json")
    known = check_addable(folder, before)
    assert "report.json" not in known
    assert "model.int8.onnx" in known
    after = before.model_copy(update={"notes": ("added",)})
    amend_report(after, folder, before)
    assert Report.read(folder / "report.json") == after
    assert read_manifest(folder)["model.int8.onnx"] == known["model.int8.onnx"]
    with pytest.raises(ArtifactError, match="another command has written it meanwhile"):
        amend_report(after, folder, before)
    (folder / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx"):
        check_addable(folder, after)


def test_a_users_own_recipe_beside_an_older_build_stays(tmp_path):
    report = example_report()
    write_report(report, tmp_path)
    (tmp_path / "recipe.yaml").unlink()
    older = {"report.json", "report.md"}
    write_manifest(tmp_path, [tmp_path / name for name in older])
    (tmp_path / "recipe.yaml").write_text("model: mine\n")
    write_report(report, tmp_path, read_manifest(tmp_path))
    assert (tmp_path / "recipe.yaml").read_text() == "model: mine\n"
    assert set(read_manifest(tmp_path)) == older
    with pytest.raises(ArtifactError, match=r"recipe\.yaml: would be overwritten"):
        find_old_files(tmp_path)


def test_the_recipe_comes_with_an_addition_to_a_build_that_had_none(tmp_path):
    report = example_report()
    write_report(report, tmp_path)
    (tmp_path / "recipe.yaml").unlink()
    write_manifest(tmp_path, [tmp_path / "report.json", tmp_path / "report.md"])
    write_report(report, tmp_path, read_manifest(tmp_path))
    assert "recipe.yaml" in read_manifest(tmp_path)
