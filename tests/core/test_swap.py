"""A build is replaced as a whole: a full disk or a kill costs nothing that was there."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.gate_builds import make_build

from edge_convnext.build import publish as publishing
from edge_convnext.build.amend import add_sensitivity
from edge_convnext.build.publish import publish
from edge_convnext.core import swap as swapping
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.swap import written_beside
from edge_convnext.report import beside
from edge_convnext.report import folder as folders
from edge_convnext.report.beside import Beside
from edge_convnext.report.contract import Report
from edge_convnext.report.folder import check_writable
from edge_convnext.report.manifest import MANIFEST, read_manifest, verify_build, write_manifest

MINE = {"notes.txt": "mine", "model.best.onnx": "mine too", ".edge-convnext-new-thesis/a": "mine"}


def content(folder):
    """By name, of every file but those of a swap that was cut short."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not any(part in path.parts for part in left(folder))
    }


def left(folder):
    return [path.name for path in swapping._left(folder)]


def is_whole(folder):
    return {check.state for check in verify_build(folder)} == {"unchanged"}


def record(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    write_manifest(folder, [path for path in files if path.name != MANIFEST])


@pytest.fixture
def build(tmp_path):
    """An older build, with an engine that the next one has not, beside files of the user's."""
    folder = tmp_path / "out"
    make_build(folder, n=10)
    for name in ("model.int8.onnx", "model.int8.rtx.engine", "gpu/int8.b1.onnx"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("old")
    record(folder)
    for name, text in MINE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def made(tmp_path):
    """Files and report of a build that is finished but for what `publish` does."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("fp32", "int8"):
        (cache / name).write_text(f"new {name}")
    files = {f"model.{name}.onnx": cache / name for name in ("fp32", "int8")}
    return Beside(files), Report.read(make_build(tmp_path / "example"))


NEW = {"model.fp32.onnx": "new fp32", "model.int8.onnx": "new int8"}


def check_new(folder):
    found = content(folder)
    assert is_whole(folder)
    made = {"report.json", "report.md", "report.html", "recipe.yaml"}
    assert set(found) == {*NEW, *MINE, *made, MANIFEST}
    assert {name: found[name] for name in {**NEW, **MINE}} == {**NEW, **MINE}
    assert set(read_manifest(folder)) == {*NEW, *made}
    assert left(folder) == []


def test_a_build_replaces_an_older_one_and_leaves_the_users_files(build, made):
    published = publish(*made, build)
    check_new(build)
    assert not (build / "gpu").exists()
    assert Report.read(build / "report.json") == published
    assert {one.path for one in published.outputs} == set(NEW)


@pytest.mark.parametrize("place", ["out", "link/out", "link"])
def test_an_output_behind_a_link_that_leads_nowhere_is_refused_before_the_build(tmp_path, place):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "out").symlink_to(tmp_path / "link")
    with pytest.raises(ArtifactError, match=r"can't be written \((out|link) is a link that leads"):
        check_writable(tmp_path / place)


@pytest.mark.parametrize("kind", ["a file", "a link"])
def test_what_is_in_the_way_of_a_folder_costs_no_older_build(build, made, tmp_path, kind):
    own = {f"cpu/{name}.openvino.onnx": tmp_path / "cache" / name for name in ("fp32", "int8")}
    made = (Beside(own), made[1])
    (tmp_path / "elsewhere").mkdir()
    if kind == "a file":
        (build / "cpu").write_text("mine")
    else:
        (build / "cpu").symlink_to(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in build.rglob("*") if path.is_file()}
    with pytest.raises(ArtifactError, match=r"cpu: a folder .* goes here, .* move it"):
        publish(*made, build)
    assert {path: path.read_bytes() for path in build.rglob("*") if path.is_file()} == before
    assert left(build) == []
    assert list((tmp_path / "elsewhere").iterdir()) == []


class Killed(BaseException):
    pass


MOVES = ("unlink", "replace", "rmdir", "write_text")


def stop_at(monkeypatch, count, error):
    """The `count`-th change of a file in what follows ends the process, or fails."""
    left = count

    def ending(real):
        def change(path, *arguments, **options):
            nonlocal left
            if left == 0:
                raise error
            left -= 1
            return real(path, *arguments, **options)

        return change

    for name in MOVES:
        monkeypatch.setattr(Path, name, ending(getattr(Path, name)))
    return lambda: left > 0


@pytest.mark.parametrize("kind", ["killed", "refused"])
def test_whatever_moment_a_build_is_cut_short_the_folder_is_whole_or_says_it_is_not(
    build, made, monkeypatch, tmp_path, kind
):
    """Of either kind the old build is there, whole, or no manifest; the next build completes."""
    old = content(build)
    shutil.copytree(build, tmp_path / "copy")
    seen = set()
    for count in range(100):
        shutil.rmtree(build)
        shutil.copytree(tmp_path / "copy", build)
        with monkeypatch.context() as patch:
            error = Killed() if kind == "killed" else OSError(errno.EIO, "an error of the disk")
            ended = stop_at(patch, count, error)
            if kind == "killed":  # nothing is cleaned up either
                patch.setattr(swapping, "remove_marked", lambda _: True)
            try:
                publish(*made, build)
            except (Killed, OSError):
                pass
            else:
                if ended():
                    break
        found = content(build)
        state = "none" if not (build / MANIFEST).exists() else "old" if found == old else "new"
        assert state != "new" or is_whole(build)
        assert {name: found[name] for name in MINE} == MINE
        seen.add(state)
        check_writable(build)  # the next build knows what is there for its own
        publish(*made, build)
        check_new(build)
    else:
        raise AssertionError("it never completed")
    assert {"old", "none"} <= seen


def test_two_builds_cut_short_in_a_row_are_still_known(build, made, monkeypatch):
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail_on("model.int8.onnx", Killed()))
            with pytest.raises(Killed):
                publish(*made, build)
        assert not (build / MANIFEST).exists()
    publish(*made, build)
    check_new(build)


def fail_on(name, error, real=Path.replace):
    def replace(path, target):
        if Path(target).name == name and not str(target).endswith(".tmp"):
            if Path(target).parent.name.startswith(".edge-convnext-new-"):
                return real(path, target)
            raise error
        return real(path, target)

    return replace


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", "/the/cache/graph.onnx")


@pytest.mark.parametrize("where", ["copy", "report", "manifest"])
def test_a_disk_that_fills_while_a_build_is_written_costs_nothing(build, made, monkeypatch, where):
    old = content(build)
    module, name = {
        "copy": (beside, "copy_atomic"),
        "report": (folders, "write_text_atomic"),
        "manifest": (publishing, "write_manifest"),
    }[where]
    monkeypatch.setattr(module, name, full)
    with pytest.raises(ArtifactError) as told:
        publish(*made, build)
    assert str(told.value) == (
        f"{build}: can't be written (No space left on device); what was there is as it was: free "
        "some space, or choose another --out"
    )
    assert content(build) == old
    assert is_whole(build)
    assert left(build) == []


def test_room_is_looked_for_before_the_first_file(build, made, monkeypatch):
    old = content(build)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=500_000))
    with pytest.raises(ArtifactError, match=r"out: 0\.5 MB are free on its disk and 1\.0 MB are"):
        publish(*made, build)
    assert content(build) == old
    assert left(build) == []


@pytest.mark.parametrize("where", ["write_text_atomic", "write_manifest"])
def test_a_report_that_is_written_anew_is_the_old_or_the_new_one(tmp_path, monkeypatch, where):
    build = tmp_path / "out"
    make_build(build, n=10)
    record(build)
    old = hashes(build)
    with monkeypatch.context() as patch:
        patch.setattr(folders, where, full)
        with pytest.raises(ArtifactError, match="what was there is as it was"):
            add_sensitivity(build, {"qdq": []})
    assert hashes(build) == old
    add_sensitivity(build, {"qdq": []})
    assert is_whole(build)
    assert [one.graph for one in Report.read(build / "report.json").sensitivity] == ["qdq"]


def hashes(folder):
    return {path.name: sha256_file(path) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name",
    [
        *("report.json", "report.md", "manifest.json", "calibration.csv", "predictions.csv"),
        "report.html",
        *("model.fp32.onnx", "model.int8.rtx.sm86.b1.engine", "gpu/int8.b1.onnx"),
    ],
)
@pytest.mark.parametrize("beside", ["nothing", "a graph of that name", "a manifest of others"])
def test_a_file_that_no_build_wrote_is_not_overwritten_for_its_name(tmp_path, name, beside):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("years of work")
    if beside == "a graph of that name":
        (out / "model.int8.onnx").write_text("exported by hand")
    if beside == "a manifest of others" and name != MANIFEST:
        (out / "model.fp16.onnx").write_text("of a build")
        write_manifest(out, [out / "model.fp16.onnx"])
    with pytest.raises(ArtifactError, match="would be overwritten, and no build in"):
        check_writable(out)
    assert (out / name).read_text() == "years of work"


def test_a_manifest_that_names_a_users_file_does_not_make_it_ours(build, made):
    record(build)
    publish(*made, build)
    check_new(build)


@pytest.mark.parametrize("damaged", ["report.json", MANIFEST])
def test_a_build_one_of_whose_records_is_damaged_can_be_built_again(build, made, damaged):
    (build / damaged).write_bytes(b"\0")
    if damaged == MANIFEST:  # the report answers for what it names
        for name in ("model.int8.rtx.engine", "gpu/int8.b1.onnx"):
            (build / name).unlink()
        (build / "gpu").rmdir()
    publish(*made, build)
    check_new(build)


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    new = tmp_path / "out"
    new.mkdir()
    (new / "report.md").symlink_to(tmp_path / "thesis")
    with pytest.raises(ArtifactError, match=r"report\.md: would be overwritten"):
        check_writable(new)
    assert (tmp_path / "thesis").read_text() == "years of work"


def test_a_failure_inside_leaves_nothing(tmp_path):
    def fail():
        with written_beside(tmp_path) as new:
            (new / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []
