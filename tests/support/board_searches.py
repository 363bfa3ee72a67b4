"""Searches of a tiny network, as a desk packs them."""

from __future__ import annotations

from pathlib import Path

import onnx

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.files import sha256_file
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.splits import load_splits
from edge_convnext.devices.bundle.evaluation import read_reference
from edge_convnext.devices.bundle.graphs import FoundGraph
from edge_convnext.devices.bundle.manifest import BundledGraph
from edge_convnext.devices.bundle.search_manifest import Entrant, SearchEntry
from edge_convnext.devices.bundle.write_search import write_search
from edge_convnext.report.contract import Report
from support.board_builds import CLASSES, build_tiny
from support.played_boards import GRAPHS


def write_tiny_search(root: Path, gpu: bool = False, images: bool = True, **entry: object) -> Path:
    """A search over one float and three INT8 graphs, which compute the same."""
    build = root / "build" if (root / "build").is_dir() else build_tiny(root)
    report = Report.read(build / "report.json")
    folder = root / "graphs"
    folder.mkdir(exist_ok=True)
    found = [_graph(build, folder, name, gpu) for name in GRAPHS]
    runtime = "tensorrt" if gpu else "onnxruntime"
    entrants = [
        Entrant(graph=name, runtime=runtime, usual=name == GRAPHS[1])
        for name in (*GRAPHS[1:], GRAPHS[0])
    ]
    fields = {
        "target": "tensorrt" if gpu else "cpu", "entrants": entrants, "batch": 1, "threads": 1,
        "min_round_ms": 1, "warmup": 1, **entry,
    }  # fmt: skip
    samples, reference = (), None
    if images:
        samples = load_splits(root / "images", DataConfig(), 0).val.samples
        reference = read_reference(build / "predictions.csv", CLASSES, len(CLASSES))
    output = root / "search.ecb"
    preprocess = Preprocess.from_json(report.recipe["preprocess"])
    search = SearchEntry.model_validate(fields)
    write_search(output, report.model, preprocess, found, search, reference, samples)
    return output


def _graph(build: Path, folder: Path, name: str, gpu: bool) -> FoundGraph:
    precision = "int8" if "int8" in name else "fp32"
    model = onnx.load(build / f"model.{precision}.onnx")
    model.doc_string = name  # another file, and the same numbers
    onnx.save(model, folder / name)
    stated = "fp16" if gpu and precision == "fp32" else precision
    entry = BundledGraph(
        name=name, file=f"models/{name}", precision=stated, form="conv",
        placement="blocks" if precision == "int8" else None,
        batch=1 if gpu else None, kind="typed20" if gpu else "cpu",
    )  # fmt: skip
    return FoundGraph(folder / name, sha256_file(folder / name), entry)
