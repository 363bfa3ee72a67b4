"""What a bundle may hold, and that nothing of it is taken before it is checked.

The zips are written here by hand, so that each is wrong in one way alone.
"""

import contextlib
import io
import json
import os
import stat
import zipfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
from support.bench_boards import ORT, repack
from support.bundle_parts import SIDE, contents, manifest_of, npy, pixels, sha

from edge_convnext.core.errors import (
    ArtifactError,
    RecipeError,
)
from edge_convnext.core.files import sha256_bytes
from edge_convnext.data.batches import iter_batches
from edge_convnext.devices.bench import bench_bundle
from edge_convnext.devices.bundle import read as module
from edge_convnext.devices.bundle.manifest import (
    MANIFEST,
    TENSORS,
)
from edge_convnext.devices.bundle.read import open_bundle
from edge_convnext.devices.bundle.write import write_bundle


def write_zip(path, files, manifest, change=lambda info: None):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [*files.items(), ("manifest.json", json.dumps(manifest).encode())]:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            change(info)
            archive.writestr(info, content)
    return path


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Writes one; graphs and report are looked at by other tests."""
    checked = []
    monkeypatch.setattr(module, "check_graph_file", lambda *arguments: checked.append(arguments))
    monkeypatch.setattr(module.Report, "read", lambda path: ("report of", path))

    def write(files=None, kind="tensors", manifest=None, change=lambda info: None, **changes):
        files = contents(kind) if files is None else files
        manifest = manifest or manifest_of(files, kind, **changes)
        return write_zip(tmp_path / "a.ecb", files, manifest, change)

    write.checked = checked
    return write


def refusal(path):
    with pytest.raises(ArtifactError) as caught:
        open_bundle(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_a_bundle_opens_to_what_was_put_in(bundle, tmp_path):
    opened = open_bundle(bundle())
    assert opened.manifest.model.classes == ("ant", "bee")
    with zipfile.ZipFile(opened.path) as archive:
        assert opened.digest == sha(archive.read("manifest.json"))
    shown = []

    def track(items, what, total=None):
        shown.append((what, total))
        return items

    found = opened.unpack(tmp_path / "out", track)
    assert shown == [("unpacking", 6)]
    for name, content in contents().items():
        assert (tmp_path / "out" / name).read_bytes() == content
    assert found.report == ("report of", tmp_path / "out" / "report.json")
    assert (found.digest, found.manifest) == (opened.digest, opened.manifest)
    assert bundle.checked == [
        (tmp_path / "out" / f"models/model.{name}.onnx", 2) for name in ("fp32", "int8")
    ]
    path = found.graph_path(opened.manifest.graphs[1])
    assert path == tmp_path / "out" / "models" / "model.int8.onnx"


@pytest.mark.parametrize("name", list(contents()))
def test_a_member_of_other_bytes_of_the_same_size_is_refused(bundle, tmp_path, name):
    """Its checksum in the zip is right: the manifest's hash alone tells."""
    files = contents()
    manifest = manifest_of(files)
    other = bytes(byte ^ 1 for byte in files[name])
    opened = open_bundle(bundle(files | {name: other}, manifest=manifest))
    with pytest.raises(ArtifactError) as caught:
        opened.unpack(tmp_path / "out")
    told = f"{opened.path}: {name} is damaged; copy or bundle it again"
    assert str(caught.value) == told
    assert not (tmp_path / "out" / name).exists()


def test_what_is_unpacked_and_whole_is_left_alone_and_what_is_not_is_written_again(
    bundle, tmp_path
):
    opened, out = open_bundle(bundle()), tmp_path / "out"
    opened.unpack(out)
    kept = (out / "report.json").stat().st_ino
    (out / "recipe.yaml").write_bytes(b"y")  # of the same size
    (out / "models/model.fp32.onnx").write_bytes(b"longer than it was")
    (out / "models/model.int8.onnx").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(contents()["evaluation/predictions.csv"])
    (out / "evaluation/predictions.csv").unlink()
    (out / "evaluation/predictions.csv").symlink_to(elsewhere)
    opened.unpack(out)
    for name, content in contents().items():
        assert (out / name).read_bytes() == content
        assert not (out / name).is_symlink()
    assert (out / "report.json").stat().st_ino == kept


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"extra.json": b"x"}, "'extra.json' is not as the manifest says"),
        ({"report.json": b"longer"}, "'report.json' is not as the manifest says"),
        ({"recipe.yaml": None}, "'recipe.yaml' is not as the manifest says"),
    ],
)
def test_the_members_are_exactly_those_of_the_manifest(bundle, files, told):
    whole = contents()
    changed = {name: content for name, content in (whole | files).items() if content is not None}
    path = bundle(changed, manifest=manifest_of(whole))
    assert refusal(path) == f"{told}; copy or bundle it again"


