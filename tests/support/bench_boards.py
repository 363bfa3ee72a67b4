"""Boards that are played, and bundles that are spoiled."""

import zipfile

from edge_convnext.devices.bench import BoardSettings
from edge_convnext.devices.bundle.manifest import (
    BundledGraph,
)
from support.board_builds import CLASSES, PER_CLASS
from support.played_boards import Builder
from support.races import candidate

__all__ = ["ORT", "Builder", "N", "engine", "graph", "repack"]

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
