"""Fuzzed inputs of a board: the sidecar of an engine, and a bundle with all that lies in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from edge_convnext.devices.bundle.read import open_bundle
from edge_convnext.devices.deploy.facts import read_deployable
from edge_convnext.report.manifest import write_manifest
from edge_convnext.runtimes.tensorrt.sidecar import read_facts, require_runs_here, sidecar_path

__all__ = [
    "FACTS",
    "make_bundle",
    "make_bundle_manifest",
    "read_bundle",
    "read_deployed",
    "read_engine",
]

_ENGINE = b"engine"
FACTS: Mapping[str, Any] = {
    "schema": "edge-convnext/engine/3", "runtime": "tensorrt", "tensorrt": "10.3.0",
    "precision": "int8", "form": "linear", "placement": "blocks", "batch": 1,
    "engine_sha256": hashlib.sha256(_ENGINE).hexdigest(), "compute_capabilities": ["8.7"],
    "onnx_sha256": "0" * 64, "gpu": {"name": "Orin"},
    "flags": {"version_compatible": True, "hardware_compatible": False},
    "profile": {"min": [1, 3, 4, 4], "opt": [1, 3, 4, 4], "max": [8, 3, 4, 4]}, "kernel_table": [],
}  # fmt: skip
_HERE = SimpleNamespace(name="tensorrt", version="10.7.0")
_DEVICE = SimpleNamespace(name="Orin", compute_capability="8.7")


def read_engine(folder: Path, content: bytes) -> object:
    """What is done of an engine before TensorRT reads it."""
    engine = folder / "input.engine"
    engine.write_bytes(_ENGINE)
    sidecar_path(engine).write_bytes(content)
    facts = read_facts(engine)
    require_runs_here(facts, cast("Any", _HERE), cast("Any", _DEVICE))
    return facts.info


def read_deployed(folder: Path, content: bytes) -> object:
    """What `deploy` tells of an engine that is a file of the build, whatever its sidecar says."""
    build = folder / "deployed"
    build.mkdir(exist_ok=True)
    engine = build / "input.engine"
    engine.write_bytes(_ENGINE)
    sidecar_path(engine).write_bytes(content)
    write_manifest(build, [engine])
    return read_deployable(engine, build).label


def read_bundle(folder: Path, content: bytes) -> object:
    """What is done of a bundle before a runtime reads its graphs."""
    path, unpacked = folder / "input.ecb", folder / "unpacked"
    path.write_bytes(content)
    shutil.rmtree(unpacked, ignore_errors=True)
    bundle = open_bundle(path).unpack(unpacked)
    evaluation = bundle.evaluation()
    return [bundle.preprocess, evaluation and list(evaluation.batches(2))]


def make_members(graph: bytes, report: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a bundle of two images, the manifest excepted."""
    pixels = BytesIO()
    np.save(pixels, np.zeros((2, 4, 4, 3), np.uint8))
    rows = [f"{hashlib.sha256(name).hexdigest()},a,b,a" for name in (b"1", b"2")]
    table = "\n".join(["sha256,label,fp32_top1,int8_top1", *rows]) + "\n"
    return {
        "report.json": json.dumps(report, default=str).encode(),
        "recipe.yaml": b"name: fuzz\n",
        "models/model.int8.onnx": graph,
        "evaluation/predictions.csv": table.encode(),
        "evaluation/images.npy": pixels.getvalue(),
    }


def make_bundle_manifest(members: Mapping[str, bytes], model: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of those files."""
    return {
        "schema": "edge-convnext/bundle/1", "edge_convnext": "0", "model": dict(model),
        "preprocess": {
            "image_size": 4, "resize": "squash", "crop_pct": 1.0, "interpolation": "bilinear",
            "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
        },
        "graphs": [{
            "name": "model.int8.onnx", "file": "models/model.int8.onnx", "precision": "int8",
            "form": "linear", "placement": "blocks", "batch": None, "kind": "cpu",
            "format": "qdq", "quantized_ops": 1, "settings": {"onnxruntime": {}},
        }],
        "evaluation": {"kind": "tensors", "n_images": 2},
        "members": [
            {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in members.items()
        ],
    }  # fmt: skip


def make_bundle(manifest: bytes, members: Mapping[str, bytes]) -> bytes:
    """A stored zip of them."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {"manifest.json": manifest, **members}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()
