import os
import stat
from pathlib import Path

import pytest

from edge_convnext.core.marks import MARK, is_marked, make_marked, mark, remove_marked


def test_a_marked_folder_is_the_users_alone_and_is_removed_with_all_in_it(tmp_path):
    folder = tmp_path / "work"
    make_marked(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "sub").mkdir()
    (folder / "sub" / "file").touch()
    assert is_marked(folder)
    assert remove_marked(folder)
    assert not folder.exists()


def test_a_folder_that_is_there_is_never_marked(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError):
        make_marked(tmp_path / "mine")
    assert not is_marked(tmp_path / "mine")
    assert not remove_marked(tmp_path / "mine")
    assert (tmp_path / "mine").is_dir()


def spoil(path, content):
    path.unlink()
    path.write_text(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: spoil(path, ""),
        lambda path: spoil(path, path.name),
        lambda path: spoil(path, "edge-convnext made this folder and removes it"),
        lambda path: (path.rename(path.parent / "m"), path.symlink_to(path.parent / "m")),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["empty", "name", "a part of the text", "a link", "a pipe", "a folder"],
)
def test_nothing_else_is_a_mark(tmp_path, change):
    folder = tmp_path / "work"
    make_marked(folder)
    change(folder / MARK)
    assert not is_marked(folder)
    assert not remove_marked(folder)


def test_a_link_to_a_marked_folder_is_not_followed(tmp_path):
    make_marked(tmp_path / "work")
    (tmp_path / "link").symlink_to(tmp_path / "work")
    assert not is_marked(tmp_path / "link")
    assert not remove_marked(tmp_path / "link")
    assert is_marked(tmp_path / "work")


def test_a_linked_folder_inside_loses_its_link_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    make_marked(tmp_path / "work")
    (tmp_path / "work" / "link").symlink_to(tmp_path / "mine")
    assert remove_marked(tmp_path / "work")
    assert (tmp_path / "mine" / "file").exists()


def test_a_mark_that_can_t_be_written_leaves_no_folder(tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        make_marked(tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_every_mark_is_its_own(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        mark(tmp_path / name)
    assert (tmp_path / "a" / MARK).read_bytes() != (tmp_path / "b" / MARK).read_bytes()
