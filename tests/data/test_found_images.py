from pathlib import Path

import pytest
from PIL import Image

from edge_convnext.data.found_images import NoImage, find_images


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.JPG", "deep/c.png", "deep/er/d.png", ".hidden/e.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, "PNG")
    (tmp_path / "photos" / "notes.txt").write_text("x")
    return Path("photos")


def names(*places):
    return [str(one) for one in find_images(map(Path, places))]


def test_a_folder_is_its_images_at_any_depth(photos):
    assert names(photos) == [
        "photos/a.png", "photos/b.JPG", "photos/deep/c.png", "photos/deep/er/d.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("photos/*.png", ["photos/a.png"]),
        ("photos/*", ["photos/a.png", "photos/b.JPG"]),
        ("photos/**/*.png", ["photos/a.png", "photos/deep/c.png", "photos/deep/er/d.png"]),
        ("photos/[ab].*", ["photos/a.png", "photos/b.JPG"]),
    ],
)
def test_a_pattern_is_the_images_that_it_matches(photos, pattern, found):
    assert names(pattern) == found


def test_a_file_stays_what_it_is_and_the_order_that_was_typed(photos):
    assert names("missing.png", "photos/b.JPG", "photos/deep") == [
        "missing.png", "photos/b.JPG", "photos/deep/c.png", "photos/deep/er/d.png",
    ]  # fmt: skip


def test_a_file_that_is_called_like_a_pattern_is_that_file(photos):
    (photos / "[ab].png").write_bytes((photos / "a.png").read_bytes())
    assert names("photos/[ab].png") == ["photos/[ab].png"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("empty", "empty: no image in this folder"),
        ("texts", "texts: no image in this folder; it has 1 .txt"),
        ("photos/*.gif", "photos/*.gif: no image file matches this pattern"),
        ("photos/*.txt", "matches this pattern; it matches photos/notes.txt, which is none"),
    ],
)
def test_a_place_without_an_image_is_its_error(photos, place, words):
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/x.txt").touch()
    (found,) = find_images([Path(place)])
    assert isinstance(found, NoImage)
    assert found.place == Path(place)
    assert words in str(found.error)
