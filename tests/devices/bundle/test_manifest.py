import json

import pytest
from pydantic import ValidationError
from support.bench_boards import repack
from support.bundle_parts import contents, graph, manifest_of, sha

from edge_convnext.core.errors import (
    ArtifactError,
)
from edge_convnext.devices.bundle import open_bundle
from edge_convnext.devices.bundle.manifest import (
    MANIFEST,
    BundledGraph,
    Manifest,
    Member,
    PreprocessEntry,
    check_name,
)


def fails(change):
    """The first complaint about a manifest, changed in place."""
    fields = manifest_of(contents())
    change(fields)
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(fields)
    return caught.value.errors()[0]["msg"]


def test_a_manifest_has_every_member_that_it_needs_and_each_once():
    def without(name):
        def change(fields):
            fields["members"] = [one for one in fields["members"] if one["name"] != name]

        return change

    for name in (
        "report.json", "recipe.yaml", "models/model.int8.onnx", "evaluation/predictions.csv",
        "evaluation/images.npy",
    ):  # fmt: skip
        assert fails(without(name)) == f"Value error, {name} is not among the members"
    assert "is listed twice" in fails(lambda m: m["members"].append(m["members"][0]))
    assert "two graphs have one name" in fails(
        lambda m: m["graphs"][1].update(name="model.fp32.onnx")
    )
    assert "at least 1 item" in fails(lambda m: m.update(graphs=[]))
    files = contents("images")
    whole = Manifest.model_validate(manifest_of(files, "images"))
    assert whole.member("recipe.yaml").bytes == 1
    assert whole.member("report.json").sha256 == sha(b"{}")
    Manifest.model_validate(manifest_of(contents("none"), "none"))


def test_parts_of_a_manifest_are_closed_and_bounded():
    assert "Extra inputs" in fails(lambda m: m.update(more=1))
    assert "Extra inputs" in fails(lambda m: m["graphs"][0].update(more=1))
    assert "greater than" in fails(lambda m: m["graphs"][0].update(batch=0))
    assert "greater than" in fails(lambda m: m["evaluation"].update(n_images=0))
    assert "greater than or equal to 0" in fails(lambda m: m["members"][0].update(bytes=-1))
    assert "greater than" in fails(lambda m: m["preprocess"].update(crop_pct=0.0))
    assert "less than or equal to 1" in fails(lambda m: m["preprocess"].update(crop_pct=1.1))
    assert "finite" in fails(lambda m: m["preprocess"].update(crop_pct=float("nan")))
    one = BundledGraph.model_validate(graph("fp32"))
    assert (one.placement, one.batch, one.format, one.quantized_ops, one.settings) == (
        None, None, "qdq", None, {},
    )  # fmt: skip
    with pytest.raises(ValidationError):
        one.name = "x"
    with pytest.raises(ValidationError):
        PreprocessEntry(
            image_size=1 << 20, resize="squash", crop_pct=1.0, interpolation="bilinear",
            mean=(0, 0, 0), std=(1, 1, 1),
        )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "a.json",
        "a/b.onnx",
        "A-1_x.y.yaml",
        "evaluation/images/000000.PNG",
        "0/1/2.csv",
        "x.npy",
        "a" * 195 + ".json",
    ],
)
def test_names_of_members_stay_below_the_folder(name):
    assert check_name(name) == name
    assert Member(name=name, sha256="0" * 64, bytes=0).name == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../a.json", "is no name of a bundle's member"),
        ("/a.json", "is no name"),
        ("a//b.json", "is no name"),
        ("a/../b.json", "is no name"),
        (".a.json", "is no name"),
        ("a/.b.json", "is no name"),
        ("a\\b.json", "is no name"),
        ("a.json\n", "is no name"),
        ("a b.json", "is no name"),
        ("", "is no name"),
        ("a" * 196 + ".json", "is no name"),
        ("a.py", "is no kind of file that a bundle holds"),
        ("a.so", "is no kind"),
        ("a", "is no kind"),
        ("a.pth", "is no kind"),
    ],
)
def test_other_names_and_other_kinds_of_files_are_refused(name, told):
    with pytest.raises(ValueError, match=told):
        check_name(name)


@pytest.mark.parametrize(
    "name",
    ["../x.json", "/etc/x.json", "a/../x.json", "a//x.json", ".x.json", "a\\x.json", "x.py",
     "x.sh", "x.pkl", "x", "a" * 300 + ".json"],
)  # fmt: skip
def test_names_that_leave_the_folder_or_run_are_refused(name):
    with pytest.raises(ValueError, match="is no "):
        check_name(name)


def change_manifest(edit):
    def change(data):
        fields = json.loads(data)
        edit(fields)
        return json.dumps(fields).encode()

    return change


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda fields: fields["graphs"][0].update(batch=10**6), "less than or equal to 4096"),
        (lambda fields: fields["model"].update(num_classes=10**9), "more classes or channels"),
        (lambda fields: fields["model"].update(in_channels=10**6), "more classes or channels"),
        (
            lambda fields: (
                fields["graphs"][0].update(batch=4096),
                fields["preprocess"].update(image_size=4096),
            ),
            "a batch of 4096 images of 4096 px takes",
        ),
    ],
)
def test_what_a_bundles_manifest_would_take_has_an_end(root, tmp_path, edit, reason):
    bad = repack(root / "tiny.ecb", tmp_path / "bad.ecb", {MANIFEST: change_manifest(edit)})
    with pytest.raises(ArtifactError, match=reason):
        open_bundle(bad)


def test_a_bundle_of_rectangles_has_height_and_width():
    fields = manifest_of(contents())
    fields["preprocess"]["image_size"] = fields["model"]["image_size"] = [4, 6]
    read = Manifest.model_validate(json.loads(json.dumps(fields)))
    assert read.preprocess.image_size == read.model.image_size == (4, 6)
    again = json.loads(read.model_dump_json(by_alias=True))
    assert again["preprocess"]["image_size"] == [4, 6]
    fields["preprocess"]["image_size"] = [4, 4]
    assert Manifest.model_validate(fields).preprocess.image_size == 4
    for size in ([4, 1 << 20], [0, 4], [4, 4, 4], [4]):
        fields["preprocess"]["image_size"] = size
        with pytest.raises(ValidationError, match="image_size"):
            Manifest.model_validate(fields)
