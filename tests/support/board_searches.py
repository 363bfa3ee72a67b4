"""Searches of a tiny network as a desk packs them, and what plays a Jetson."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import BoardError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.splits import load_splits
from edge_convnext.devices.bench.readings import NoReadings, PowerFigures
from edge_convnext.devices.bundle.evaluation import read_reference
from edge_convnext.devices.bundle.graphs import FoundGraph
from edge_convnext.devices.bundle.manifest import BundledGraph
from edge_convnext.devices.bundle.search_manifest import Entrant, SearchEntry
from edge_convnext.devices.bundle.write_search import write_search
from edge_convnext.devices.jetson.power_modes import PowerMode
from edge_convnext.report.contract import Report
from support.board_builds import CLASSES, build_tiny

GRAPHS = ("fp32.onnx", "a.int8.onnx", "b.int8.onnx", "c.int8.onnx")


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


class Meter:
    """Reads 5 W at work."""

    def start(self):
        pass

    def stop(self):
        return PowerFigures(5.0, 2.0, 10, "VDD_IN", "a test")

    def close(self):
        pass


class JetsonReadings(NoReadings):
    """Readings of a board that reports power."""

    reason = None

    def __init__(self):
        super().__init__(None)

    def state(self):
        return {"power_mode": "MAXN", "clocks_locked": False}

    def differences(self):
        return ("clocks were not locked",)

    def meter(self):
        return Meter()


@dataclass
class Modes:
    """Two power modes, and a third that needs a restart."""

    now: int = 0
    held: list[int] = field(default_factory=list)
    known = (PowerMode(0, "MAXN"), PowerMode(1, "15W"), PowerMode(2, "7W"))

    def find(self, asked):
        return tuple(mode for mode in self.known if {str(mode.number), mode.name} & set(asked))

    def current(self):
        return self.known[self.now]

    @contextmanager
    def hold(self, mode):
        if mode.number == 2:
            raise BoardError("it needs a restart")
        before, self.now = self.now, mode.number
        self.held.append(mode.number)
        try:
            yield
        finally:
            self.now = before
