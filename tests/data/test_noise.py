import numpy as np
import pytest
from PIL import Image

from edge_convnext.core.errors import DataError
from edge_convnext.data.noise import ensure_noise


def test_noise_is_the_same_each_time_and_has_two_classes(tmp_path):
    one, other = (ensure_noise(tmp_path / name) for name in "ab")
    files = sorted(path.relative_to(one) for path in one.rglob("*.png"))
    assert len(files) == 96
    assert {path.parts[0] for path in files} == {"fine", "coarse"}
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in files)
    contents = {(one / path).read_bytes() for path in files}
    assert len(contents) == 96
    pixels = np.asarray(Image.open(one / files[0]))
    assert pixels.shape == (128, 128, 3)


def test_a_folder_that_can_t_be_written_is_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't write images of noise"):
        ensure_noise(tmp_path / "file" / "noise")
