"""Check that a model file is whole, and of which build it is, before it is read or deployed.

TensorRT runs any engine that it is given. The JSON file beside an engine describes the engine that
it was written with. So the bytes are compared with the recorded hashes.
"""

from __future__ import annotations

import json
from pathlib import Path

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bundle.graphs import published_hashes
from edge_convnext.devices.bundle.manifest import REPORT
from edge_convnext.report.contract import Report
from edge_convnext.report.manifest import MANIFEST, read_manifest, require_unedited
from edge_convnext.runtimes.tensorrt.sidecar import sidecar_path

__all__ = ["require_of_build", "require_whole_engine"]


def require_whole_engine(engine: Path) -> None:
    """Refuse an engine that is not the one that the JSON file beside it describes.

    Raises:
        ArtifactError: There is no such engine, its bytes differ, or the JSON file is missing or
            damaged.
    """
    if not engine.is_file():
        raise ArtifactError(
            f"{engine}: no such engine; `edge-convnext build --target rtx` makes some"
        )
    sidecar = sidecar_path(engine)
    try:
        stated = json.loads(read_text_bounded(sidecar))["engine_sha256"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ArtifactError(
            f"{sidecar}: can't be read, or has no SHA-256 of its engine; keep the two "
            "together, or build the engine again"
        ) from error
    if sha256_file(engine) != stated:
        raise ArtifactError(
            f"{engine}: is not the engine that {sidecar.name} describes (the SHA-256 differs): "
            "damaged, or copied over; copy or build both again"
        )
    for path in (engine, sidecar):
        _require_unchanged(path)


def _require_unchanged(path: Path) -> None:
    """Refuse a file that has another hash in the manifest of its build.

    Raises:
        ArtifactError: It changed since the build.
    """
    whole = path.absolute()
    for folder in (whole.parent, whole.parent.parent):  # of the build, or its `gpu/`
        try:
            stated = read_manifest(folder).get(whole.relative_to(folder).as_posix())
        except ArtifactError:
            continue  # not the folder of a build
        if stated is not None and sha256_file(path) != stated:
            raise ArtifactError(
                f"{path}: is not the file that the build's {MANIFEST} states; build again"
            )


def require_of_build(model: Path, onnx_sha256: str | None, folder: Path) -> None:
    """Refuse a model that is neither a file of a build nor an engine of one of its graphs.

    Args:
        model: ONNX file or engine.
        onnx_sha256: SHA-256 of the graph that an engine was built from.
        folder: Folder that `edge-convnext build` wrote, or `bench` of a bundle.

    Raises:
        ArtifactError: It is of another build, or the folder has no list of its files.
    """
    own = _hashes(folder)
    if onnx_sha256 not in own and sha256_file(model) not in own:
        what = "it is no file" if onnx_sha256 is None else "neither it nor its graph is a file"
        raise ArtifactError(
            f"{model}: {what} of {folder}, so classes and preprocessing may be others; pass the "
            "build that it is of"
        )


def _hashes(folder: Path) -> set[str]:
    """Hashes of every file that a folder's manifest lists; a board's report lists graphs too."""
    own = set(require_unedited(folder / REPORT).values())
    report = Report.read(folder / REPORT)
    if report.board is None:
        return own
    graphs = {graph.sha256 for graph in report.board.graphs}
    return own | graphs | set(published_hashes(report).values())
