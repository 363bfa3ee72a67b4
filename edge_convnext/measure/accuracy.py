"""The accuracy of a model on labelled images, and its drop in another precision."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.errors import DataError, InferenceError
from edge_convnext.core.files import atomic_path
from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.core.metrics import agreement_pct, hits, per_class_top1_pct, sqnr_db, top_k_pct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.runtimes import Runtime

__all__ = [
    "Accuracy",
    "ClassAccuracy",
    "Comparison",
    "Predictions",
    "check_logits",
    "compare_predictions",
    "count_class_flips",
    "count_hits",
    "measure_accuracy",
    "predict",
    "write_predictions_csv",
]

_TOP5_MIN_CLASSES = 6  # with 5 classes every image would count as right


@dataclass(frozen=True)
class Predictions:
    """The logits of one model for a set of labelled images, all in one order."""

    logits: NDArray[np.float32]  # [N, classes]
    labels: NDArray[np.int64]  # [N]
    sha256s: tuple[str, ...]  # SHA-256 of each image's file

    def __post_init__(self) -> None:
        if not len(self.logits) == len(self.labels) == len(self.sha256s):
            raise ValueError(
                f"{len(self.logits)} logits, {len(self.labels)} labels and "
                f"{len(self.sha256s)} hashes are not one set of images"
            )
        if len(self.labels) == 0:
            raise DataError("there are no images to evaluate on")
        if self.labels.min() < 0 or self.labels.max() >= self.logits.shape[1]:
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()}, but the model has "
                f"{self.logits.shape[1]} classes; give the class order with --labels"
            )


@dataclass(frozen=True)
class ClassAccuracy:
    """Top-1 on the images of one class."""

    n: int
    top1_pct: float | None  # None without images


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of one model."""

    n_images: int
    top1_pct: float
    top5_pct: float | None  # None below 6 classes
    per_class: Mapping[str, ClassAccuracy]


@dataclass(frozen=True)
class Comparison:
    """A candidate compared with its reference on the same images."""

    n_images: int
    top1_drop_pp: float  # reference minus candidate: positive is worse
    top1_drop_ci95_pp: tuple[float, float]
    lost: int  # images that only the reference gets right
    won: int  # images that only the candidate gets right
    agreement_pct: float  # images with equal top-1 class
    sqnr_db: float | None  # SQNR of the logits; None when they are equal