def test_members_that_are_no_plain_stored_files_are_refused(bundle):
    def compressed(info):
        info.compress_type = zipfile.ZIP_DEFLATED if info.filename == "recipe.yaml" else 0

    def mode(bits):
        def change(info):
            if info.filename == "recipe.yaml":
                info.external_attr = bits << 16

        return change

    told = (
        "'recipe.yaml' is not stored as a plain file; `edge-convnext bundle` writes no such member"
    )
    for change in (
        compressed, mode(stat.S_IFLNK | 0o644), mode(stat.S_IFDIR), mode(stat.S_IFIFO),
        mode(stat.S_IFREG | 0o755), mode(stat.S_IFREG | 0o001), mode(stat.S_IFREG | 0o010),
    ):  # fmt: skip
        assert refusal(bundle(change=change)) == told
    open_bundle(bundle(change=mode(0)))  # of a zip that says nothing of it
    open_bundle(bundle(change=mode(stat.S_IFREG | 0o666)))


def test_an_encrypted_member_is_refused(bundle):
    path = bundle()
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")  # the directory's last entry, of the manifest
    content[at + 8] |= 1
    path.write_bytes(content)
    assert refusal(path).startswith("'manifest.json' is not stored as a plain file")


def test_a_member_that_states_more_bytes_than_the_file_has_is_refused(bundle):
    path = bundle()
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 20
    content[at : at + 8] = 2 * len(content).to_bytes(4, "little")  # stored, and plain
    path.write_bytes(content)
    assert refusal(path) == "states more bytes than it has; copy or bundle it again"


def test_a_member_twice_or_too_many_or_too_large_are_refused(bundle, monkeypatch):
    path = bundle()
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("report.json"), b"{}")
    assert refusal(path) == "holds a member twice; bundle it again"
    path = bundle()
    monkeypatch.setattr(module, "_MAX_MEMBERS", 6)
    assert refusal(path) == "7 members are too many for a bundle; bundle it again"
    monkeypatch.setattr(module, "_MAX_MEMBERS", 7)
    open_bundle(path)
    largest = max(map(len, (*contents().values(), json.dumps(manifest_of(contents())).encode())))
    monkeypatch.setattr(module, "_MAX_MEMBER", largest)
    open_bundle(path)
    monkeypatch.setattr(module, "_MAX_MEMBER", largest - 1)
    assert refusal(path) == "'manifest.json' states a size it can't have; copy or bundle it again"
    monkeypatch.setattr(module, "_MAX_MEMBER", 1 << 30)
    monkeypatch.setattr(module, "_MAX_MANIFEST", largest - 1)
    assert refusal(path) == "its manifest is too large to be one; bundle it again"
    monkeypatch.setattr(module, "_MAX_MANIFEST", largest)
    open_bundle(path)


def test_limits_are_what_a_bundle_of_a_million_images_needs():
    assert module._MAX_MANIFEST == 64 * 1024 * 1024
    assert module._MAX_MEMBERS == 1_000_000
    assert module._MAX_MEMBER == 64 * 1024**3


def test_what_is_no_zip_or_has_no_manifest_is_refused(tmp_path):
    path = tmp_path / "a.ecb"
    path.write_bytes(b"no zip")
    assert refusal(path) == "cut short, or no bundle; copy or bundle it again"
    path.unlink()
    assert refusal(path) == "No such file or directory; `edge-convnext bundle` writes one"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("report.json"), b"{}")
    assert refusal(path) == "not a bundle (no manifest.json); `edge-convnext bundle` writes one"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "its manifest is not JSON; bundle it again"),
        ("[" * 100_000, "its manifest is not JSON; bundle it again"),
        ("[]", "schema is None, this version reads 'edge-convnext/bundle/1'"),
        ('{"schema": "edge-convnext/bundle/9"}', "schema is 'edge-convnext/bundle/9', this"),
        (
            '{"schema": "edge-convnext/bundle/1"}',
            "bad manifest (edge_convnext: Field required); bundle it again",
        ),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, text, told):
    path = tmp_path / "a.ecb"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("manifest.json"), text)
    assert refusal(path).startswith(told)


