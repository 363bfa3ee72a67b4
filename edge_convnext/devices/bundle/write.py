"""Write a bundle: everything is hashed as it is written, and the file appears whole or not at all.

Equal input gives equal bytes: members are stored as they are, in one order, with one time stamp.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath, atomic_path, sha256_file, why_unwritable
from edge_convnext.core.image_size import sides_of
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.version import __version__
from edge_convnext.data.batches import iter_pixels
from edge_convnext.data.formats import IMAGE_SUFFIXES
from edge_convnext.data.places import require_outside
from edge_convnext.devices.bundle.evaluation import find_images, read_reference
from edge_convnext.devices.bundle.graphs import FoundGraph, find_candidates, published_hashes
from edge_convnext.devices.bundle.manifest import (
    IMAGES,
    MANIFEST,
    PREDICTIONS,
    RECIPE,
    REPORT,
    SUFFIX,
    TENSORS,
    EvaluationEntry,
    EvaluationKind,
    Manifest,
    Member,
    PreprocessEntry,
)
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.manifest import require_unedited
from edge_convnext.report.recipe_file import recipe_text

if TYPE_CHECKING:
    from edge_convnext.data.images import Sample

__all__ = ["Writer", "add_images", "bundle_build", "write_bundle"]

_BLOCK = 1 << 20
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can state
_MODE = stat.S_IFREG | 0o644


@dataclass
class Writer:
    """A zip that remembers the hash of each member."""

    archive: zipfile.ZipFile
    members: list[Member] = field(default_factory=list)

    def add(self, name: str, pieces: Iterable[bytes]) -> Member:
        """Store one member."""
        digest, size = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name, _NO_TIME)
        info.external_attr = _MODE << 16
        info.create_system = 3  # Unix on every system, so that the bytes are equal
        with self.archive.open(info, "w", force_zip64=True) as file:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
        member = Member(name=name, sha256=digest.hexdigest(), bytes=size)
        self.members.append(member)
        return member

    def add_file(self, name: str, path: Path, sha256: str) -> None:
        """Store a file that was hashed before."""
        if self.add(name, _blocks(path)).sha256 != sha256:
            raise ArtifactError(f"{path}: changed while it was read; bundle again")


def write_bundle(
    build_dir: AnyPath,
    output: AnyPath,
    evaluation: EvaluationKind = "images",
    data: AnyPath | None = None,
    track: Track = untracked,
    say: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Bundle a finished build for a board.

    Args:
        build_dir: Folder that `edge-convnext build` wrote.
        output: File for the bundle, `*.ecb`.
        evaluation: Form of the images. `images`: the image files as they are. `tensors`: uint8
            pixels before normalisation, so every board sees exactly the input of the build.
            `none`: no images, and the board measures speed only.
        data: Present place of the build's data; None: the recipe's.
        track: Progress over the images.
        say: Called with the size that the bundle will have, before anything is packed.

    Returns:
        The manifest. It has no evaluation where the build had none.

    Raises:
        ArtifactError: There is no finished build; its files are not those of its report, or its
            report not that of its manifest; or `output` can't be a bundle or can't be written.
        DataError: The evaluation images are gone or changed.
    """
    build_dir = Path(build_dir)
    output = Path(output)
    data = Path(data) if data is not None else None
    _check_output(output)
    path = build_dir / REPORT
    report = Report.read(path)
    require_outside(output, *([data] if data else report.data_folders))
    recorded = require_unedited(path)
    recipe = make_recipe(report.recipe, str(path))
    graphs = find_candidates(build_dir, report)
    preprocess = Preprocess.from_json(report.recipe["preprocess"])  # type: ignore[arg-type]
    predictions = build_dir / PREDICTIONS.rpartition("/")[2]
    wanted = evaluation if report.accuracy is not None else "none"
    parts = [f"{len(graphs)} graphs of {_megabytes(graph.path for graph in graphs)}"]
    if wanted == "none":
        say(f"{output.name} will have {parts[0]}")
    with atomic_path(output) as scratch, zipfile.ZipFile(scratch, "w") as archive:
        writer = Writer(archive)
        writer.add_file(REPORT, path, recorded[REPORT])
        writer.add(RECIPE, [recipe_text(report.recipe).encode()])
        for graph in graphs:
            writer.add_file(graph.entry.file, graph.path, graph.sha256)
        entry = None
        if wanted != "none":
            classes = report.model.classes
            sha256 = _require_own(predictions, report)
            reference = read_reference(predictions, classes, report.model.num_classes)
            writer.add_file(PREDICTIONS, predictions, sha256)
            with find_images(recipe, reference, classes, data, track) as samples:
                shown = _once_each(samples) if wanted == "images" else samples
                parts.append(f"{len(shown)} images of {_size_of(shown, wanted, report)}")
                say(f"{output.name} will have {' and '.join(parts)}")
                tracked = track(shown, "bundling images", len(shown))
                if wanted == "images":
                    add_images(writer, tracked)
                else:
                    channels = report.model.in_channels
                    writer.add(TENSORS, _tensor_pieces(tracked, len(samples), preprocess, channels))
            entry = EvaluationEntry(kind=wanted, n_images=len(reference.labels))
        manifest = _describe(report, preprocess, graphs, entry, writer.members)
        content = manifest.model_dump(mode="json", by_alias=True)
        writer.add(MANIFEST, [json.dumps(content, indent=1, ensure_ascii=False).encode()])
    return manifest


