"""The answers of a model on labelled images: an array of class numbers, from any runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import Preprocess, Weights
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.calibration import draw_calibration
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.measure.alternatives import Way
from edge_convnext.runtimes.reference import load_reference

__all__ = ["Answer", "answer_with_torch", "labels_of", "remembering", "sample_images"]

# Returns int64[N], the class of each image's largest logit. The images are prepared in the given
# way, or, for None, with the model's own preprocessing.
Answer: TypeAlias = Callable[[ImageSet, Way | None], NDArray[np.int64]]

_WHOLE = 500  # images; an evaluation set of up to this size is used whole
_SAMPLE = 300  # images drawn from a larger set
_DECODED_AT_ONCE = 64  # images


def sample_images(images: ImageSet, seed: int) -> ImageSet:
    """The set itself if it is small, else a sample with the same number of images of each class."""
    return images if len(images) <= _WHOLE else draw_calibration(images, None, _SAMPLE, seed).images


def labels_of(images: ImageSet) -> NDArray[np.int64]:
    """The labels of a labelled set, int64[N]."""
    return np.array([sample.label for sample in images.samples], dtype=np.int64)


def remembering(answer: Answer, preprocess: Preprocess) -> Answer:
    """Answers that are asked for once: each image's is kept, by the way it was prepared.

    Args:
        answer: Answers of a model.
        preprocess: The model's own preprocessing.
    """
    known: dict[Way, dict[str, int]] = {}  # by SHA-256 of the image

    def remembered(images: ImageSet, way: Way | None) -> NDArray[np.int64]:
        found = known.setdefault(way or (preprocess, False), {})
        unknown = {one.sha256: one for one in images.samples if one.sha256 not in found}
        if unknown:
            fresh = answer(ImageSet(tuple(unknown.values()), images.classes), way)
            found.update(zip(unknown, fresh.tolist(), strict=True))
        return np.array([found[one.sha256] for one in images.samples], np.int64)

    return remembered


def answer_with_torch(weights: Weights, batch: int, threads: int | None) -> Answer:
    """Answers of a float model in torch, loaded when first needed; each image's answer is kept."""
    loaded: list[Callable[[NDArray[np.float32]], NDArray[np.float32]]] = []

    def answer(images: ImageSet, way: Way | None) -> NDArray[np.int64]:
        if not loaded:
            loaded.append(load_reference(weights, threads).infer)
        preprocess, swapped = way or (weights.info.preprocess, False)
        return np.concatenate(
            [
                loaded[0](np.ascontiguousarray(one[:, ::-1]) if swapped else one).argmax(axis=1)
                for one in _decoded_first(
                    images.samples, preprocess, batch, weights.info.in_channels
                )
            ]
        )

    return remembering(answer, weights.info.preprocess)


def _decoded_first(
    samples: Sequence[Sample], preprocess: Preprocess, batch: int, in_channels: int
) -> Iterator[NDArray[np.float32]]:
    """Batches that are decoded before any of them is answered.

    Threads that decode meanwhile share the cores with torch's, which spin while they wait: atto at
    128 px took 13 ms an image instead of 5 (two cores of an AMD EPYC).
    """
    for first in range(0, len(samples), _DECODED_AT_ONCE):
        some = samples[first : first + _DECODED_AT_ONCE]
        yield from list(iter_batches(some, preprocess, batch, in_channels))
