import pytest
import yaml
from support.example_report import example_report
from support.gate_builds import make_build

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.contract import Report
from edge_convnext.report.folder import (
    amend_report,
    check_addable,
    check_writable,
    find_old_files,
    is_build_file,
    renew_page,
    write_report,
)
from edge_convnext.report.html.page import Subject, to_html
from edge_convnext.report.manifest import read_manifest, verify_build, write_manifest
from edge_convnext.report.owned import is_own_page


def test_a_folder_of_anybodys_may_have_other_files(tmp_path):
    check_writable(tmp_path / "new")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "model.best.onnx").touch()
    check_writable(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["model.int8.onnx", "report.json", "manifest.json", "predictions.csv", "gpu/int8.b8.onnx",
     "cpu/fp32.openvino.onnx", "report.html", "model.int8.rtx.engine",
     "model.fp16.rtx.sm86-89.b1.engine.json"],
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
    names = {"report.json", "report.md", "report.html", "recipe.yaml"}
    assert set(read_manifest(tmp_path)) == names
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
    assert set(read_manifest(tmp_path)) == {*older, "report.html"}
    with pytest.raises(ArtifactError, match=r"recipe\.yaml: would be overwritten"):
        find_old_files(tmp_path)


def test_the_recipe_is_the_one_that_builds_the_same_again(tmp_path):
    """The winner's runtime is a result: with it in the recipe, no other would be raced again."""
    report = example_report()
    stated = {**report.recipe, "runtime": "auto"}
    resolved = {**report.recipe, "runtime": "litert"}
    write_report(report.model_copy(update={"recipe": resolved, "stated_recipe": stated}), tmp_path)
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["runtime"] == "auto"


def test_the_recipe_comes_with_an_addition_to_a_build_that_had_none(tmp_path):
    report = example_report()
    write_report(report, tmp_path)
    (tmp_path / "recipe.yaml").unlink()
    write_manifest(tmp_path, [tmp_path / "report.json", tmp_path / "report.md"])
    write_report(report, tmp_path, read_manifest(tmp_path))
    assert "recipe.yaml" in read_manifest(tmp_path)


def page(report):
    return to_html([Subject(report)])


def test_the_page_of_an_older_build_is_added_and_nothing_else_changes(tmp_path):
    folder = make_build(tmp_path / "build").parent
    before = read_manifest(folder)
    assert renew_page(folder, page) == folder / "report.html"
    after = read_manifest(folder)
    assert {name: after[name] for name in before} == before
    assert set(after) == {*before, "report.html"}
    assert {one.state for one in verify_build(folder)} == {"unchanged"}
    (folder / "report.html").write_text("edited")  # it is made from the report, and made again
    renew_page(folder, page)
    assert read_manifest(folder) == after
    assert {one.state for one in verify_build(folder)} == {"unchanged"}


def test_a_page_of_the_users_is_never_replaced(tmp_path):
    folder = make_build(tmp_path / "build").parent
    mine = folder / "report.html"
    mine.write_text("<h1>my own report</h1>")
    before = Report.read(folder / "report.json")
    for attempt in (
        lambda: renew_page(folder, page),
        lambda: amend_report(before.model_copy(update={"notes": ("x",)}), folder, before),
        lambda: check_writable(folder),
    ):
        with pytest.raises(ArtifactError, match=r"report\.html: would be overwritten"):
            attempt()
    assert mine.read_text() == "<h1>my own report</h1>"
    assert Report.read(folder / "report.json") == before


def test_a_page_of_ours_is_known_without_a_manifest(tmp_path):
    report = Report.read(make_build(tmp_path / "build"))
    folder = tmp_path / "build"
    renew_page(folder, page)
    (folder / "manifest.json").unlink()  # a build that was killed while it was replaced
    assert is_own_page(folder / "report.html")
    check_writable(folder)
    amend_report(report.model_copy(update={"notes": ("x",)}), folder, report)
    assert "report.html" in read_manifest(folder)
    assert not is_own_page(folder / "nothing.html")


def test_a_page_is_not_added_to_a_build_that_was_changed_or_has_no_manifest(tmp_path):
    folder = make_build(tmp_path / "build").parent
    (folder / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: changed since the build"):
        renew_page(folder, page)
    (folder / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        renew_page(folder, page)
    assert not (folder / "report.html").exists()


def test_names_that_a_build_writes_are_known_in_its_folder(tmp_path):
    assert is_build_file(tmp_path / "x/../recipe.yaml", tmp_path)
    assert not is_build_file(tmp_path / "mine.yaml", tmp_path)
    assert not is_build_file(tmp_path / "x/recipe.yaml", tmp_path)
