"""The members of a bundle as files: its graphs, its preprocessing, its labelled images."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.image_size import sides_of
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.images import Sample
from edge_convnext.data.preprocess import normalise
from edge_convnext.devices.bundle.evaluation import read_reference
from edge_convnext.devices.bundle.manifest import PREDICTIONS, TENSORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_convnext.devices.bundle.manifest import BundledGraph, Contents, Manifest
    from edge_convnext.devices.bundle.search_manifest import SearchManifest
    from edge_convnext.measure.accuracy import Predictions
    from edge_convnext.report.contract import Report

__all__ = ["Extracted", "Unpacked", "UnpackedEvaluation", "UnpackedSearch"]


@dataclass(frozen=True)
class Extracted:
    """What the members of every kind of bundle are."""

    folder: Path
    manifest: Contents
    digest: str

    def graph_path(self, graph: BundledGraph) -> Path:
        """Path of a graph."""
        return self.folder / graph.file

    @property
    def preprocess(self) -> Preprocess:
        """Preprocessing of the model."""
        return Preprocess(**self.manifest.preprocess.model_dump())

    def evaluation(self) -> UnpackedEvaluation | None:
        """The evaluation images and the reference's answers; None where there are none.

        Raises:
            ArtifactError: Images, labels and tensors do not belong together.
        """
        entry, model = self.manifest.evaluation, self.manifest.model
        if entry is None:
            return None
        path = self.folder / PREDICTIONS
        reference = read_reference(path, model.classes, model.num_classes)
        if len(reference.labels) != entry.n_images:
            raise ArtifactError(
                f"{path}: {len(reference.labels)} predictions for {entry.n_images} images; "
                "bundle again"
            )
        if entry.kind == "tensors":
            pixels = _load_pixels(self.folder / TENSORS, entry.n_images, self.manifest)
            return UnpackedEvaluation(reference, self.preprocess, model.in_channels, pixels, ())
        by_hash = {member.sha256: self.folder / member.name for member in self.manifest.members}
        if missing := set(reference.sha256s) - set(by_hash):
            raise ArtifactError(
                f"{path}: {len(missing)} images are not in the bundle; bundle again"
            )
        samples = tuple(Sample(by_hash[sha256], sha256) for sha256 in reference.sha256s)
        return UnpackedEvaluation(reference, self.preprocess, model.in_channels, None, samples)


@dataclass(frozen=True)
class Unpacked(Extracted):
    """The members of a build's bundle."""

    manifest: Manifest
    report: Report  # the build's


@dataclass(frozen=True)
class UnpackedSearch(Extracted):
    """The members of a search's bundle."""

    manifest: SearchManifest


@dataclass(frozen=True)
class UnpackedEvaluation:
    """Labelled images, as pixels or as files."""

    reference: Predictions
    preprocess: Preprocess
    in_channels: int
    pixels: NDArray[np.uint8] | None  # [N, H, W, 3] or [N, H, W], on disk
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.reference.labels)

    def batches(self, batch: int) -> Iterator[NDArray[np.float32]]:
        """All images in order, normalised, float32[N, C, H, W], N at most `batch`."""
        if self.pixels is None:
            yield from iter_batches(self.samples, self.preprocess, batch, self.in_channels)
            return
        for start in range(0, len(self), batch):
            part = self.pixels[start : start + batch]
            yield np.stack([normalise(np.asarray(image), self.preprocess) for image in part])


def _load_pixels(path: Path, count: int, manifest: Contents) -> NDArray[np.uint8]:
    sides = sides_of(manifest.preprocess.image_size)
    shape = (count, *sides, 3) if manifest.model.in_channels == 3 else (count, *sides)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # for headers that no current numpy writes
            pixels = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # for bytes that are no array numpy raises nearly anything
        raise ArtifactError(
            f"{path}: not an array ({' '.join(str(error).split())[:200]}); bundle again"
        ) from error
    if pixels.dtype != np.uint8 or pixels.shape != shape:
        raise ArtifactError(
            f"{path}: {pixels.dtype}{list(pixels.shape)} is not uint8{list(shape)}; bundle again"
        )
    return np.asarray(pixels)
