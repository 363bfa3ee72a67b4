import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import DataError
from edge_convnext.data.batches import (
    find_bad_images,
    first_images,
    image_batches,
    iter_batches,
    iter_each,
    iter_pixels,
    look_at_images,
)
from edge_convnext.data.images import Sample

PREPROCESS = Preprocess(image_size=8)


@pytest.fixture
def samples(tmp_path):
    random = np.random.default_rng(0)
    found = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.fromarray(random.integers(0, 256, (10, 12, 3), dtype=np.uint8)).save(path)
        found.append(Sample(path, f"{number:064x}"))
    return found


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    return Sample(path, "b" * 64)


def test_batches_keep_the_order_and_the_last_may_be_smaller(samples):
    batches = list(iter_batches(samples, PREPROCESS, 2))
    assert [one.shape for one in batches] == [(2, 3, 8, 8), (2, 3, 8, 8), (1, 3, 8, 8)]
    assert batches[0].dtype == np.float32
    singles = list(iter_batches(samples, PREPROCESS, 1, in_channels=3, workers=1))
    assert np.array_equal(np.concatenate(batches), np.concatenate(singles))
    (grey,) = iter_batches(samples, PREPROCESS, 8, in_channels=1)
    assert grey.shape == (5, 1, 8, 8)


def test_only_a_bounded_number_is_taken_ahead(samples):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield samples[0]

    batches = iter_batches(endless(), PREPROCESS, 2, workers=2)
    next(batches)
    assert len(taken) <= 3 * 2 + 2
    batches.close()


def test_pixels_are_not_normalised(samples):
    first = next(iter(iter_pixels(samples, PREPROCESS)))
    assert (first.dtype, first.shape) == (np.uint8, (8, 8, 3))


def test_an_image_that_can_not_be_decoded_is_named_or_yielded(samples, broken):
    with pytest.raises(DataError, match=r"broken\.png"):
        list(iter_batches([*samples, broken], PREPROCESS, 2))
    found = list(iter_each([samples[0], broken, samples[1]], PREPROCESS))
    assert [isinstance(one, DataError) for one in found] == [False, True, False]


def test_equal_bytes_are_looked_at_once_and_pixels_tell_images_apart(samples, broken, tmp_path):
    same = tmp_path / "same.bmp"
    Image.open(samples[0].path).save(same)
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "flat.png")
    seen = []

    def track(items, what, total):
        seen.append((what, total))
        return items

    others = [Sample(same, "same"), Sample(tmp_path / "flat.png", "flat"), broken]
    looks = look_at_images([*samples, samples[0], *others], track=track)
    assert seen == [("checking images", 8)]
    assert looks["same"].pixels == looks[samples[0].sha256].pixels
    assert len({one.pixels for one in looks.values()}) == 7  # one twice; none of the broken one
    assert [name for name, one in looks.items() if one.flat] == ["flat"]
    assert list(find_bad_images([*samples, broken])) == ["b" * 64]
    assert not looks["b" * 64].reason.startswith(str(Path(broken.path)))


INFO = SimpleNamespace(preprocess=PREPROCESS, in_channels=3)


def test_images_are_decoded_once_and_another_process_decodes_them_itself(samples):
    kept = image_batches(samples, INFO, 2)
    loaded = kept.load()
    assert [len(one) for one in loaded] == [2, 2, 2]  # the first fills up the last batch
    assert kept.load() is loaded
    sent = pickle.dumps(kept)
    assert len(sent) < loaded[0].nbytes  # no pixels go with it
    there = pickle.loads(sent)
    assert (there.digest, there.count) == (kept.digest, 6)
    for one, other in zip(there.load(), loaded, strict=True):
        assert np.array_equal(one, other)


def test_the_first_images_are_whole_batches_under_another_digest(samples):
    whole = image_batches(samples, INFO, 2)
    few = first_images(whole, 3)
    assert [len(one) for one in few.load()] == [2, 2]
    assert np.array_equal(few.load()[1], whole.load()[1])
    assert few.digest not in (whole.digest, first_images(whole, 4).digest)
    assert first_images(whole, 6) is whole
