"""Boards that are played, and bundles that are spoiled."""

import zipfile

from edge_convnext.core.errors import (
    EngineBuildError,
)
from edge_convnext.devices.bench import BoardSettings
from edge_convnext.devices.bundle.manifest import (
    BundledGraph,
)
from support.board_builds import CLASSES, PER_CLASS
from support.races import candidate

N = PER_CLASS * len(CLASSES)


def graph(name, precision, kind, batch=1):
    return BundledGraph(
        name=name, file=f"models/{name}", precision=precision, form="mixed", batch=batch, kind=kind
    )


ORT = BoardSettings(runtimes=("onnxruntime",), rounds=6)


def repack(source, target, change=None, add=(), infos=None):
    """Write a bundle again with members changed, and no other care."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if change and info.filename in change:
                data = change[info.filename](data)
            if data is not None:
                new.writestr(infos(info) if infos else info, data)
        for info, data in add:
            new.writestr(info, data)
    return target


def engine(name, precision):
    return candidate(name, None, precision, "mixed", None, "tensorrt")


class Builder:
    """A builder that copies the graph, and fails where it is told to."""

    device = "Orin 8.7 driver 540.3"
    flags = ()

    def __init__(self, version="10.3.0", runtime="tensorrt", fails=None):
        self.version, self.runtime, self.fails, self.built = version, runtime, fails, []

    def build(self, graph, source, output, precision, timing_cache):
        if precision == self.fails:
            raise EngineBuildError("no kernel")
        self.built.append((graph.name, precision, timing_cache.name))
        output.write_bytes(source.read_bytes())
        output.with_name(f"{output.name}.json").write_text("{}")