def _size_of(shown: Sequence[Sample], kind: EvaluationKind, report: Report) -> str:
    """Size of the images in a bundle."""
    if kind == "images":
        return _megabytes(sample.path for sample in shown)
    height, width = sides_of(report.model.image_size)
    return f"{len(shown) * height * width * report.model.in_channels / 1e6:.1f} MB"


def _megabytes(paths: Iterable[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB"


def _require_own(path: Path, report: Report) -> str:
    """Check a file against the report, and return its SHA-256: boards are judged by it.

    Raises:
        ArtifactError: It is missing, or has another hash.
    """
    sha256 = published_hashes(report).get(path.name)
    try:
        require_regular(path)
        whole = sha256 is not None and sha256_file(path) == sha256
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; build again") from error
    if sha256 is None or not whole:
        raise ArtifactError(
            f"{path}: is not the file that report.json beside it is about; build again"
        )
    return sha256


def bundle_build(
    folder: Path, track: Track = untracked, say: Callable[[str], None] = lambda _: None
) -> Path:
    """Bundle a finished build into its own folder, under its name, with its image files.

    Raises:
        ArtifactError: As for `write_bundle`.
        DataError: As for `write_bundle`.
    """
    bundle = folder / f"{folder.resolve().name}{SUFFIX}"
    write_bundle(folder, bundle, track=track, say=say)
    return bundle


def _check_output(output: Path) -> None:
    """Fail before the images are packed if the bundle can't be written."""
    if output.is_dir():
        raise ArtifactError(
            f"{output}: is a folder; choose another --out, such as {output}{SUFFIX}"
        )
    if output.suffix != SUFFIX:
        raise ArtifactError(
            f"{output}: `bench` recognises a bundle by its {SUFFIX}; choose another --out, such as "
            f"{output.with_suffix(SUFFIX)}"
        )
    if reason := why_unwritable(output.parent):
        raise ArtifactError(f"{output}: can't be written ({reason}); choose another --out")


def _describe(
    report: Report,
    preprocess: Preprocess,
    graphs: tuple[FoundGraph, ...],
    evaluation: EvaluationEntry | None,
    members: list[Member],
) -> Manifest:
    return Manifest(
        edge_convnext=__version__,
        model=report.model,
        preprocess=PreprocessEntry(**asdict(preprocess)),
        graphs=tuple(graph.entry for graph in graphs),
        evaluation=evaluation,
        members=tuple(members),
    )


def _once_each(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    return tuple({sample.sha256: sample for sample in samples}.values())


def add_images(writer: Writer, samples: Iterable[Sample]) -> None:
    """Store images under neutral names, so that the bundle does not reveal local paths."""
    for index, sample in enumerate(samples):
        suffix = sample.path.suffix.lower()
        # A CSV may list images with any name; their content decides what they are.
        name = f"{IMAGES}/{index:06d}{suffix if suffix in IMAGE_SUFFIXES else '.png'}"
        writer.add_file(name, sample.path, sample.sha256)


def _tensor_pieces(
    samples: Iterable[Sample], count: int, preprocess: Preprocess, channels: int
) -> Iterator[bytes]:
    """Yield a `.npy` of uint8[N, H, W, 3], or uint8[N, H, W], image by image."""
    sides = (preprocess.height, preprocess.width)
    shape = (count, *sides, 3) if channels == 3 else (count, *sides)
    header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": shape}
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, header)
    yield start.getvalue()
    for image in iter_pixels(samples, preprocess, channels):
        yield image.tobytes()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
