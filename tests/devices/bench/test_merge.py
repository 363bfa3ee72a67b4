import shutil

import pytest
from support.board_builds import build_tiny

from edge_convnext.core.errors import (
    ArtifactError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bench.merge import merge_boards
from edge_convnext.devices.bundle import open_bundle
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.report.contract import (
    Report,
)
from edge_convnext.report.folder import amend_report
from edge_convnext.report.manifest import read_manifest, verify_build

pytest.importorskip("torch", reason="the build extra is not installed")


def test_two_merges_at_once_lose_nothing(measured, root, tmp_path):
    """The second finds another report than the one it read."""
    folder = shutil.copytree(root / "build", tmp_path / "build")
    before = Report.read(folder / "report.json")
    merge_boards(folder, [measured[1]])
    with pytest.raises(ArtifactError, match="another command has written it meanwhile"):
        amend_report(before.model_copy(update={"notes": ("mine",)}), folder, before)
    assert Report.read(folder / "report.json").boards


def test_a_file_that_no_build_wrote_is_not_adopted_by_a_merge(measured, root, tmp_path):
    folder = shutil.copytree(root / "build", tmp_path / "build")
    shutil.copy(folder / "model.int8.onnx", folder / "model.fp16.onnx")
    merge_boards(folder, [measured[1]])
    assert "model.fp16.onnx" not in read_manifest(folder)
    assert "model.int8.onnx" in read_manifest(folder)


def test_merging_twice_changes_nothing_and_a_later_report_replaces(measured, root, tmp_path):
    shutil.copytree(root / "build", tmp_path / "build")
    merged = merge_boards(tmp_path / "build", [measured[1]])
    [run] = merged.boards
    assert run.verdict == measured[0].verdict
    assert Report.read(tmp_path / "build" / "report.json") == merged
    text = (tmp_path / "build" / "report.md").read_text(encoding="utf-8")
    assert "## Boards" in text
    assert {check.state for check in verify_build(tmp_path / "build")} == {"unchanged"}
    first = sha256_file(tmp_path / "build" / "report.json")
    merge_boards(tmp_path / "build", [measured[1], measured[1] / "report.json"])
    assert sha256_file(tmp_path / "build" / "report.json") == first
    busy = measured[0].benchmark.model_copy(update={"other_load_pct": 55.0})
    later = measured[0].model_copy(
        update={
            "created": measured[0].created.replace(year=2090),
            "notes": ("later",),
            "benchmark": busy,
        }
    )
    later.write(tmp_path / "later.json")
    said = []
    [run] = merge_boards(tmp_path / "build", [tmp_path / "later.json"], said.append).boards
    assert run.notes == ("later",)
    assert f"replaces the report of the same board, {run.board.name}" in said[0]
    text = (tmp_path / "build" / "report.md").read_text(encoding="utf-8")
    [row] = [line for line in text.splitlines() if "55 %: repeat it idle" in line]
    assert "| onnxruntime |" in row
    said = []
    [run] = merge_boards(tmp_path / "build", [measured[1]], said.append).boards
    assert run.notes == ("later",)  # an older report does not come back
    assert "left out" in said[0]
    # A bundle of the merged build is still a bundle of the same graphs.
    write_bundle(tmp_path / "build", tmp_path / "merged.ecb")
    assert open_bundle(tmp_path / "merged.ecb").manifest.graphs


def test_nothing_is_merged_into_a_build_that_was_changed(measured, root, tmp_path):
    build = shutil.copytree(root / "build", tmp_path / "build")
    merge_boards(build, [measured[1]])
    before = sha256_file(build / "report.json")
    with (build / "model.int8.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: changed since the build"):
        merge_boards(build, [measured[1]])
    assert sha256_file(build / "report.json") == before
    states = {check.path: check.state for check in verify_build(build)}
    assert states["model.int8.onnx"] == "changed"


def test_a_report_of_another_build_is_not_merged(measured, root, tmp_path):
    other = build_tiny(tmp_path, seed=1)
    before = sha256_file(other / "report.json")
    with pytest.raises(ArtifactError, match=r"to another build \(model.fp32.onnx differs\)"):
        merge_boards(other, [measured[1]])
    with pytest.raises(ArtifactError, match="is not a board's report"):
        merge_boards(other, [root / "build"])
    assert sha256_file(other / "report.json") == before
