"""The evaluation images of a finished build, found again by their hashes."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError, DataError, shorten
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import DIGITS
from edge_convnext.data.digits import ensure_digits
from edge_convnext.data.images import Sample
from edge_convnext.data.splits import load_splits
from edge_convnext.measure.accuracy import Predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.recipe import Recipe

__all__ = ["find_images", "read_reference"]

_MOST_BYTES = 1 << 30
_MOST_LOGITS = 1 << 28  # a GiB of float32: 268,000 images of ImageNet's classes


def read_reference(path: Path, classes: Sequence[str], num_classes: int) -> Predictions:
    """Read the answers of FP32 in the build, as logits that are 1 for its class and 0 for the rest.

    Only the class is recorded. So only the order of these logits has a meaning: top-1, and what is
    computed from it.

    Args:
        path: File `predictions.csv` of a build.
        classes: Class names in logit order; empty where none are known.
        num_classes: Number of classes of the model.

    Raises:
        ArtifactError: It is no such file, or of a model with other classes.
    """
    names = list(classes) or [str(index) for index in range(num_classes)]
    places = {name: index for index, name in enumerate(names)}
    labels, answers, hashes = [], [], []
    try:
        if require_regular(path) > _MOST_BYTES:  # this also refuses a pipe, which would block
            raise ArtifactError(f"{path}: over {_MOST_BYTES} bytes, more than predictions can have")
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                labels.append(places[row["label"]])
                answers.append(places[row["fp32_top1"]])
                hashes.append(row["sha256"])
                _require_few(len(hashes), num_classes, path)
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; build again") from error
    except (KeyError, csv.Error, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{path}: not the predictions of this model ({shorten(str(error))}); build again"
        ) from error
    if not hashes:
        raise ArtifactError(f"{path}: has no predictions; build again")
    logits = np.zeros((len(hashes), num_classes), np.float32)
    logits[np.arange(len(hashes)), answers] = 1.0
    return Predictions(logits, np.array(labels, np.int64), tuple(hashes))


def _require_few(images: int, num_classes: int, path: Path) -> None:
    """Refuse too many images: the logits of all of them are kept, and a bundle may be hostile."""
    if images * num_classes > _MOST_LOGITS:
        raise ArtifactError(
            f"{path}: over {_MOST_LOGITS // num_classes} images of {num_classes} classes are more "
            "than a bundle can have; evaluate fewer"
        )


@contextmanager
def find_images(
    recipe: Recipe,
    reference: Predictions,
    classes: Sequence[str],
    data: Path | None,
    track: Track = untracked,
) -> Iterator[tuple[Sample, ...]]:
    """Yield the images that a build was evaluated on, in the order of `reference`.

    Args:
        recipe: Recipe of the build, which names the data.
        reference: Answers of FP32, by hash of the image.
        classes: Class names in logit order.
        data: Present place of the data; None: the recipe's.
        track: Progress of the hashing.

    Raises:
        DataError: The data is gone, or has no longer those images.
    """
    source = str(data) if data is not None else recipe.data.source
    if source is None:
        raise DataError("the build names no data; pass --data, or --evaluation none")
    with tempfile.TemporaryDirectory(prefix="edge-convnext-") as scratch:
        folder = Path(source)
        if source == DIGITS and not folder.exists():
            folder = Path(scratch) / DIGITS
            ensure_digits(folder)
        if not folder.exists():
            raise DataError(
                f"{folder}: the build's data is not here; pass --data DIR, or --evaluation none"
            )
        splits = load_splits(folder, recipe.data, recipe.seed, tuple(classes) or None, track)
        # The split may have changed since; the images may not.
        pool = (*splits.val.samples, *(splits.train.samples if splits.train else ()))
        by_hash = {sample.sha256: sample for sample in pool}
        missing = [sha256 for sha256 in reference.sha256s if sha256 not in by_hash]
        if missing:
            raise DataError(
                f"{folder}: {len(missing)} of the {len(reference.sha256s)} images that the build "
                "was evaluated on are not there any more; pass --data DIR, or build again"
            )
        yield tuple(by_hash[sha256] for sha256 in reference.sha256s)
