import os
import sys
import tempfile
from pathlib import Path

import pytest

from edge_convnext.core.locks import hold_lock
from edge_convnext.core.marks import MARK, is_marked, make_marked, mark, remove_marked
from edge_convnext.core.scratch import scratch_folder, use_temporary_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on folders")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_scratch_folder_is_private_marked_and_gone_afterwards(temporary):
    with scratch_folder() as folder:
        assert is_marked(folder)
        assert is_marked(folder.parent)
        assert [path.stat().st_mode & 0o077 for path in (folder, folder.parent)] == [0, 0]
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        with scratch_folder() as other:
            assert other.parent == folder.parent
        assert folder.is_dir()
    assert list(temporary.iterdir()) == []


def test_only_a_folder_that_is_marked_and_that_nobody_holds_is_taken_for_left_behind(temporary):
    with scratch_folder() as first:
        left, held, mine, empty = (first.parent / name for name in ("left", "held", "mine", "none"))
        for folder in (left, held):
            make_marked(folder)
            (folder / "images").write_text("x")
        mine.mkdir()
        (mine / "thesis").write_text("years of work")
        empty.mkdir()  # its process was killed before it wrote the mark
        with hold_lock(held), scratch_folder():
            assert not left.exists()
            assert not empty.exists()
            assert (held / "images").exists()
    assert (mine / "thesis").read_text() == "years of work"


@pytest.mark.parametrize("kind", ["no mark", "another text", "a link", "a pipe", "open to all"])
def test_a_folder_of_that_name_that_is_not_ours_is_left_alone(temporary, kind):
    users = temporary / f"edge-convnext-scratch-{os.getuid()}"
    users.mkdir(mode=0o700)
    (users / "thesis").write_text("years of work")
    if kind == "another text":
        (users / MARK).write_text("mine\n")
    elif kind == "a link":
        mark(temporary)
        (temporary / MARK).rename(temporary / "elsewhere")
        (users / MARK).symlink_to(temporary / "elsewhere")
    elif kind == "a pipe":
        os.mkfifo(users / MARK)
    elif kind == "open to all":
        mark(users)
        users.chmod(0o777)
    with scratch_folder() as folder:
        assert folder.parent == temporary
    assert (users / "thesis").read_text() == "years of work"


def test_a_link_to_a_marked_folder_is_not_ours_to_remove(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    make_marked(target)
    link.symlink_to(target)
    assert not is_marked(link)
    assert not remove_marked(link)
    assert is_marked(target)


def test_what_a_link_inside_points_to_stays(tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "final.txt").write_text("years of work")
    make_marked(tmp_path / "ours")
    (tmp_path / "ours" / "link").symlink_to(thesis)
    assert remove_marked(tmp_path / "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]
    assert (thesis / "final.txt").read_text() == "years of work"


def test_a_killed_removal_leaves_the_mark_to_the_last(tmp_path, monkeypatch):
    folder = tmp_path / "ours"
    make_marked(folder)
    for name in ("a", "z"):
        (folder / name).write_text("x")
    unlink = Path.unlink

    def killed(path):
        if path.name == "z":
            raise KeyboardInterrupt
        unlink(path)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_marked(folder)
    assert is_marked(folder)
    assert (folder / "z").exists()


def test_a_full_disk_leaves_no_folder_without_a_mark(tmp_path, monkeypatch):
    def full(path, *_, **__):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        make_marked(tmp_path / "ours")
    assert list(tmp_path.iterdir()) == []


def nowhere(*_):
    raise FileNotFoundError


def test_without_a_temporary_folder_the_cache_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", nowhere)
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    use_temporary_folder(lambda: tmp_path / "cache")
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path / "cache" / "tmp")


def test_the_working_folder_is_not_littered_where_the_cache_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    use_temporary_folder(lambda: tmp_path / "cache")
    assert tempfile.gettempdir() == str(tmp_path / "cache" / "tmp")


def test_a_temporary_folder_that_serves_is_kept(temporary):
    use_temporary_folder(lambda: temporary / "cache")
    assert tempfile.gettempdir() == str(temporary)
    assert list(temporary.iterdir()) == []
