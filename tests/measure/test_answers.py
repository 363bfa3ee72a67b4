from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.torch_exports import INFO, TINY

from edge_convnext.core.files import sha256_file
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.measure import answers
from edge_convnext.measure.answers import (
    answer_with_torch,
    labels_of,
    remembering,
    sample_images,
)
from edge_convnext.networks.convnext.build import build_network, random_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes.pytorch import TorchRuntime


def images(count, classes=4):
    made = (Sample(Path(f"{n}.png"), f"{n:064x}", n * classes // count) for n in range(count))
    return ImageSet(tuple(made), tuple("abcd"[:classes]))


def test_a_small_set_is_taken_as_it_is_and_a_larger_one_in_part():
    assert sample_images(small := images(500), 0) is small
    part = sample_images(images(501), 0)
    assert len(part) == 300
    assert np.array_equal(np.bincount(labels_of(part)), [75] * 4)
    assert part.samples == sample_images(images(501), 0).samples
    assert part.samples != sample_images(images(501), 1).samples


def test_labels_are_whole_numbers_in_the_order_of_the_images():
    found = labels_of(images(4))
    assert found.dtype == np.int64
    assert found.tolist() == [0, 1, 2, 3]


def test_of_images_some_of_which_were_asked_for_only_the_others_are_run():
    asked = []

    def answer(some, way):
        asked.append(([one.path.stem for one in some.samples], way))
        return np.array([int(one.path.stem) for one in some.samples])

    own = INFO.preprocess
    told = remembering(answer, own)
    whole = images(4)
    first = ImageSet(whole.samples[1:3], whole.classes)
    other = (replace(own, resize="shortest"), False)
    assert told(first, None).tolist() == [1, 2]
    assert told(whole, (own, False)).tolist() == [0, 1, 2, 3]  # its own way
    assert told(first, other).tolist() == [1, 2]
    assert told(whole, None).tolist() == [0, 1, 2, 3]
    assert asked == [(["1", "2"], None), (["0", "3"], (own, False)), (["1", "2"], other)]


@pytest.fixture
def drawn(tmp_path):
    random = np.random.default_rng(0)
    samples = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
        samples.append(Sample(path, sha256_file(path), 0))
    return ImageSet(tuple(samples), INFO.classes)


def test_a_model_answers_each_question_once_and_in_the_way_that_is_asked(
    drawn, tmp_path, monkeypatch
):
    weights = save_weights(random_state(TINY, 0), TINY, INFO, tmp_path / "w.safetensors")
    answer = answer_with_torch(weights, 4, 1)
    run = TorchRuntime(build_network(weights, "raw"), 1).infer

    def expected(preprocess, swapped=False):
        (batch,) = iter_batches(drawn.samples, preprocess, 6, 3)
        return run(np.ascontiguousarray(batch[:, ::-1]) if swapped else batch).argmax(axis=1)

    other = replace(INFO.preprocess, mean=(0.0, 0.0, 0.0), std=(0.05, 2.0, 0.5))
    assert np.array_equal(answer(drawn, None), expected(INFO.preprocess))
    assert np.array_equal(answer(drawn, (other, True)), expected(other, swapped=True))
    monkeypatch.setattr(answers, "iter_batches", pytest.fail)
    assert np.array_equal(answer(drawn, (INFO.preprocess, False)), expected(INFO.preprocess))


def test_each_image_is_answered_once_in_any_order_and_company(drawn, tmp_path, monkeypatch):
    weights = save_weights(random_state(TINY, 0), TINY, INFO, tmp_path / "w.safetensors")
    answer = answer_with_torch(weights, 4, 1)
    some, back = (
        replace(drawn, samples=drawn.samples[part]) for part in (slice(1, 4), slice(None, None, -1))
    )
    first = answer(some, None)
    read, asked = answers.iter_batches, []
    monkeypatch.setattr(
        answers, "iter_batches", lambda one, *rest: asked.extend(one) or read(one, *rest)
    )
    whole = answer(drawn, None)
    assert [one.path for one in asked] == [drawn.samples[at].path for at in (0, 4, 5)]
    assert first.tolist() == whole[1:4].tolist()
    assert answer(back, None).tolist() == whole[::-1].tolist()
    assert len(asked) == 3
