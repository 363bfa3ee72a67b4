"""Read a bundle, which may come from a stranger: everything in it is checked before use.

The zip must hold exactly the members that the manifest names, stored and of the stated sizes;
each is hashed on its way out. Names can't leave the folder, links and other special files are
refused, and tensors are loaded without pickle.
"""

from __future__ import annotations

import hashlib
import json
import stat
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.core.files import atomic_path, sha256_bytes, sha256_file
from edge_convnext.core.image_size import sides_of
from edge_convnext.core.progress import Track, untracked
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.images import Sample
from edge_convnext.data.preprocess import normalise
from edge_convnext.devices.bundle.evaluation import read_reference
from edge_convnext.devices.bundle.graphs import check_graph_file
from edge_convnext.devices.bundle.manifest import (
    MANIFEST,
    PREDICTIONS,
    REPORT,
    SCHEMA,
    TENSORS,
    BundledGraph,
    Manifest,
    Member,
)
from edge_convnext.report.contract import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge_convnext.measure.accuracy import Predictions

__all__ = ["Bundle", "Unpacked", "UnpackedEvaluation", "open_bundle"]

# Errors that `zipfile` raises for broken files: offsets before the file, undecodable names.
_NO_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError)
_BLOCK = 1 << 20
_MAX_MANIFEST = 64 << 20  # bytes; a million images take about as much
_MAX_MEMBERS = 1_000_000
_MAX_MEMBER = 64 << 30  # bytes


@dataclass(frozen=True)
class Bundle:
    """A bundle whose directory and manifest are sound; its members are checked by `unpack`."""

    path: Path
    manifest: Manifest
    digest: str  # SHA-256 of the manifest, which covers everything

    def unpack(self, folder: Path, track: Track = untracked) -> Unpacked:
        """Extract every member below `folder`; members that are there and whole stay.

        Raises:
            ArtifactError: A member is damaged, or is not what its name says; or a graph is not of
                the kind that a build writes.
            OSError: The disk is full, or the folder can't be written.
        """
        with _open(self.path) as archive:
            for member in track(self.manifest.members, "unpacking", len(self.manifest.members)):
                target = folder / member.name
                if not _is_whole(target, member):
                    _extract(archive, member, target, self.path)
        for graph in self.manifest.graphs:
            check_graph_file(folder / graph.file, self.manifest.model.num_classes)
        return Unpacked(folder, self.manifest, self.digest, Report.read(folder / REPORT))


@dataclass(frozen=True)
class Unpacked:
    """A bundle's members as files."""

    folder: Path
    manifest: Manifest
    digest: str
    report: Report  # the build's

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


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and check its directory and manifest.

    Raises:
        ArtifactError: Not a bundle, damaged, or of another version.
    """
    with _open(path) as archive:
        infos = _check_directory(archive, path)
        if MANIFEST not in infos:
            raise ArtifactError(
                f"{path}: not a bundle (no {MANIFEST}); `edge-convnext bundle` writes one"
            )
        if infos[MANIFEST].file_size > _MAX_MANIFEST:
            raise ArtifactError(f"{path}: its manifest is too large to be one; bundle it again")
        text = b"".join(_read_blocks(archive, infos[MANIFEST], path))
        manifest = _parse(text, path)
        listed = {member.name: member.bytes for member in manifest.members}
        found = {name: info.file_size for name, info in infos.items() if name != MANIFEST}
        if listed != found:
            odd = min(name for name in {*listed, *found} if listed.get(name) != found.get(name))
            raise ArtifactError(
                f"{path}: {shorten(repr(odd))} is not as the manifest says; copy or bundle it again"
            )
    return Bundle(path, manifest, sha256_bytes(text))


def _open(path: Path) -> zipfile.ZipFile:
    try:
        require_regular(path)
        return zipfile.ZipFile(path)
    except OSError as error:
        raise ArtifactError(
            f"{path}: {error.strerror}; `edge-convnext bundle` writes one"
        ) from error
    except _NO_ZIP as error:
        raise ArtifactError(f"{path}: cut short, or no bundle; copy or bundle it again") from error


def _check_directory(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise ArtifactError(
            f"{path}: {len(infos)} members are too many for a bundle; bundle it again"
        )
    for info in infos:
        mode = info.external_attr >> 16
        special = stat.S_IFMT(mode) not in (0, stat.S_IFREG) or bool(mode & 0o111)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 or special:
            raise ArtifactError(
                f"{path}: {_name(info)} is not stored as a plain file; `edge-convnext bundle` "
                "writes no such member"
            )
        if info.file_size > _MAX_MEMBER or info.file_size != info.compress_size:
            raise ArtifactError(
                f"{path}: {_name(info)} states a size it can't have; copy or bundle it again"
            )
    # Stored members that share bytes would let a small file unpack to a large one.
    if sum(info.file_size for info in infos) > path.stat().st_size:
        raise ArtifactError(f"{path}: states more bytes than it has; copy or bundle it again")
    names = {info.filename: info for info in infos}
    if len(names) != len(infos):
        raise ArtifactError(f"{path}: holds a member twice; bundle it again")
    return names


def _parse(text: bytes, path: Path) -> Manifest:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: its manifest is not JSON; bundle it again") from error
    schema = fields.get("schema") if isinstance(fields, dict) else None
    if schema != SCHEMA:
        raise ArtifactError(
            f"{path}: schema is {shorten(repr(schema))}, this version reads '{SCHEMA}'; use the "
            "version of edge-convnext that wrote it, or bundle again"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = shorten(".".join(str(part) for part in first["loc"])) or "manifest"
        raise ArtifactError(
            f"{path}: bad manifest ({where}: {first['msg']}); bundle it again"
        ) from error


def _read_blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    """Read a member's bytes, never more than it states."""
    left = info.file_size
    try:
        with archive.open(info) as file:
            while block := file.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                yield block
    except (*_NO_ZIP, OSError) as error:  # OSError: an offset before the file's beginning
        raise ArtifactError(
            f"{path}: {_name(info)} is damaged ({shorten(str(error))}); copy or bundle it again"
        ) from error
    if left != 0:
        raise ArtifactError(
            f"{path}: {_name(info)} has another size than it states; copy or bundle it again"
        )


def _name(info: zipfile.ZipInfo) -> str:
    """Name of a member for messages; a zip allows 65,535 arbitrary characters."""
    return shorten(repr(info.filename))


def _extract(archive: zipfile.ZipFile, member: Member, target: Path, path: Path) -> None:
    digest = hashlib.sha256()
    with atomic_path(target) as scratch, scratch.open("wb") as file:
        for block in _read_blocks(archive, archive.getinfo(member.name), path):
            digest.update(block)
            file.write(block)
        if digest.hexdigest() != member.sha256:
            raise ArtifactError(f"{path}: {member.name} is damaged; copy or bundle it again")


def _is_whole(target: Path, member: Member) -> bool:
    if target.is_symlink() or not target.is_file() or target.stat().st_size != member.bytes:
        return False
    return sha256_file(target) == member.sha256


def _load_pixels(path: Path, count: int, manifest: Manifest) -> NDArray[np.uint8]:
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
