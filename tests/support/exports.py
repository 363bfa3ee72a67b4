"""Tiny exports and quantized graphs, made once in a session for the files of all its workers.

`export_onnx`, `quantize`, `place_qdq`, `equalize` have the signatures of the stages, and the bytes
too: a stage's result is kept by its input's content, its settings and the package's sources. The
tests of a stage call the stage itself.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edge_convnext
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.files import sha256_file
from edge_convnext.core.locks import hold_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import (
        ActivationType,
        FormName,
        PlacementName,
        Precision,
        Weights,
    )
    from edge_convnext.core.sections import EqualizeConfig, ExportConfig, QuantizeConfig

_STORES: list[Cache] = []


def open_store(folder: Path) -> None:
    """Keep results in `folder`, which the workers of a session share."""
    folder.mkdir(exist_ok=True)
    _STORES[:] = [Cache(folder)]


def export_onnx(
    weights: Weights, form: FormName, precision: Precision, config: ExportConfig, output: Path
) -> OnnxModel:
    from edge_convnext.stages import export

    key = {
        "weights": sha256_file(weights.path),
        "architecture": repr(weights.architecture),
        "info": repr(weights.info),
        "folded": weights.folded,
        "form": form,
        "precision": precision,
        "config": config.model_dump(mode="json"),
    }
    return _kept(
        "export",
        key,
        lambda path: export.export_onnx(weights, form, precision, config, path),
        output,
    )


def equalize(
    model: OnnxModel,
    batches: Sequence[NDArray[np.float32]],
    config: EqualizeConfig,
    kind: ActivationType,
    output: Path,
) -> OnnxModel:
    from edge_convnext.stages import equalize as stage

    key = {**_inputs(model, batches), "config": config.model_dump(mode="json"), "kind": kind}
    return _kept(
        "equalize", key, lambda path: stage.equalize(model, batches, config, kind, path), output
    )


def quantize(
    model: OnnxModel,
    batches: Iterable[NDArray[np.float32]],
    placement: PlacementName,
    config: QuantizeConfig,
    output: Path,
    **options: Any,
) -> OnnxModel:
    """`options` are those of the stage that JSON can hold."""
    from edge_convnext.stages import quantize as stage

    images = list(batches)
    key = {
        **_inputs(model, images),
        "placement": placement,
        "config": config.model_dump(mode="json"),
        "options": options,
    }
    return _kept(
        "quantize",
        key,
        lambda path: stage.quantize(model, images, placement, config, path, **options),
        output,
    )


def place_qdq(
    model: OnnxModel,
    batches: Iterable[NDArray[np.float32]],
    placement: PlacementName,
    output: Path,
) -> OnnxModel:
    from edge_convnext.stages import place_qdq as stage

    images = list(batches)
    key = {**_inputs(model, images), "placement": placement}
    return _kept("place", key, lambda path: stage.place_qdq(model, images, placement, path), output)


def _inputs(model: OnnxModel, batches: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
    return {
        "model": {**asdict(model), "path": sha256_file(model.path)},
        "batches": [
            [one.shape, one.dtype.str, hashlib.sha256(one.tobytes()).hexdigest()] for one in batches
        ],
    }


def _kept(
    stage: str, fields: dict[str, Any], make: Callable[[Path], OnnxModel], output: Path
) -> OnnxModel:
    """`make`'s graph at `output`: a copy, which the test may change."""

    def fill(folder: Path) -> dict[str, Any]:
        return {**asdict(make(folder / "graph.onnx")), "path": None}

    store = _store()
    key = stage_key(f"{stage}/1", sources=_sources(), **fields)
    turn = store.root / "turns" / key
    turn.mkdir(parents=True, exist_ok=True)
    with hold_lock(turn):  # another worker that wants the same waits for it
        entry = store.run(stage, key, fill)
    shutil.copyfile(entry.folder / "graph.onnx", output)
    return OnnxModel(**{**entry.result, "path": output})


def _store() -> Cache:
    if not _STORES:  # outside a session of pytest
        open_store(Path(tempfile.mkdtemp(prefix="exports-")))
    return _STORES[0]


@cache
def _sources() -> str:
    """Digest of the package as it is: a change in the middle of a session finds nothing stale."""
    root = Path(edge_convnext.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
