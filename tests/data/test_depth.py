"""12 bits in a file of 16 are told: read as they are, they are black."""

import numpy as np
import pytest
from PIL import Image

from edge_convnext.data.depth import tell_depth
from edge_convnext.data.images import Sample


def write(path, values, suffix="png"):
    path = path.with_suffix(f".{suffix}")
    Image.fromarray(values).save(path)
    return Sample(path, "", 0)


@pytest.mark.parametrize(
    ("highest", "dtype", "told"),
    [(4095, np.uint16, True), (256, np.uint16, True), (4096, np.uint16, False),
     (65535, np.uint16, False), (255, np.uint16, False), (255, np.uint8, False)],
)  # fmt: skip
def test_values_of_twelve_bits_in_sixteen_are_told(tmp_path, highest, dtype, told):
    values = np.linspace(0, highest, 64).astype(dtype).reshape(8, 8)
    found = tell_depth([write(tmp_path / "a", values)])
    assert len(found) == told
    if told:
        assert f"(such as {tmp_path / 'a.png'})" in found[0]


def test_some_of_many_are_opened_and_what_is_no_image_is_passed_over(tmp_path, monkeypatch):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"none")
    assert tell_depth([Sample(bad, "", 0)]) == ()
    assert tell_depth([]) == ()
    opened = []
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or 1 / 0)
    tell_depth([Sample(bad, "", 0)] * 480)
    assert len(opened) == 24
