"""What a deployed program reads of a file, and what it says of one it can't."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_convnext.data import pixels
from edge_convnext.networks.facts.values import crop_pct_of

PREPROCESS = {
    "image_size": 4, "resize": "squash", "crop_pct": 1.0, "interpolation": "nearest",
    "mean": [0.5, 0.4, 0.3], "std": [0.25, 0.5, 1.0],
}  # fmt: skip


@pytest.mark.parametrize(("short", "side"), [(354, 224), (256, 224), (37, 32), (224, 224)])
def test_a_crop_share_gives_exactly_the_short_side(short, side):
    crop_pct = crop_pct_of(side, short)
    assert math.floor(side / crop_pct) == short
    assert crop_pct == pytest.approx(side / short, abs=1e-3)  # as short as it can be written


def test_an_address_is_no_file():
    for name in ("https://x/y.png", "s3:/bucket/y.png"):
        assert pixels.explain(Path(name), FileNotFoundError()) == (
            "is an address, not a file: download it first"
        )
    missing = FileNotFoundError(2, "No such file or directory")
    assert pixels.explain(Path("C/y.png"), missing) == "no such file"


def test_sixteen_bits_keep_their_high_byte_in_every_format(tmp_path):
    values = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4096
    for suffix in ("png", "pgm"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(values).save(path)
        found = np.asarray(pixels.open_upright(path, "L"))
        np.testing.assert_array_equal(found, values >> 8)
