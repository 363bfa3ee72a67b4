"""What a manifest says, and which differences of two builds are by their nature."""

import hashlib
import json

import pytest

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.manifest import (
    FileCheck,
    FileComparison,
    check_unchanged,
    compare_builds,
    read_manifest,
    require_unedited,
    verify_build,
    write_manifest,
)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def build(tmp_path):
    return make_build(tmp_path / "build", {"b.onnx": "bb", "a.csv": "a", "sub/c.txt": "ccc"})


def make_build(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    write_manifest(folder, [folder / name for name in files])
    return folder


def test_a_manifest_lists_size_and_digest_of_every_file_by_name(build):
    text = (build / "manifest.json").read_text()
    entries = {
        name: {"sha256": sha(content), "bytes": len(content)}
        for name, content in (("a.csv", "a"), ("b.onnx", "bb"), ("sub/c.txt", "ccc"))
    }
    document = {"schema": "edge-convnext/manifest/1", "files": entries}
    assert text == json.dumps(document, indent=1) + "\n"
    assert read_manifest(build) == {name: entry["sha256"] for name, entry in entries.items()}


def test_what_is_known_is_not_hashed_again(build):
    write_manifest(build, [build / "a.csv", build / "b.onnx"], {"a.csv": "known"})
    assert read_manifest(build) == {"a.csv": "known", "b.onnx": sha("bb")}


def test_every_file_is_found_as_it_is(build):
    (build / "a.csv").write_text("A")
    (build / "b.onnx").unlink()
    assert verify_build(build) == (
        FileCheck("a.csv", "changed"),
        FileCheck("b.onnx", "missing"),
        FileCheck("sub/c.txt", "unchanged"),
    )


VARIES = {
    "report.json": "has timings, the date and seconds per stage",
    "report.md": "has timings, the date and seconds per stage",
    "report.html": "has timings, the date and seconds per stage",
    "gpu/x.engine": "a builder numbers and times what it compiles",
    "gpu/x.engine.json": "describes the engine",
}


def test_only_reports_and_engines_vary_by_their_nature(tmp_path):
    names = [*VARIES, "model.json", "engine.onnx", "same.txt"]
    here, there = (
        make_build(tmp_path / side, {name: side if name != "same.txt" else "" for name in names})
        for side in ("here", "there")
    )
    found = {one.path: one for one in compare_builds(here, there)}
    assert list(found) == sorted(names)
    for name, reason in VARIES.items():
        assert found[name] == FileComparison(name, "varies", reason)
    for name in ("model.json", "engine.onnx"):
        assert found[name] == FileComparison(name, "different", None)
    assert found["same.txt"] == FileComparison("same.txt", "identical", None)


def test_a_file_that_one_build_lacks_is_missing_whichever_lacks_it(tmp_path):
    here = make_build(tmp_path / "here", {"a": "1", "b": "2"})
    there = make_build(tmp_path / "there", {"b": "2", "c": "3"})
    expected = {"a": "missing", "b": "identical", "c": "missing"}
    for one, other in ((here, there), (there, here)):
        assert {file.path: file.state for file in compare_builds(one, other)} == expected


def test_what_report_and_manifest_answer_for_is_checked_and_told(build):
    outputs = {"b.onnx": sha("bb"), "gone": "x", "extra.txt": sha("e")}
    (build / "extra.txt").write_text("e")
    assert check_unchanged(build, outputs, ["gone", "a.csv"]) == {
        "b.onnx": sha("bb"), "extra.txt": sha("e"), "sub/c.txt": sha("ccc"),
    }  # fmt: skip
    (build / "manifest.json").unlink()
    assert check_unchanged(build, outputs, ["gone"]) == {
        "b.onnx": sha("bb"), "extra.txt": sha("e"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outputs", "name", "state"),
    [
        ({"b.onnx": sha("other")}, "b.onnx", "changed"),  # the report's digest counts as well
        ({"gone": sha("")}, "gone", "missing"),
    ],
)
def test_a_file_that_is_not_what_they_say_is_told(build, outputs, name, state):
    with pytest.raises(ArtifactError) as caught:
        check_unchanged(build, outputs, [])
    assert str(caught.value) == f"{build / name}: {state} since the build; build again"


def write_fields(folder, **fields):
    document = {"schema": "edge-convnext/manifest/1", **fields}
    (folder / "manifest.json").write_text(json.dumps(document))


@pytest.mark.parametrize("files", [None, [], {"a": None}, {"a": {"bytes": 1}}, {"a": "x"}])
def test_a_manifest_of_another_make_is_refused(tmp_path, files):
    write_fields(tmp_path, **({} if files is None else {"files": files}))
    with pytest.raises(ArtifactError) as caught:
        read_manifest(tmp_path)
    told = f"{tmp_path / 'manifest.json'}: not a manifest that a build wrote; build again"
    assert str(caught.value) == told


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd"])
def test_a_name_outside_the_build_is_refused(tmp_path, name):
    write_fields(tmp_path, files={"ok": {"sha256": "1"}, name: {"sha256": "2"}})
    with pytest.raises(ArtifactError) as caught:
        read_manifest(tmp_path)
    told = f"{tmp_path / 'manifest.json'}: '{name}' is outside the build; build again"
    assert str(caught.value) == told


def test_a_name_with_dots_in_it_is_no_way_out(tmp_path):
    write_fields(tmp_path, files={"a..b": {"sha256": "1"}, "..c/d": {"sha256": "2"}})
    assert read_manifest(tmp_path) == {"a..b": "1", "..c/d": "2"}


def test_a_manifest_that_is_not_there_says_what_to_pass(tmp_path):
    with pytest.raises(ArtifactError, match=r"pass a folder that `edge-convnext build` finished$"):
        read_manifest(tmp_path)


def test_a_manifest_of_another_schema_is_refused(tmp_path):
    write_fields(tmp_path, schema="edge-convnext/manifest/9")
    with pytest.raises(ArtifactError, match=r"schema is .*9.*, this version reads .*1"):
        read_manifest(tmp_path)


def test_a_damaged_manifest_says_what_to_do(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"not JSON .*; build again$"):
        read_manifest(tmp_path)


def test_a_report_is_as_the_build_wrote_it_by_the_manifest_beside_it(tmp_path):
    files = {"report.json": "r", "report.md": "m", "report.html": "h", "model.onnx": "o"}
    build = make_build(tmp_path / "build", files)
    report, manifest = build / "report.json", build / "manifest.json"
    assert require_unedited(report) == {name: sha(text) for name, text in files.items()}
    (build / "model.onnx").write_text("other")  # whose hash is in the report
    require_unedited(report)

    def refusal():
        with pytest.raises(ArtifactError) as caught:
            require_unedited(report)
        return str(caught.value)

    for name in ("report.html", "report.md", "report.json"):
        (build / name).write_text("edited")
        mend = "build again"
        if name != "report.json":  # made from it, and made again
            mend = f"make it again with `edge-convnext report {build}`"
        told = f"{build / name}: is not the file that {manifest} is about; {mend}"
        assert refusal() == told
        (build / name).unlink()
        assert refusal() == f"{build / name}: is missing, and {manifest} is about it; {mend}"
        (build / name).write_text(files[name])
    write_manifest(build, [build / "model.onnx"])
    assert refusal() == f"{manifest}: does not name report.json; build again"
    write_manifest(build, [report])
    (build / "report.md").write_text("of nobody")
    assert require_unedited(report) == {"report.json": sha("r")}
    manifest.unlink()
    assert refusal() == (
        f"{manifest}: is missing, and without it nothing shows whether report.json is as the build "
        "wrote it; keep the two together, or build again (a board's: bench again)"
    )
