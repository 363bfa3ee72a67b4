"""Write the bundle of a search: graphs to race on a board, and the images that judge them there."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.files import atomic_path
from edge_convnext.core.version import __version__
from edge_convnext.devices.bundle.manifest import (
    MANIFEST,
    PREDICTIONS,
    EvaluationEntry,
    PreprocessEntry,
)
from edge_convnext.devices.bundle.search_manifest import SearchManifest
from edge_convnext.devices.bundle.write import Writer, add_images
from edge_convnext.measure.accuracy import write_predictions_csv

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import Preprocess
    from edge_convnext.data.images import Sample
    from edge_convnext.devices.bundle.graphs import FoundGraph
    from edge_convnext.devices.bundle.search_manifest import SearchEntry
    from edge_convnext.measure.accuracy import Predictions
    from edge_convnext.report.described import ModelReport

__all__ = ["write_search"]


def write_search(
    output: Path,
    model: ModelReport,
    preprocess: Preprocess,
    graphs: Sequence[FoundGraph],
    search: SearchEntry,
    reference: Predictions | None,
    samples: Sequence[Sample] = (),
) -> SearchManifest:
    """Bundle a search; equal input gives equal bytes.

    Args:
        output: File for the bundle, `*.ecb`.
        model: The network.
        preprocess: Its preprocessing.
        graphs: Graphs to race; INT8 ones are calibrated in full.
        search: Entrants, and settings of the race.
        reference: Answers of the float model on the images that judge; None: speed alone.
        samples: Those images, in the order of `reference`.

    Raises:
        ArtifactError: A file changed while it was read.
        OSError: The disk is full, or `output` can't be written.
    """
    with atomic_path(output) as scratch, zipfile.ZipFile(scratch, "w") as archive:
        writer = Writer(archive)
        for graph in graphs:
            writer.add_file(graph.entry.file, graph.path, graph.sha256)
        entry = None
        if reference is not None:
            writer.add(PREDICTIONS, [_answers(reference, model.classes)])
            add_images(writer, {one.sha256: one for one in samples}.values())
            entry = EvaluationEntry(kind="images", n_images=len(reference.labels))
        manifest = SearchManifest(
            edge_convnext=__version__,
            model=model,
            preprocess=PreprocessEntry(**asdict(preprocess)),
            graphs=tuple(graph.entry for graph in graphs),
            evaluation=entry,
            members=tuple(writer.members),
            search=search,
        )
        content = manifest.model_dump(mode="json", by_alias=True)
        writer.add(MANIFEST, [json.dumps(content, indent=1, ensure_ascii=False).encode()])
    return manifest


def _answers(reference: Predictions, classes: Sequence[str]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edge-convnext-") as folder:
        path = Path(folder) / "predictions.csv"
        write_predictions_csv(path, {"fp32": reference}, classes, answers_alone=["fp32"])
        return path.read_bytes()
