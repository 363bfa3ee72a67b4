"""What a bundle is written from: which files of a build, under which names, in which order."""

import csv
import hashlib
import json
import stat
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from support.example_report import example_fields
from support.gate_builds import write_report

from edge_convnext.core.errors import (
    ArtifactError,
    DataError,
)
from edge_convnext.data.batches import iter_pixels
from edge_convnext.data.images import Sample
from edge_convnext.devices.bundle import write
from edge_convnext.devices.bundle.graphs import FoundGraph
from edge_convnext.devices.bundle.manifest import (
    BundledGraph,
)
from edge_convnext.devices.bundle.write import bundle_build, write_bundle
from edge_convnext.report.contract import Report
from edge_convnext.report.described import FileReport

SIDE = 32


CLASSES = ("ant", "bee")


def sha(content):
    return hashlib.sha256(content).hexdigest()


def save_report(folder, images, **changes):
    fields = example_fields()
    model = fields["model"] | {"classes": CLASSES, "num_classes": 2, "image_size": SIDE}
    recipe = fields["recipe"] | {"data": {"source": str(images)}}
    recipe["preprocess"] = {
        "image_size": SIDE, "resize": "squash", "crop_pct": 1.0, "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
    }  # fmt: skip
    outputs = [
        FileReport.of(path, folder).model_dump()
        for path in sorted(folder.iterdir())
        if path.name not in ("report.json", "manifest.json")
    ]
    fields = example_fields(**{"model": model, "recipe": recipe, "outputs": outputs, **changes})
    write_report(Report.model_validate(fields), folder / "report.json")


@pytest.fixture
def images(make_images):
    root = make_images({"val/ant": 2, "val/bee": 2})
    (root / "val/bee/0.png").rename(root / "val/bee/0.JPEG.png")
    return root