def test_pixels_are_normalised_in_batches_and_in_order(bundle, tmp_path):
    found = open_bundle(bundle()).unpack(tmp_path / "out").evaluation()
    assert len(found) == 3
    assert found.samples == ()
    assert found.in_channels == 3
    batches = list(found.batches(2))
    assert [batch.shape for batch in batches] == [(2, 3, SIDE, SIDE), (1, 3, SIDE, SIDE)]
    wide = pixels().astype(np.float64) / 255
    expected = ((wide - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(np.concatenate(batches), expected, atol=1e-6)
    assert found.reference.labels.tolist() == [0, 1, 0]
    assert found.reference.logits.argmax(axis=1).tolist() == [0, 0, 1]


def test_image_files_are_read_in_the_order_of_the_predictions(bundle, tmp_path):
    files = contents("images")
    names = [name for name in files if name.endswith(".png")]
    lines = files["evaluation/predictions.csv"].decode().splitlines()
    files["evaluation/predictions.csv"] = "\n".join([lines[0], *reversed(lines[1:])]).encode()
    found = open_bundle(bundle(files, "images")).unpack(tmp_path / "out").evaluation()
    assert found.pixels is None
    assert [one.path for one in found.samples] == [
        tmp_path / "out" / name for name in reversed(names)
    ]
    assert [one.sha256 for one in found.samples] == list(found.reference.sha256s)
    (batch,) = found.batches(8)
    (expected,) = iter_batches(found.samples, found.preprocess, 8, 3)
    np.testing.assert_array_equal(batch, expected)
    assert found.preprocess.mean == (0.5, 0.4, 0.3)


def test_a_bundle_without_an_evaluation_has_none(bundle, tmp_path):
    assert open_bundle(bundle(kind="none")).unpack(tmp_path / "out").evaluation() is None


def evaluation_refusal(path, out):
    with pytest.raises(ArtifactError) as caught:
        open_bundle(path).unpack(out).evaluation()
    return str(caught.value)


def test_images_predictions_and_tensors_that_do_not_belong_together_are_refused(bundle, tmp_path):
    out = tmp_path / "out"
    csv, npz = out / "evaluation/predictions.csv", out / "evaluation/images.npy"
    manifest = manifest_of(contents(), evaluation={"kind": "tensors", "n_images": 4})
    assert evaluation_refusal(bundle(manifest=manifest), out) == (
        f"{csv}: 3 predictions for 4 images; bundle again"
    )
    files = contents("images")
    del files["evaluation/images/000001.png"]
    assert evaluation_refusal(bundle(files, "images"), out) == (
        f"{csv}: 1 images are not in the bundle; bundle again"
    )
    for array, said in (
        (pixels()[:2], "uint8[2, 4, 4, 3] is not uint8[3, 4, 4, 3]"),
        (pixels().astype(np.int8), "int8[3, 4, 4, 3] is not uint8[3, 4, 4, 3]"),
        (pixels()[..., 0], "uint8[3, 4, 4] is not uint8[3, 4, 4, 3]"),
    ):
        files = contents() | {"evaluation/images.npy": npy(array)}
        assert evaluation_refusal(bundle(files), out) == f"{npz}: {said}; bundle again"
    files = contents() | {"evaluation/images.npy": b"no array"}
    assert evaluation_refusal(bundle(files), out).startswith(f"{npz}: not an array (")


def test_grey_tensors_have_no_channels(bundle, tmp_path):
    files = contents() | {"evaluation/images.npy": npy(pixels()[..., 0])}
    manifest = manifest_of(files)
    manifest["model"]["in_channels"] = 1
    found = open_bundle(bundle(files, manifest=manifest)).unpack(tmp_path / "out").evaluation()
    assert found.in_channels == 1
    (batch,) = found.batches(3)
    assert batch.shape == (3, 1, SIDE, SIDE)


def edit_manifest(**changes):
    def edit(data):
        return json.dumps({**json.loads(data), **changes}).encode()

    return {MANIFEST: edit}


def test_pixels_and_files_are_the_same_input(root, tmp_path):
    write_bundle(root / "build", tmp_path / "t.ecb", "tensors")
    as_tensors = open_bundle(tmp_path / "t.ecb").unpack(tmp_path / "t").evaluation()
    as_images = open_bundle(root / "tiny.ecb").unpack(tmp_path / "i").evaluation()
    assert as_tensors.pixels.dtype == np.uint8
    for left, right in zip(as_tensors.batches(4), as_images.batches(4), strict=True):
        np.testing.assert_array_equal(left, right)
    assert as_tensors.reference.sha256s == as_images.reference.sha256s


def special(mode):
    info = zipfile.ZipInfo("models/x.onnx")
    info.external_attr = mode << 16
    return info


def deflated(info):
    other = zipfile.ZipInfo(info.filename)
    other.compress_type = zipfile.ZIP_DEFLATED
    return other


def escape(data):
    fields = json.loads(data)
    fields["members"][0]["name"] = "../../escape.json"
    return json.dumps(fields).encode()


def enlarge(data):
    fields = json.loads(data)
    fields["preprocess"]["image_size"] = 10**6  # a terabyte for one image
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"change": {"recipe.yaml": lambda data: data[:-1]}}, "not as the manifest says"),
        ({"change": {MANIFEST: lambda _: None}}, "not a bundle"),
        ({"change": {MANIFEST: lambda _: b"\xff{"}}, "not JSON"),
        ({"change": {MANIFEST: lambda _: b"[" * 100_000}}, "not JSON"),
        ({"change": edit_manifest(schema="edge-convnext/bundle/9")}, "edge-convnext/bundle/9"),
        ({"change": edit_manifest(further=1)}, "bad manifest"),
        ({"change": edit_manifest(members=[])}, "bad manifest"),
        ({"change": {MANIFEST: escape}}, "no name of a bundle's member"),
        ({"change": {MANIFEST: enlarge}}, "image_size"),
        ({"add": [(zipfile.ZipInfo("extra.json"), b"{}")]}, "'extra.json'"),
        ({"add": [(special(stat.S_IFLNK | 0o777), b"/etc/passwd")]}, "plain file"),
        ({"add": [(special(stat.S_IFREG | 0o755), b"#!")]}, "plain file"),
        ({"infos": deflated}, "plain file"),
    ],
)  # fmt: skip
def test_a_bundle_that_is_not_one_is_refused_and_nothing_is_unpacked(
    root, tmp_path, options, reason
):
    bad = repack(root / "tiny.ecb", tmp_path / "bad.ecb", **options)
    with pytest.raises(ArtifactError, match=reason) as caught:
        bench_bundle(bad, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_flipped_byte_is_found_where_it_lies(root, tmp_path):
    whole = (root / "tiny.ecb").read_bytes()
    place = whole.index((root / "build" / "model.int8.onnx").read_bytes()) + 5_000
    bad = tmp_path / "bad.ecb"
    bad.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx.*damaged"):
        open_bundle(bad).unpack(tmp_path / "out")
    assert not (tmp_path / "out" / "models" / "model.int8.onnx").exists()


def test_a_graph_of_a_bundle_is_checked_before_a_runtime_gets_it(root, tmp_path):
    name = "models/model.fp32.onnx"
    proto = onnx.load(root / "build" / "model.fp32.onnx")
    proto.graph.node[0].op_type = "Loop"
    data = proto.SerializeToString()

    def swap(manifest):
        fields = json.loads(manifest)
        entry = next(one for one in fields["members"] if one["name"] == name)
        entry |= {"sha256": sha256_bytes(data), "bytes": len(data)}
        return json.dumps(fields).encode()

    bad = repack(root / "tiny.ecb", tmp_path / "bad.ecb", {name: lambda _: data, MANIFEST: swap})
    with pytest.raises(ArtifactError, match="operation Loop, which no build writes"):
        bench_bundle(bad, tmp_path / "out", ORT)


def replace_member(root, output, name, edit):
    """The bundle with another content of one member, and a manifest that answers for it."""
    made = {}

    def change(data):
        made["data"] = edit(data)
        return made["data"]

    def answer_for(manifest):
        fields = json.loads(manifest)
        entry = next(one for one in fields["members"] if one["name"] == name)
        with zipfile.ZipFile(root / "tiny.ecb") as archive:
            data = edit(archive.read(name))
        entry |= {"sha256": sha256_bytes(data), "bytes": len(data)}
        return json.dumps(fields).encode()

    return repack(root / "tiny.ecb", output, {name: change, MANIFEST: answer_for})


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("benchmark", "batches", [1_000_000]),
        ("benchmark", "batches", list(range(1, 100))),
        ("benchmark", "rounds", 10**9),
        ("benchmark", "min_round_ms", 10**9),
        ("benchmark", "warmup", 10**9),
        ("evaluate", "batch", 10**6),
    ],
)
def test_what_a_bundles_recipe_would_take_has_an_end(root, tmp_path, section, field, value):
    def edit(data):
        fields = json.loads(data)
        fields["recipe"][section][field] = value
        return json.dumps(fields).encode()

    bad = replace_member(root, tmp_path / "bad.ecb", "report.json", edit)
    with pytest.raises(
        RecipeError, match=rf"'{section}\.{field}' is .*: .*at most|less than"
    ) as told:
        bench_bundle(bad, tmp_path / "out", replace(ORT, rounds=None))
    assert "\n" not in str(told.value)


