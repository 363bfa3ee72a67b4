import numpy as np
import pytest
from PIL import Image

from edge_convnext.core.cache import Cache
from edge_convnext.core.files import sha256_file
from edge_convnext.core.progress import untracked
from edge_convnext.data import scan
from edge_convnext.data.images import Sample


@pytest.fixture
def samples(tmp_path):
    random = np.random.default_rng(0)
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        colour = 7 if number == 2 else random.integers(0, 256, (5, 5, 3))
        pixels = np.broadcast_to(np.asarray(colour, np.uint8), (5, 5, 3))
        Image.fromarray(np.ascontiguousarray(pixels)).save(path)
        found.append(Sample(path, sha256_file(path)))
    return found


def test_an_image_is_decoded_once_in_its_life(tmp_path, samples, monkeypatch):
    cache = Cache(tmp_path / "cache")
    first = scan.scan_images(samples, cache, untracked)
    assert [first[one.sha256].flat for one in samples] == [False, False, True]
    assert scan.bad_images(first) == {}
    monkeypatch.setattr(scan, "look_at_images", pytest.fail)
    assert scan.scan_images(samples[::-1], cache, untracked) == first


def test_bad_news_is_not_kept(tmp_path, samples):
    cache = Cache(tmp_path / "cache")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG")
    bad = Sample(broken, "b" * 64)
    looks = scan.scan_images([*samples, bad], cache, untracked)
    assert list(scan.bad_images(looks)) == ["b" * 64]
    assert cache.usage() == []
    Image.new("RGB", (2, 2)).save(broken)
    assert scan.bad_images(scan.scan_images([*samples, bad], cache, untracked)) == {}
