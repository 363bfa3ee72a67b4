import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.tree import Folder


@pytest.fixture
def root(tmp_path):
    names = ["b.png", "a.png", "notes.txt", ".hidden.png", "Thumbs.db", "cat/1.png", "cat/x.heic",
             "__MACOSX/2.png", ".git/3.png"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "linked").symlink_to(tmp_path / "cat")
    return Folder(tmp_path)


def test_a_level_has_its_folders_images_and_the_rest(root):
    assert list(root.folders) == ["cat", "linked"]
    assert root.images == ["a.png", "b.png"]
    assert root.left_out.suffixes == {".txt": 1}
    assert root.left_out.hidden == 4  # two files, and one in each hidden folder
    hidden = {
        path.rpartition("/")[2]: count for path, count in root.left_out.hidden_folders.items()
    }
    assert hidden == {"__MACOSX": 1, ".git": 1}


def test_images_are_walked_in_order_and_links_are_not_entered(root):
    below = [path.relative_to(root.path).as_posix() for path in root.walk()]
    assert below == ["a.png", "b.png", "cat/1.png"]
    assert root.folders["linked"].linked
    assert root.has_images()


def test_what_is_left_out_is_counted_at_any_depth(root):
    assert root.count_left_out().suffixes == {".txt": 1, ".heic": 1}
    assert root.folders["cat"].name == "cat"


def test_an_empty_folder_has_none_and_a_missing_one_is_told(tmp_path):
    assert not Folder(tmp_path).has_images()
    with pytest.raises(DataError, match=r"none: can't be listed \(No such file"):
        Folder(tmp_path / "none").images  # noqa: B018