def test_whatever_byte_of_a_bundle_flips_it_is_refused_or_read_whole(root, tmp_path):
    whole = (root / "tiny.ecb").read_bytes()
    directory = whole.index(b"PK\x01\x02")
    bad = tmp_path / "bad.ecb"
    places = [*range(directory, len(whole), 7), *range(60)]
    for place in places:
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0xA5]) + whole[place + 1 :])
        with contextlib.suppress(ArtifactError):
            open_bundle(bad).unpack(tmp_path / "out")


def test_a_pipe_is_no_bundle(tmp_path):
    os.mkfifo(tmp_path / "x.ecb")
    with pytest.raises(ArtifactError, match="pipe"):
        open_bundle(tmp_path / "x.ecb")


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_bundle_cut_short_is_refused(root, tmp_path, kept):
    whole = (root / "tiny.ecb").read_bytes()
    cut = tmp_path / "cut.ecb"
    cut.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    with pytest.raises(ArtifactError, match="cut short, or no bundle"):
        open_bundle(cut)


def test_an_array_with_a_pickle_in_it_is_not_loaded(root, tmp_path):
    write_bundle(root / "build", tmp_path / "t.ecb", "tensors")
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    pickled = buffer.getvalue()

    def swap(data):
        fields = json.loads(data)
        for member in fields["members"]:
            if member["name"] == TENSORS:
                member.update(sha256=sha256_bytes(pickled), bytes=len(pickled))
        return json.dumps(fields).encode()

    bad = repack(
        tmp_path / "t.ecb", tmp_path / "p.ecb", {TENSORS: lambda _: pickled, MANIFEST: swap}
    )
    with pytest.raises(ArtifactError, match="not an array"):
        open_bundle(bad).unpack(tmp_path / "out").evaluation()


