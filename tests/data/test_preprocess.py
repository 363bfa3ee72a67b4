"""From files of every kind to the network's input."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import DataError, RecipeError
from edge_convnext.data import preprocess as preprocess_module
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.images import Sample
from edge_convnext.data.preprocess import (
    MAX_PIXELS,
    check_preprocess,
    decode_image,
    open_image,
    resize_image,
)

PLAIN = Preprocess(image_size=8, resize="squash", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
F_SHAPE = np.array([[9, 9, 9], [9, 0, 0], [9, 9, 0], [9, 0, 0]], np.uint8) * 28  # no symmetry


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels(path: Path, mode: str = "RGB") -> np.ndarray:
    return np.asarray(open_image(path, mode))


def test_values_are_scaled_and_normalised_per_channel(tmp_path):
    path = tmp_path / "one.png"
    Image.new("RGB", (5, 7), (255, 51, 0)).save(path)
    preprocess = Preprocess(image_size=4, mean=(0.5, 0.2, 0.1), std=(0.5, 0.2, 0.1))
    values = decode_image(path, preprocess)
    assert values.shape == (3, 4, 4)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    np.testing.assert_allclose(values[:, 2, 2], [1.0, 0.0, -1.0], atol=1e-6)


def test_imagenet_normalisation_equals_the_formula(tmp_path):
    path = tmp_path / "noise.png"
    noise(8, 8).save(path)
    preprocess = Preprocess(image_size=8, resize="squash")
    wide = np.asarray(noise(8, 8)).astype(np.float64) / 255
    expected = ((wide - preprocess.mean) / preprocess.std).transpose(2, 0, 1)
    np.testing.assert_allclose(decode_image(path, preprocess), expected, atol=1e-6)


def test_a_grey_model_reads_one_channel(tmp_path):
    path = tmp_path / "grey.png"
    Image.new("L", (9, 9), 51).save(path)
    preprocess = Preprocess(image_size=8, mean=(0.1, 0.2, 0.3), std=(0.1, 0.1, 0.1))
    values = decode_image(path, preprocess, in_channels=1)
    assert values.shape == (1, 8, 8)
    np.testing.assert_allclose(values, 0.0, atol=1e-6)
    with pytest.raises(DataError, match="4 input channels can't read image files"):
        decode_image(path, preprocess, in_channels=4)


@pytest.mark.parametrize(
    ("size", "crop_pct", "resized", "corner"),
    [
        ((40, 60), 0.875, (36, 54), (2, 11)),
        ((60, 40), 0.875, (54, 36), (11, 2)),
        ((9, 9), 0.5, (64, 64), (16, 16)),
        ((10, 13), 1.0, (32, 41), (0, 4)),
    ],
)
def test_shortest_resizes_the_short_side_and_crops_the_centre(size, crop_pct, resized, corner):
    image, (left, top) = noise(*size), corner
    whole = image.resize(resized, Image.Resampling.BICUBIC)
    expected = whole.crop((left, top, left + 32, top + 32))
    preprocess = Preprocess(32, resize="shortest", crop_pct=crop_pct, interpolation="bicubic")
    actual = resize_image(image, preprocess)
    assert np.array_equal(np.asarray(actual), np.asarray(expected))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_squash_resizes_whatever_the_aspect(interpolation):
    preprocess = Preprocess(image_size=16, resize="squash", interpolation=interpolation)
    expected = noise(9, 40).resize((16, 16), getattr(Image.Resampling, interpolation.upper()))
    actual = resize_image(noise(9, 40), preprocess)
    assert np.array_equal(np.asarray(actual), np.asarray(expected))


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.sampled_from([0.5, 0.875, 1.0])
)
def test_every_shape_of_image_gives_the_asked_size(width, height, side, crop_pct):
    preprocess = Preprocess(side, resize="shortest", crop_pct=crop_pct)
    image = resize_image(noise(width, height), preprocess)
    assert image.size == (side, side)


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (60_000, 3)])
def test_a_very_long_image_gives_its_middle_without_being_enlarged_whole(size):
    image = Image.new("RGB", size)
    middle = tuple(length // 2 - 3 for length in size)
    image.paste((200, 100, 50), (*middle, middle[0] + 7, middle[1] + 7))
    found = np.asarray(resize_image(image, Preprocess(224, resize="shortest")))
    assert found.shape == (224, 224, 3)
    assert np.all(found == (200, 100, 50))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    upright = Image.fromarray(F_SHAPE).resize((24, 32), Image.Resampling.NEAREST).convert("RGB")
    undo = {  # what a camera held that way stores
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    undo[orientation].save(path, exif=exif, **({"quality": 95} if suffix != "tif" else {}))
    found = pixels(path).astype(int)
    assert found.shape == (32, 24, 3)
    assert np.abs(found - np.asarray(upright).astype(int)).mean() < 8


# Pillow warns; the code can't silence that, as warning filters are not safe between threads.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_exif_does_not_damage_the_image(tmp_path):
    path = tmp_path / "exif.jpg"
    noise(8, 8).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 5)
    assert pixels(path).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("1", 1, "png", (255, 255, 255)),
        ("L", 77, "png", (77, 77, 77)),
        ("LA", (77, 0), "png", (77, 77, 77)),
        ("RGBA", (10, 20, 30, 0), "png", (10, 20, 30)),
        ("P", 3, "gif", (40, 50, 60)),
        ("CMYK", (0, 255, 255, 0), "tif", (255, 0, 0)),
        ("I;16", 0x4D99, "png", (0x4D, 0x4D, 0x4D)),
        ("I;16", 0x4D99, "tif", (0x4D, 0x4D, 0x4D)),
    ],
)
def test_every_common_pixel_format_becomes_rgb(tmp_path, mode, colour, suffix, expected):
    image = Image.new(mode, (4, 4), colour)
    if mode == "P":
        image.putpalette([0] * 9 + [40, 50, 60])
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    assert pixels(path)[1, 1].tolist() == list(expected)


def test_a_palette_with_transparency_keeps_its_colours(tmp_path):
    path = tmp_path / "palette.png"
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 40, 50, 60])
    image.save(path, transparency=bytes([255, 0]))
    assert pixels(path)[0, 0].tolist() == [40, 50, 60]


def test_an_animation_gives_its_first_frame(tmp_path):
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert pixels(path)[0, 0].tolist() == [255, 0, 0]


def truncated_jpeg() -> bytes:
    buffer = io.BytesIO()
    noise(64, 64).save(buffer, "JPEG")
    return buffer.getvalue()[: buffer.tell() // 2]


def huge_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"not an image", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (truncated_jpeg(), "can't be decoded"),
        (huge_png(), f"over {MAX_PIXELS} pixels"),
    ],
)
def test_a_bad_file_is_named_in_one_line(tmp_path, content, message):
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_between_the_limits_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.setattr(preprocess_module, "MAX_PIXELS", 15)
    path = tmp_path / "large.png"
    noise(4, 4).save(path)
    with pytest.raises(DataError, match="4x4 is over 15 pixels"):
        open_image(path)


def test_floating_point_images_are_refused(tmp_path):
    path = tmp_path / "float.tif"
    Image.new("F", (4, 4), 0.5).save(path)
    with pytest.raises(DataError, match="no fixed range"):
        open_image(path)


def samples_in(folder: Path) -> list[Sample]:
    return [Sample(path, path.name) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_keep_the_order_and_the_last_one_may_be_smaller(make_images, workers):
    samples = samples_in(make_images({"cat": 7}) / "cat")
    batches = list(iter_batches(samples, PLAIN, 3, workers=workers))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    expected = np.stack([decode_image(sample.path, PLAIN) for sample in samples])
    assert np.array_equal(np.concatenate(batches), expected)


def test_decoding_runs_ahead_by_a_bounded_number_of_images(make_images):
    taken = []

    def counted():
        for sample in samples_in(make_images({"cat": 1}) / "cat") * 50:
            taken.append(sample)
            yield sample

    batches = iter_batches(counted(), PLAIN, 4, workers=2)
    next(batches)
    assert len(taken) <= 4 + 4 + 2
    batches.close()


def test_a_bad_image_ends_the_batches_with_its_name(make_images):
    root = make_images({"cat": 3})
    (root / "cat" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1\.png: empty file"):
        list(iter_batches(samples_in(root / "cat"), PLAIN, 2))


def test_a_crop_that_squash_would_ignore_is_refused():
    with pytest.raises(RecipeError, match=r"crop_pct is 0\.9, but resize 'squash' crops nothing"):
        check_preprocess(Preprocess(crop_pct=0.9))
    check_preprocess(Preprocess())
    check_preprocess(Preprocess(resize="shortest", crop_pct=0.9))


@pytest.mark.parametrize(
    ("size", "crop_pct", "resized", "corner"),
    [
        ((40, 60), 0.875, (36, 54), (2, 15)),
        ((90, 40), 0.875, (61, 27), (14, 2)),
        ((60, 40), 1.0, (36, 24), (2, 0)),
        ((9, 90), 1.0, (32, 320), (0, 148)),
    ],
)
def test_a_rectangle_is_covered_on_both_sides_and_cut_from_the_centre(
    size, crop_pct, resized, corner
):
    """24 high and 32 wide, as `ResizeKeepRatio` and `CenterCrop` of timm 1.0.31 cut it."""
    image, (left, top) = noise(*size), corner
    whole = image.resize(resized, Image.Resampling.BICUBIC)
    expected = whole.crop((left, top, left + 32, top + 24))
    preprocess = Preprocess((24, 32), "shortest", crop_pct, "bicubic")
    assert resize_image(image, preprocess).tobytes() == expected.tobytes()


def test_squash_gives_a_rectangle_its_height_and_its_width(tmp_path):
    image = noise(50, 40)
    preprocess = Preprocess((16, 24))
    expected = np.asarray(image.resize((24, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(np.asarray(resize_image(image, preprocess)), expected)
    image.save(tmp_path / "a.png")
    values = decode_image(tmp_path / "a.png", preprocess)
    assert values.shape == (3, 16, 24)
    wanted = (expected / 255 - preprocess.mean) / preprocess.std
    np.testing.assert_allclose(values, wanted.transpose(2, 0, 1), atol=1e-5)


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from([0.5, 0.875, 1.0]),
)  # fmt: skip
def test_every_shape_of_image_covers_every_rectangle(width, height, high, wide, crop_pct):
    image = Image.new("RGB", (width, height), (200, 100, 50))
    found = np.asarray(resize_image(image, Preprocess((high, wide), "shortest", crop_pct)))
    assert found.shape == (high, wide, 3)
    assert np.all(found == (200, 100, 50))  # nothing from outside, which would be black


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000)])
def test_a_very_long_image_gives_the_middle_of_a_rectangle(size):
    image = Image.new("RGB", size)
    middle = tuple(length // 2 - 3 for length in size)
    image.paste((200, 100, 50), (*middle, middle[0] + 7, middle[1] + 7))
    found = np.asarray(resize_image(image, Preprocess((224, 448), "shortest")))
    assert found.shape == (224, 448, 3)
    assert np.all(found == (200, 100, 50))