@pytest.fixture
def build(tmp_path, images, monkeypatch):
    """A finished build of two graphs, which other tests look at."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    paths = sorted(images.rglob("*.png"), reverse=True)
    paths.insert(2, paths[0])  # one image twice
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sha256", "label", "fp32_top1"])
        writer.writerows([sha(path.read_bytes()), path.parent.name, "ant"] for path in paths)
    names = ("model.fp32.onnx", "model.int8.onnx")
    for name in names:
        (folder / name).write_bytes(name.encode())
    save_report(folder, images)
    entries = [
        BundledGraph(
            name=name, file=f"models/{name}", precision=name[6:10], form="conv", kind="cpu"
        )
        for name in names
    ]
    found = tuple(FoundGraph(folder / one.name, sha(one.name.encode()), one) for one in entries)
    monkeypatch.setattr(write, "find_candidates", lambda *arguments: found)
    return SimpleNamespace(folder=folder, paths=paths, found=found, images=images)


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: (info, archive.read(info)) for info in archive.infolist()}


def test_a_bundle_holds_report_recipe_graphs_predictions_and_images_once_each(build):
    out = build.folder / "out.ecb"
    shown = []

    def track(items, what, total=None):
        shown.append((what, total))
        return items

    manifest = write_bundle(build.folder, out, track=track)
    members = members_of(out)
    images = [path.read_bytes() for path in dict.fromkeys(build.paths)]
    names = [f"evaluation/images/{index:06d}.png" for index in range(4)]
    assert list(members) == [
        "report.json", "recipe.yaml", "models/model.fp32.onnx", "models/model.int8.onnx",
        "evaluation/predictions.csv", *names, "manifest.json",
    ]  # fmt: skip
    for name in ("report.json", "model.fp32.onnx", "model.int8.onnx", "predictions.csv"):
        (stored,) = [one for at, (_, one) in members.items() if at.endswith(name)]
        assert stored == (build.folder / name).read_bytes()
    assert [members[name][1] for name in names] == images
    recipe = Report.read(build.folder / "report.json").recipe
    assert members["recipe.yaml"][1].decode() == yaml.safe_dump(
        recipe, sort_keys=False, allow_unicode=True
    )
    assert ("bundling images", 4) in shown
    assert (manifest.evaluation.kind, manifest.evaluation.n_images) == ("images", 5)
    assert [one.name for one in manifest.members] == list(members)[:-1]
    for one in manifest.members:
        assert (one.sha256, one.bytes) == (sha(members[one.name][1]), len(members[one.name][1]))
    assert manifest.graphs == tuple(one.entry for one in build.found)
    assert manifest.model.classes == CLASSES
    assert manifest.preprocess.mean == (0.5, 0.5, 0.5)
    document = json.dumps(
        manifest.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False
    )
    assert members["manifest.json"][1].decode() == document
    assert json.loads(document)["schema"] == "edge-convnext/bundle/1"


def test_members_tell_nothing_of_the_desk_and_equal_builds_give_equal_bytes(build):
    first, second = build.folder / "a.ecb", build.folder / "b.ecb"
    write_bundle(build.folder, first)
    write_bundle(build.folder, second)
    assert first.read_bytes() == second.read_bytes()
    for info, _ in members_of(first).values():
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.external_attr >> 16 == stat.S_IFREG | 0o644
        assert info.create_system == 3
        assert info.compress_type == zipfile.ZIP_STORED


def test_tensors_are_pixels_in_the_order_of_the_predictions(build):
    out = build.folder / "out.ecb"
    manifest = write_bundle(build.folder, out, "tensors")
    members = members_of(out)
    path = build.folder / "images.npy"
    path.write_bytes(members["evaluation/images.npy"][1])
    found = np.load(path)
    samples = [Sample(one, "") for one in build.paths]
    preprocess = write.Preprocess.from_json(manifest.preprocess.model_dump(mode="json"))
    expected = np.stack(list(iter_pixels(samples, preprocess, 3)))
    assert (found.dtype, found.shape) == (np.uint8, (5, SIDE, SIDE, 3))
    np.testing.assert_array_equal(found, expected)
    assert not any(name.startswith("evaluation/images/") for name in members)
    assert (manifest.evaluation.kind, manifest.evaluation.n_images) == ("tensors", 5)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("images", " and 4 images of {:.1f} MB"),
        ("tensors", " and 5 images of 0.0 MB"),
        ("none", ""),
    ],
)
def test_the_size_is_told_before_anything_is_packed(build, monkeypatch, kind, more):
    told, packed = [], []
    out = build.folder / "out.ecb"

    def track(items, what, total=None):
        packed.append(list(told))
        return items

    large = build.folder / "model.fp32.onnx"
    large.write_bytes(b"x" * 1_500_000)
    found = replace(build.found[0], sha256=sha(large.read_bytes()))
    monkeypatch.setattr(write, "find_candidates", lambda *_: (found, build.found[1]))
    write_bundle(build.folder, out, kind, track=track, say=told.append)
    bytes_of_images = sum(path.stat().st_size for path in dict.fromkeys(build.paths))
    assert told == [f"out.ecb will have 2 graphs of 1.5 MB{more.format(bytes_of_images / 1e6)}"]
    assert packed[-1:] == ([] if kind == "none" else [told])


def test_grey_pixels_have_no_channel_axis():
    pieces = list(write._tensor_pieces([], 3, replace(write.Preprocess(), image_size=SIDE), 1))
    assert len(pieces) == 1
    assert b"'shape': (3, 32, 32)" in pieces[0]
    assert b"'fortran_order': False" in pieces[0]
    assert b"'|u1'" in pieces[0]


def test_without_an_evaluation_there_are_neither_predictions_nor_images(build):
    out = build.folder / "out.ecb"
    manifest = write_bundle(build.folder, out, "none")
    assert manifest.evaluation is None
    assert [name for name in members_of(out) if name.startswith("evaluation")] == []


def test_data_that_moved_is_found_where_it_is_said_to_be(build, tmp_path):
    moved = tmp_path / "moved"
    build.images.rename(moved)
    out = build.folder / "out.ecb"
    with pytest.raises(DataError, match="the build's data is not here"):
        write_bundle(build.folder, out)
    assert not out.exists()
    assert write_bundle(build.folder, out, data=moved).evaluation.n_images == 5


def refusal(build, out, *arguments):
    with pytest.raises(ArtifactError) as caught:
        write_bundle(build.folder, out, *arguments)
    assert not out.is_file()
    return str(caught.value)


def test_predictions_that_are_not_the_reports_are_not_bundled(build):
    path, out = build.folder / "predictions.csv", build.folder / "out.ecb"
    path.write_text(path.read_text().replace("ant\n", "bee\n", 1))
    told = f"{path}: is not the file that report.json beside it is about; build again"
    assert refusal(build, out) == told
    assert write_bundle(build.folder, out, "none").evaluation is None
    out.unlink()
    path.unlink()
    assert refusal(build, out) == f"{path}: No such file or directory; build again"


def test_predictions_that_the_report_does_not_answer_for_are_not_bundled(build):
    save_report(build.folder, build.images, outputs=[])
    path = build.folder / "predictions.csv"
    assert refusal(build, build.folder / "out.ecb") == (
        f"{path}: is not the file that report.json beside it is about; build again"
    )


def test_a_report_that_was_edited_is_not_bundled(build):
    report = build.folder / "report.json"
    report.write_text(report.read_text().replace("edge", "edgy", 1))
    assert "report.json" in refusal(build, build.folder / "out.ecb")


def test_a_graph_that_changes_while_it_is_read_is_not_bundled(build):
    (build.folder / "model.int8.onnx").write_bytes(b"other")
    assert refusal(build, build.folder / "out.ecb") == (
        f"{build.folder / 'model.int8.onnx'}: changed while it was read; bundle again"
    )


def test_names_that_no_bench_knows_are_refused_before_the_work(build):
    folder = build.folder
    assert refusal(build, folder) == (
        f"{folder}: is a folder; choose another --out, such as {folder}.ecb"
    )
    assert refusal(build, folder / "a.zip") == (
        f"{folder / 'a.zip'}: `bench` recognises a bundle by its .ecb; choose another --out, "
        f"such as {folder / 'a.ecb'}"
    )
    told = refusal(build, folder / "report.json" / "a.ecb")
    assert told.startswith(f"{folder / 'report.json' / 'a.ecb'}: can't be written (")
    assert told.endswith("); choose another --out")


def test_the_bundle_of_a_build_lies_in_it_under_its_name(build):
    assert bundle_build(build.folder) == build.folder / "tiny.ecb"
    assert "evaluation/images/000003.png" in members_of(build.folder / "tiny.ecb")


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.JPG", ".jpg"), ("a.webp", ".webp"), ("a.txt", ".png"), ("a", ".png")]
)
def test_an_image_keeps_its_suffix_where_that_is_an_images(tmp_path, name, suffix):
    path = tmp_path / name
    path.write_bytes(b"x")
    added = []
    writer = SimpleNamespace(add_file=lambda *arguments: added.append(arguments))
    write.add_images(writer, [Sample(path, "digest")] * 2)
    assert added == [
        (f"evaluation/images/{index:06d}{suffix}", path, "digest") for index in range(2)
    ]


def test_files_are_read_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_BLOCK", 4)
    (tmp_path / "x").write_bytes(b"0123456789")
    assert list(write._blocks(tmp_path / "x")) == [b"0123", b"4567", b"89"]


def test_a_bundle_among_the_images_is_refused(build):
    with pytest.raises(ArtifactError, match="choose an --out outside of the data"):
        write_bundle(build.folder, build.images / "out.ecb")
    with pytest.raises(ArtifactError, match="outside of the data"):
        write_bundle(build.folder, build.images / "out.ecb", data=build.images)


def test_pixels_of_a_rectangle_have_their_height_first():
    pieces = list(write._tensor_pieces([], 3, replace(write.Preprocess(), image_size=(64, 96)), 3))
    assert b"'shape': (3, 64, 96, 3)" in pieces[0]