def test_of_a_damaged_bundle_nothing_stays_unpacked(root, tmp_path):
    whole = (root / "tiny.ecb").read_bytes()
    place = whole.index((root / "build" / "model.int8.onnx").read_bytes()) + 5_000
    (tmp_path / "bad.ecb").write_bytes(
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    )
    (tmp_path / "there").mkdir()
    for out in ("new", "there"):
        with pytest.raises(ArtifactError, match="damaged"):
            bench_bundle(tmp_path / "bad.ecb", tmp_path / out, ORT)
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_pixels_of_a_turned_rectangle_are_refused(bundle, tmp_path):
    array = np.arange(3 * 4 * 6 * 3, dtype=np.uint8).reshape(3, 4, 6, 3)
    files = contents() | {"evaluation/images.npy": npy(array)}
    for at, (size, fits) in enumerate((([4, 6], True), ([6, 4], False))):
        changed = manifest_of(files)["preprocess"] | {"image_size": size}
        opened = open_bundle(bundle(files, "tensors", preprocess=changed))
        unpacked = opened.unpack(tmp_path / str(at))
        if fits:
            found = next(iter(unpacked.evaluation().batches(3)))
            expected = (array / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
            np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-6)
        else:
            with pytest.raises(ArtifactError, match=r"is not uint8\[3, 6, 4, 3\]"):
                unpacked.evaluation()
