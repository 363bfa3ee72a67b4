"""manifest.json, and `verify`, which reads it."""

import json

import pytest
from support.gate_builds import make_build
from typer.testing import CliRunner

from edge_convnext.build.amend import add_sensitivity
from edge_convnext.cli import app
from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.contract import Report
from edge_convnext.report.folder import write_report
from edge_convnext.report.manifest import (
    compare_builds,
    read_manifest,
    verify_build,
    write_manifest,
)


@pytest.fixture
def build(tmp_path):
    folder = tmp_path / "build"
    make_build(folder)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def test_a_whole_build_is_unchanged(build):
    assert set(read_manifest(build)) == {"model.int8.onnx", "predictions.csv", "report.json"}
    assert {check.state for check in verify_build(build)} == {"unchanged"}
    result = run(build)
    assert result.exit_code == 0
    assert result.stdout == "3 files unchanged\n"
    assert "unchanged  model.int8.onnx" in run(build, "--verbose").stdout
    assert len(json.loads(run(build, "--json").stdout)["files"]) == 3


def test_a_flipped_byte_and_a_missing_file_are_found(build):
    model = build / "model.int8.onnx"
    content = bytearray(model.read_bytes())
    content[1000] ^= 1
    model.write_bytes(content)
    (build / "predictions.csv").unlink()
    states = {check.path: check.state for check in verify_build(build)}
    assert states == {
        "model.int8.onnx": "changed",
        "predictions.csv": "missing",
        "report.json": "unchanged",
    }
    result = run(build)
    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        "changed    model.int8.onnx",
        "missing    predictions.csv",
        "1 of 3 files unchanged",
    ]
    said = f"error: {model}: changed since the build and 1 more; build again\n"
    assert result.stderr == said
    assert len(json.loads(run(build, "--json").stdout)["files"]) == 3
    listed = run(build, "--verbose")  # it lists files; a difference is no fault to be traced
    assert listed.stdout.splitlines()[2] == "unchanged  report.json"
    assert (listed.exit_code, listed.stderr) == (3, said)


def test_a_name_in_a_manifest_can_not_forge_a_line(build):
    forged = "a\x1b[2J\nunchanged  model"
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["files"] = {forged: manifest["files"]["report.json"]}
    (build / "manifest.json").write_text(json.dumps(manifest))
    for arguments in ((build,), (build, "--same-as", build)):
        result = run(*arguments)
        assert r"missing    a\x1b[2J\x0aunchanged  model" in result.stdout
        assert len(result.stdout.splitlines()) == 2
        assert r"a\x1b[2J\x0aunchanged  model: missing since the build" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_equal_files_give_an_equal_manifest(build):
    before = (build / "manifest.json").read_bytes()
    write_manifest(build, sorted(p for p in build.iterdir() if p.name != "manifest.json"))
    assert (build / "manifest.json").read_bytes() == before


def test_an_addition_takes_no_changed_file_for_the_builds_own(build):
    model, manifest = build / "model.int8.onnx", build / "manifest.json"
    whole, before = model.read_bytes(), read_manifest(build)
    add_sensitivity(build, {})
    assert {check.state for check in verify_build(build)} == {"unchanged"}
    after = read_manifest(build)
    assert set(after) == {*before, "report.md", "report.html", "recipe.yaml"}
    (build / "report.md").write_text("my notes")  # made from the report, and made again
    add_sensitivity(build, {})
    model.write_bytes(whole + b"x")
    for recorded in (manifest.read_bytes(), None):  # a killed addition leaves no manifest
        with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: changed since the build"):
            add_sensitivity(build, {})
        assert (manifest.read_bytes() if manifest.exists() else None) == recorded
        manifest.unlink(missing_ok=True)
    model.write_bytes(whole)
    add_sensitivity(build, {})
    assert read_manifest(build)["model.int8.onnx"] == before["model.int8.onnx"]
    report = build / "report.json"
    report.write_text(report.read_text().replace("potato.pth", "better.pth"))
    with pytest.raises(ArtifactError, match=r"report\.json: changed since the build"):
        add_sensitivity(build, {})


def test_a_file_that_changes_while_something_is_added_is_found(build):
    known = dict.fromkeys(read_manifest(build), "0" * 64)
    write_report(Report.read(build / "report.json"), build, known)
    states = {check.path: check.state for check in verify_build(build)}
    assert states["model.int8.onnx"] == states["predictions.csv"] == "changed"


def test_two_builds_are_compared_file_by_file(build, tmp_path):
    other = tmp_path / "other"
    make_build(other, banner="x")  # its report differs
    states = {one.path: one.state for one in compare_builds(build, other)}
    assert states == {
        "model.int8.onnx": "identical",
        "predictions.csv": "identical",
        "report.json": "varies",
    }
    assert run(build, "--same-as", other).exit_code == 0
    (other / "model.int8.onnx").write_bytes(b"another")
    assert run(build, "--same-as", other).exit_code == 1
    document = json.loads(run(build, "--same-as", other, "--json").stdout)
    assert document["comparison"][0] == {
        "path": "model.int8.onnx",
        "state": "different",
        "reason": None,
    }
    (build / "predictions.csv").unlink()
    missing = [line for line in run(build, "--same-as", other).stdout.splitlines() if "csv" in line]
    assert missing == [f"missing    predictions.csv: not in {build}"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "schema is None"),
        ('{"schema": "edge-convnext/manifest/1", "files": {"a": 3}}', "not a manifest"),
        ('{"schema": "edge-convnext/manifest/1"}', "not a manifest"),
        (
            '{"schema": "edge-convnext/manifest/1", "files": {"../x": {"sha256": ""}}}',
            "outside the build",
        ),
        (
            '{"schema": "edge-convnext/manifest/1", "files": {"/etc/passwd": {"sha256": ""}}}',
            "outside the build",
        ),
    ],
)
def test_what_is_no_manifest_is_refused(build, text, reason):
    path = build / "manifest.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ArtifactError, match=reason):
        verify_build(build)
