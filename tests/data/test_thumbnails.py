import base64
import io

import pytest
from PIL import Image
from support.builds import write_images

from edge_convnext.core.errors import DataError
from edge_convnext.core.files import sha256_file
from edge_convnext.data import thumbnails as module
from edge_convnext.data.thumbnails import find_images, thumbnails


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / "images", {"cat": 3, "dog": 3})
    return sorted((tmp_path / "images").rglob("*.png"))


def test_images_are_found_by_their_bytes_wherever_they_lie(images, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    wanted = {sha256_file(images[0]), sha256_file(images[-1]), "0" * 64}
    found = find_images(tmp_path / "images", wanted)
    assert {sha256_file(path) for path in found.values()} == wanted - {"0" * 64}
    listing = tmp_path / "list.csv"
    listing.write_text(f"path,label\n{images[0]},cat\n{images[1]},cat\n")
    assert list(find_images(listing, {sha256_file(images[1])}).values()) == [images[1]]


def test_it_stops_when_all_are_found(images, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    looked = []
    real = module.hash_files
    monkeypatch.setattr(module, "hash_files", lambda paths: looked.extend(paths) or real(paths))
    first = module.list_source(tmp_path / "images", labelled=False).entries[0].path
    assert find_images(tmp_path / "images", {sha256_file(first)})
    assert looked == [first]


def test_a_thumbnail_is_small_and_holds_nothing_but_pixels(tmp_path):
    path = tmp_path / "large.jpg"
    exif = Image.Exif()
    exif[0x010F] = "secret camera"
    Image.new("RGB", (2000, 1000), "red").save(path, exif=exif)
    (uri,) = thumbnails({"a": path}).values()
    content = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    assert b"secret" not in content
    assert Image.open(io.BytesIO(content)).size == (160, 80)


def test_what_is_no_image_has_no_thumbnail(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"no image")
    assert thumbnails({"a": tmp_path / "x.jpg"}) == {}


def test_a_place_without_images_is_refused(tmp_path):
    with pytest.raises(DataError):
        find_images(tmp_path / "none", {"0" * 64})
