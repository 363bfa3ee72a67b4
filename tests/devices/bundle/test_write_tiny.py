"""Bundles of a whole build of a tiny network."""

import shutil

import pytest
from support.bench_boards import N

from edge_convnext.core.errors import (
    ArtifactError,
    DataError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bundle import open_bundle, write
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.report.contract import Report


def test_equal_builds_give_equal_bytes_and_a_bundle_opens_to_what_was_put_in(root, tmp_path):
    again = tmp_path / "again.ecb"
    write_bundle(root / "build", again)
    assert again.read_bytes() == (root / "tiny.ecb").read_bytes()
    unpacked = open_bundle(again).unpack(tmp_path / "out")
    assert unpacked.report == Report.read(root / "build" / "report.json")
    assert [graph.name for graph in unpacked.manifest.graphs] == [
        "model.fp32.onnx",
        "model.int8.onnx",
    ]
    for graph in unpacked.manifest.graphs:
        original = root / "build" / graph.name
        assert sha256_file(unpacked.graph_path(graph)) == sha256_file(original)
    assert len(unpacked.evaluation()) == N
    # What is there is kept, what was damaged is written again.
    victim = unpacked.graph_path(unpacked.manifest.graphs[0])
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    open_bundle(again).unpack(tmp_path / "out")
    assert sha256_file(victim) == sha256_file(root / "build" / "model.fp32.onnx")


def test_a_build_that_was_changed_or_lost_its_images_is_not_bundled(root, tmp_path):
    shutil.copytree(root / "build", tmp_path / "build")
    out = tmp_path / "x.ecb"
    with pytest.raises(DataError, match="is not here; pass --data"):
        write_bundle(tmp_path / "build", out, data=tmp_path / "gone")
    shutil.copytree(root / "images", tmp_path / "moved")
    write_bundle(tmp_path / "build", out, data=tmp_path / "moved")
    assert out.read_bytes() == (root / "tiny.ecb").read_bytes()
    out.unlink()
    next((tmp_path / "moved").rglob("*.png")).write_bytes(b"another")
    with pytest.raises(DataError, match=f"1 of the {N} images"):
        write_bundle(tmp_path / "build", out, data=tmp_path / "moved")
    (tmp_path / "build" / "model.int8.onnx").write_bytes(b"another")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: is not the file"):
        write_bundle(tmp_path / "build", out)
    assert [path.name for path in tmp_path.glob("*.ecb*")] == []  # nor a scratch file


@pytest.mark.parametrize("name", ["predictions.csv", "report.json", "manifest.json"])
def test_what_was_edited_since_the_build_is_not_bundled(root, tmp_path, name):
    build = shutil.copytree(root / "build", tmp_path / "build")
    path = build / name
    if name == "manifest.json":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("ant", "dog", 1))
    with pytest.raises(ArtifactError, match=rf"{name}: is (not the file|missing)"):
        write_bundle(build, tmp_path / "a.ecb")
    assert not (tmp_path / "a.ecb").exists()


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("folder", r"folder: is a folder; choose another --out, such as .*/folder\.ecb"),
        ("x.zip", r"x\.zip: `bench` recognises a bundle by its \.ecb; .* such as .*/x\.ecb"),
        ("file/new/x.ecb", r"file/new/x\.ecb: can't be written \(Not a directory\)"),
    ],
)
def test_a_name_that_can_be_no_bundle_is_refused_before_the_work(root, tmp_path, out, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=said) as error:
        write_bundle(tmp_path / "no build is read", tmp_path / out)
    assert ".tmp" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_an_interrupted_bundle_leaves_the_old_one(root, tmp_path, monkeypatch):
    out = tmp_path / "x.ecb"
    out.write_bytes(b"old")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "add_images", stop)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(root / "build", out)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]
