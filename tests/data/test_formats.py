import os

import pytest
from PIL import Image

from edge_convnext.data.formats import (
    IMAGE_SUFFIXES,
    convertible,
    describe_suffixes,
    is_image_file,
    is_image_name,
    readable,
)


@pytest.mark.parametrize(
    ("name", "is_image"),
    [("a.jpg", True), ("a.JPG", True), ("a.png.txt", False), (".a.jpg", False), ("jpg", False)],
)
def test_a_name_is_judged_by_its_suffix(name, is_image):
    assert is_image_name(name) == is_image


def test_every_suffix_that_can_be_read_is_listed_once():
    assert len(set(IMAGE_SUFFIXES)) == len(IMAGE_SUFFIXES)
    assert {".jpg", ".png", ".webp", ".gif", ".tif", ".bmp"} <= readable() <= set(IMAGE_SUFFIXES)


def test_a_file_without_a_telling_suffix_is_judged_by_its_first_bytes(tmp_path):
    path = tmp_path / "0017"
    Image.new("RGB", (2, 2)).save(path, "PNG")
    assert is_image_file(path)
    assert is_image_file(path.rename(tmp_path / "a.photo"))
    for name in (".hidden", "a.txt", "a.heic"):
        Image.new("RGB", (2, 2)).save(tmp_path / name, "PNG")
        assert not is_image_file(tmp_path / name)


def test_neither_a_pipe_nor_a_missing_file_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "P1 of text").write_text("PK1")
    for name in ("pipe", "none", "P1 of text"):
        assert not is_image_file(tmp_path / name)


def test_counts_are_told_the_most_frequent_first():
    assert (
        describe_suffixes({".txt": 3, ".heic": 12, "": 3}) == "12 .heic, 3 without a suffix, 3 .txt"
    )
    many = {f".{letter}": 10 - place for place, letter in enumerate("abcdefgh")}
    assert describe_suffixes(many).endswith("5 .f, 7 of 2 other kinds")


def test_pictures_of_other_formats_are_worth_a_word():
    assert convertible([".heic", ".txt", ".cr2", ".heic"]) == [".cr2", ".heic"]
