"""Which graphs of a finished build a board may want."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from edge_convnext.core.artifacts import (
    ARM_GRAPH,
    CPU_FOLDER,
    GPU_FOLDER,
    TFLITE_SUFFIX,
    Precision,
)
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.file_kinds import is_tflite
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bundle.manifest import BundledGraph, GraphKind
from edge_convnext.graph.file import fixed_batch, read_proto
from edge_convnext.runtimes.load import RUNTIMES
from edge_convnext.runtimes.metadata import read_metadata

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import RuntimeName
    from edge_convnext.report.contract import Report

__all__ = ["FoundGraph", "check_graph_file", "find_candidates", "published_hashes"]

_CPU_NAME = re.compile(r"(fp32|fp16|int8)\.([a-z0-9_]+)\.onnx")
_GPU_NAME = re.compile(r"(fp32|fp16|int8)\.b(\d+)(\.opset17)?\.onnx")


@dataclass(frozen=True)
class FoundGraph:
    """A graph in the build's folder, and its entry in the manifest."""

    path: Path
    sha256: str
    entry: BundledGraph


def find_candidates(build_dir: Path, report: Report) -> tuple[FoundGraph, ...]:
    """List the models that a build published: `model.*`, and those in `cpu/` and `gpu/`.

    A board measures which of them it uses: it may lack the runtime that won in the build.

    Args:
        build_dir: Folder of a finished build.
        report: Report of the build, with the hashes.

    Raises:
        ArtifactError: A file is not the one that the report is about, or there is none.
    """
    found = [
        _describe(path, f"model.{precision}.onnx", "cpu", report)
        for precision in get_args(Precision)
        if (path := build_dir / f"model.{precision}.onnx").is_file()
    ]
    found += [
        _describe(path, path.name, "cpu", report)
        for precision in get_args(Precision)
        if (path := build_dir / f"model.{precision}{TFLITE_SUFFIX}").is_file()
    ]
    found += [
        _describe(path, f"{CPU_FOLDER}/{path.name}", "cpu", report)
        for path in sorted((build_dir / CPU_FOLDER).glob("*.onnx"))
        if (match := _CPU_NAME.fullmatch(path.name))
        and (match[2] in RUNTIMES or f"{CPU_FOLDER}/{path.name}" == ARM_GRAPH)
    ]
    for path in sorted((build_dir / GPU_FOLDER).glob("*.onnx")):
        match = _GPU_NAME.fullmatch(path.name)
        if match is None:
            continue  # a file of the user
        kind: GraphKind = "opset17" if match[3] else "typed20"
        graph = _describe(path, f"{GPU_FOLDER}/{path.name}", kind, report)
        # The name decides: its metadata is still that of the graph it was made from.
        named = {"precision": cast("Precision", match[1]), "batch": int(match[2])}
        entry = graph.entry.model_copy(update=named)
        found.append(FoundGraph(graph.path, graph.sha256, entry))
    if not found:
        raise ArtifactError(f"{build_dir}: has no ONNX model; build again with --target cpu")
    return tuple(found)


def published_hashes(report: Report) -> dict[str, str]:
    """SHA-256 of every file that a report lists, by path in the build's folder."""
    hashes = {file.path: file.sha256 for file in report.outputs}
    for stage in report.stages:
        for file in (stage.artifact, *(variant.artifact for variant in stage.variants)):
            if file is not None:
                hashes.setdefault(file.path, file.sha256)
    return hashes


def check_graph_file(path: Path, num_classes: int) -> None:
    """Refuse, before a runtime or a builder reads it, a graph that no build wrote.

    Args:
        path: Path of the graph.
        num_classes: Number of classes that the bundle states.

    Raises:
        ArtifactError: As for `runtimes.metadata.read_metadata`; or its weights lie in other files,
            or it has another number of classes.
    """
    _check_self_contained(path)
    found = read_metadata(path).info.num_classes
    if found != num_classes:
        raise ArtifactError(
            f"{path}: has {found} classes, the bundle states {num_classes}; bundle the build again"
        )


def _check_self_contained(path: Path) -> None:
    """Refuse a graph that keeps weights in files beside it, which may lie anywhere.

    Raises:
        ArtifactError: It does, or is no ONNX graph.
    """
    if is_tflite(path):  # one file by its nature
        return
    proto = read_proto(path, weights=False)
    if any(tensor.data_location == tensor.EXTERNAL for tensor in proto.graph.initializer):
        raise ArtifactError(
            f"{path}: keeps its weights in another file, which a bundle can't hold; build again"
        )


def _describe(path: Path, name: str, kind: GraphKind, report: Report) -> FoundGraph:
    digest = sha256_file(path)
    if published_hashes(report).get(name) != digest:
        raise ArtifactError(
            f"{path}: is not the file that report.json beside it is about; build again"
        )
    _check_self_contained(path)
    metadata = read_metadata(path)
    entry = BundledGraph(
        name=name,
        file=f"models/{name}",
        precision=metadata.precision,
        form=metadata.form,
        placement=metadata.placement,
        batch=fixed_batch(path),
        kind=kind,
        format=metadata.format,
        quantized_ops=_quantized_ops(digest, report),
        settings=_settings(name, report),
    )
    return FoundGraph(path, digest, entry)


def _quantized_ops(digest: str, report: Report) -> int | None:
    """Number of quantized operations, as a stage counted them in this very file."""
    variants = [one for stage in report.stages for one in stage.variants]
    counts = (
        one.quantized_ops for one in variants if one.artifact and one.artifact.sha256 == digest
    )
    return next(counts, None)


def _settings(name: str, report: Report) -> dict[RuntimeName, dict[str, str]]:
    """Settings of the runtime that the build timed this file with, by runtime."""
    rows = report.benchmark.rows if report.benchmark else ()
    return {row.runtime: row.settings for row in rows if row.settings and row.file == name}