def predict(runtime: Runtime, batches: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Run batches of images through a model.

    Args:
        runtime: Loaded model.
        batches: Batches of normalised images, float32[N, C, H, W]; N may vary.

    Returns:
        Logits, float32[sum of N, classes].

    Raises:
        DataError: There is no batch.
        InferenceError: The model refused a batch, or some of its logits are not finite.
    """
    pieces = [runtime.infer(batch) for batch in batches]
    if not pieces:
        raise DataError("there are no images to run the model on")
    return check_logits(np.concatenate(pieces), runtime.describe().name)


def check_logits(logits: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    """Return logits that are all finite; refuse others.

    Args:
        logits: Logits, float32[N, classes].
        where: Name of what computed them, for the message.

    Raises:
        InferenceError: Some logits are infinite or undefined.
    """
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise InferenceError(
            f"{broken} of {len(logits)} images got infinite or undefined logits in {where}; "
            "check the weights and the preprocessing, or use a wider precision"
        )
    return logits


def measure_accuracy(predictions: Predictions, classes: Sequence[str] = ()) -> Accuracy:
    """Compute the accuracy of a model, overall and per class.

    Args:
        predictions: Logits and labels of the images.
        classes: Class names in logit order; without any, numbers are used.
    """
    logits, labels = predictions.logits, predictions.labels
    names = _class_names(classes, logits.shape[1])
    return Accuracy(
        n_images=len(labels),
        top1_pct=top_k_pct(logits, labels, 1),
        top5_pct=top_k_pct(logits, labels, 5) if len(names) >= _TOP5_MIN_CLASSES else None,
        per_class={
            name: ClassAccuracy(n, top1)
            for name, (n, top1) in zip(names, per_class_top1_pct(logits, labels), strict=True)
        },
    )


def count_hits(
    runtime: Runtime,
    batches: Iterable[NDArray[np.float32]],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> Accuracy:
    """Run images and measure the accuracy, keeping only two bits per image.

    Args:
        runtime: Loaded model.
        batches: Batches of normalised images, float32[N, C, H, W]; N may vary.
        labels: Labels of all images, int64, in the order of the batches.
        classes: Class names in logit order.

    Raises:
        DataError: There are no images, or the model has another number of classes.
        InferenceError: The model refused a batch, or some of its logits are not finite.
    """
    first: list[NDArray[np.bool_]] = []
    fifth: list[NDArray[np.bool_]] = []
    start, where = 0, runtime.describe().name
    for batch in batches:
        logits = check_logits(runtime.infer(batch), where)
        _class_names(classes, logits.shape[1])
        own = labels[start : start + len(batch)]
        first.append(hits(logits, own))
        if len(classes) >= _TOP5_MIN_CLASSES:
            fifth.append(hits(logits, own, 5))
        start += len(batch)
    if not first:
        raise DataError("there are no images to run the model on")
    right = np.concatenate(first)
    n = np.bincount(labels, minlength=len(classes))
    good = np.bincount(labels[right], minlength=len(classes))
    return Accuracy(
        n_images=len(right),
        top1_pct=100.0 * int(right.sum()) / len(right),
        top5_pct=100.0 * sum(int(one.sum()) for one in fifth) / len(right) if fifth else None,
        per_class={
            name: ClassAccuracy(int(of), 100.0 * int(well) / int(of) if of else None)
            for name, of, well in zip(classes, n, good, strict=True)
        },
    )


def compare_predictions(reference: Predictions, candidate: Predictions) -> Comparison:
    """Compare a candidate with its reference, with a 95 % interval of the paired difference.

    Raises:
        ValueError: The two don't have the same images in the same order.
    """
    only_before, only_after = _flips(reference, candidate)
    lost, won, n = int(only_before.sum()), int(only_after.sum()), len(only_before)
    low, high = paired_difference_interval(lost, won, n)
    return Comparison(
        n_images=n,
        top1_drop_pp=100.0 * (lost - won) / n,
        top1_drop_ci95_pp=(100.0 * low, 100.0 * high),
        lost=lost,
        won=won,
        agreement_pct=agreement_pct(reference.logits, candidate.logits),
        sqnr_db=sqnr_db(reference.logits, candidate.logits),
    )


def count_class_flips(reference: Predictions, candidate: Predictions) -> list[tuple[int, int]]:
    """Count the images of each class that only the reference or only the candidate gets right.

    Returns:
        Lost and won images by class, in logit order; the sums are `compare_predictions`'s.

    Raises:
        ValueError: The two don't have the same images in the same order.
    """
    only_before, only_after = _flips(reference, candidate)
    classes = candidate.logits.shape[1]
    lost = np.bincount(reference.labels[only_before], minlength=classes)
    won = np.bincount(reference.labels[only_after], minlength=classes)
    return [(int(one), int(other)) for one, other in zip(lost, won, strict=True)]


def _flips(
    reference: Predictions, candidate: Predictions
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two masks, bool[N]: images only the reference gets right, and only the candidate."""
    same_labels = np.array_equal(reference.labels, candidate.labels)
    if reference.sha256s != candidate.sha256s or not same_labels:
        raise ValueError("a paired comparison needs the same images in the same order")
    before = hits(reference.logits, reference.labels)
    after = hits(candidate.logits, candidate.labels)
    return before & ~after, after & ~before


def write_predictions_csv(
    path: Path,
    predictions: Mapping[Precision, Predictions],
    classes: Sequence[str] = (),
    answers_alone: Collection[Precision] = (),
) -> None:
    """Write one line per image: hash, label, and each precision's class and margin.

    The margin is the largest logit minus the second largest. Equal predictions give equal
    bytes.

    Args:
        path: CSV file to write; it appears whole or not at all.
        predictions: Predictions by precision, at least one, of the same images in the same order.
        classes: Class names in logit order; without any, numbers are used.
        answers_alone: Precisions whose logits have only their order, such as those that
            `bundle.evaluation` reads back; they get no margin.

    Raises:
        ValueError: The predictions don't have the same images in the same order.
    """
    first = next(iter(predictions.values()))
    if any(other.sha256s != first.sha256s for other in predictions.values()):
        raise ValueError("one file of predictions needs the same images in the same order")
    names = _class_names(classes, first.logits.shape[1])
    header = ["sha256", "label"]
    columns: list[Sequence[str]] = [first.sha256s, [names[label] for label in first.labels]]
    for precision, prediction in predictions.items():
        header.append(f"{precision}_top1")
        columns.append([names[guess] for guess in prediction.logits.argmax(axis=1)])
        if precision in answers_alone:
            continue
        header.append(f"{precision}_margin")
        columns.append([f"{margin:.4f}" for margin in _margins(prediction.logits)])
    with atomic_path(path) as scratch, scratch.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))


def _class_names(classes: Sequence[str], count: int) -> list[str]:
    if not classes:
        return [str(index) for index in range(count)]
    if len(classes) != count:
        raise DataError(f"{len(classes)} class names for a model with {count} classes")
    return list(classes)


def _margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    if logits.shape[1] == 1:
        return logits[:, 0]
    ordered = np.sort(logits, axis=1)
    return ordered[:, -1] - ordered[:, -2]
