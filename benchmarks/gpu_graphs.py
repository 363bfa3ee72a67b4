"""Graphs for `gpu.py`: exported where torch is, completed where TensorRT is.

`prepare` writes each model's forms as float32 graphs, with Q/DQ or without, for batch 1 and 8;
weights that graphs share are stored once, beside them. `finish` makes of one the file that a
TensorRT reads: another batch, opset 17 or a float16 body. It needs onnx and numpy alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edge_convnext.core.artifacts import FormName, OnnxModel, PlacementName
from edge_convnext.core.files import write_text_atomic

IMAGE_SIZE = 224
IMAGES = 8  # judge the engines' logits, and calibrate
_SMALL_BYTES = 1024  # constants up to here stay in the graph
_EXPORTED = (1, 8)  # other batches are written from that of 8
_SEED = 0

Kind = Literal["opset17", "typed", "plain"]


@dataclass(frozen=True)
class Item:
    """One graph: a form, and what of it is INT8."""

    form: FormName
    placement: PlacementName | None = None

    @property
    def label(self) -> str:
        """Of files."""
        return f"{self.form}.{self.placement}" if self.placement else self.form


_ALWAYS = [Item("raw"), Item("linear"), Item("mixed"), Item("expand")]
_ALWAYS += [Item("linear", "pointwise"), Item("linear", "blocks"), Item("mixed", "blocks")]
ONE_IMAGE = [
    Item("weights_expand"),
    Item("weights_mixed", "late_blocks"),
    Item("late_mixed", "blocks"),
]
ANY_BATCH = [
    Item("product_expand"),
    Item("product_mixed", "late_blocks"),
    Item("late_product_mixed", "blocks"),
]


def list_items(batch: int) -> list[Item]:
    """All graphs of a batch size."""
    return _ALWAYS + (ONE_IMAGE if batch == 1 else ANY_BATCH)


def read_images(folder: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise of eight levels, float32[IMAGES, 3, H, W]: it weighs little."""
    levels = np.load(folder / "images.npy")
    return ((levels.astype(np.float32) - 3.5) / 2).astype(np.float32)


def prepare(folder: Path, models: Sequence[str], jobs: int) -> dict[str, Any]:
    """Export, quantize and store every graph of some models, beside those of others."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(_SEED).integers(0, 8, (IMAGES, 3, IMAGE_SIZE, IMAGE_SIZE))
    np.save(folder / "images.npy", levels.astype(np.uint8))
    start = time.perf_counter()
    tasks: list[tuple[str, int | Literal["dynamic"]]] = [
        (model, batch) for model in models for batch in (*_EXPORTED, "dynamic")
    ]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for found in pool.map(_prepare_one, [str(folder)] * len(tasks), *zip(*tasks, strict=True)):
            rows += found
            for row in found:
                sys.stderr.write(f"{row}\n")
    manifest_path = folder / "manifest.json"
    earlier = json.loads(manifest_path.read_text())["graphs"] if manifest_path.is_file() else []
    rows += [row for row in earlier if row["model"] not in models]
    manifest = {
        "image_size": IMAGE_SIZE,
        "weights": f"random, seed {_SEED}, on a coarse grid; GRN parameters are not zero",
        "calibration": f"{IMAGES} images of noise",
        "seconds": time.perf_counter() - start,
        "graphs": rows,
    }
    write_text_atomic(manifest_path, json.dumps(manifest, indent=1) + "\n")
    return manifest


def coarse_state(model: str) -> dict[str, Any]:
    """Random weights that compress well: on a grid, and powers of two for what is folded in."""
    import torch

    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import find_architecture

    state = random_state(find_architecture(model), _SEED)
    generator = torch.Generator().manual_seed(_SEED)
    for name, tensor in state.items():
        if tensor.dim() > 1:
            tensor.copy_(torch.round(tensor * 1024) / 1024)
        elif name.endswith("norm.weight") or ".norm.weight" in name:
            powers = torch.randint(-1, 2, tensor.shape, generator=generator)
            tensor.copy_(torch.pow(2.0, powers.float()))
    return state


def _prepare_one(folder: str, model: str, batch: int | str) -> list[dict[str, Any]]:
    """One model at one batch size; whatever fails is a row."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return _export_all(Path(folder), model, batch, Path(scratch))
        except Exception as error:
            return [{"model": model, "batch": batch, "error": _trace(error)}]


def _export_all(folder: Path, model: str, batch: int | str, scratch: Path) -> list[dict[str, Any]]:
    from edge_convnext.core.artifacts import ModelInfo, Preprocess
    from edge_convnext.networks.convnext.sizes import find_architecture
    from edge_convnext.networks.weights import save_weights
    from edge_convnext.stages.fold import fold_weights

    architecture = find_architecture(model)
    preprocess = Preprocess(IMAGE_SIZE)
    info = ModelInfo(architecture.name, 1000, 3, (), preprocess, "random", "0" * 64, None)
    state = coarse_state(model)
    raw = save_weights(state, architecture, info, scratch / "raw.safetensors")
    folded = fold_weights(raw, scratch / "folded.safetensors")
    images = read_images(folder)
    rows: list[dict[str, Any]] = []
    floats: dict[str, OnnxModel] = {}
    items = [Item("linear")] if batch == "dynamic" else list_items(int(batch))
    for item in items:
        start = time.perf_counter()
        row: dict[str, Any] = {"model": model, "batch": batch, **asdict(item)}
        try:
            if item.form not in floats:
                weights = raw if item.form == "raw" else folded
                floats[item.form] = _export(weights, item.form, batch, images, scratch)
            made = floats[item.form]
            if item.placement is not None:
                made = _quantize(made, item.placement, images, scratch)
            row["file"] = _store(made.path, folder, graph_name(model, batch, item))
            row["quantized_ops"] = made.quantized_ops
        except Exception as error:
            row["error"] = _trace(error)
        row["seconds"] = time.perf_counter() - start
        rows.append(row)
    if batch == 8 and "raw" in floats:
        np.save(folder / f"{model}.logits.npy", _infer(floats["raw"].path, images))
    return rows


def graph_name(model: str, batch: int | str, item: Item) -> str:
    return f"{model}.b{batch}.{item.label}.onnx"


def _export(weights: Any, form: FormName, batch: Any, images: Any, scratch: Path) -> OnnxModel:
    from edge_convnext.core.sections import ExportConfig, SimplifyConfig
    from edge_convnext.stages.export import export_onnx
    from edge_convnext.stages.simplify import simplify

    config = ExportConfig(batch=batch)
    exported = export_onnx(weights, form, "fp32", config, scratch / f"{form}.onnx")
    shown = images[:2] if batch == "dynamic" else images[: int(batch)]
    outcome = simplify(exported, shown, SimplifyConfig(), scratch / f"{form}.simple.onnx")
    if outcome.reason is not None:
        sys.stderr.write(f"{form} at batch {batch} was not simplified: {outcome.reason}\n")
    return outcome.model


def _quantize(model: OnnxModel, placement: PlacementName, images: Any, scratch: Path) -> OnnxModel:
    from edge_convnext.stages.place_qdq import place_qdq

    return place_qdq(model, [images], placement, scratch / f"{model.path.name}.{placement}.onnx")


def _infer(path: Path, images: Any) -> Any:
    from edge_convnext.runtimes.load import load_runtime

    return load_runtime("onnxruntime", path).infer(images)


def _store(path: Path, folder: Path, name: str) -> str:
    """Write a graph with its weights outside, each under its own digest."""
    import onnx
    from onnx.external_data_helper import set_external_data

    proto = onnx.load(str(path))
    (folder / "weights").mkdir(exist_ok=True)
    for tensor in proto.graph.initializer:
        data = onnx.numpy_helper.to_array(tensor).tobytes()
        if len(data) <= _SMALL_BYTES:
            continue
        file = f"weights/{hashlib.sha256(data).hexdigest()[:24]}.bin"
        if not (folder / file).exists():
            (folder / file).write_bytes(data)
        for kept in ("float_data", "int32_data", "int64_data"):
            tensor.ClearField(kept)
        tensor.raw_data = data
        set_external_data(tensor, file)
        tensor.ClearField("raw_data")
    (folder / name).write_bytes(proto.SerializeToString())
    return name


def finish(
    folder: Path, model: str, batch: int | str, item: Item, kind: Kind, output: Path
) -> Path:
    """Write the file that a TensorRT reads.

    Args:
        folder: What `prepare` filled.
        model: Such as `atto`.
        batch: Any above 1 is written from the graph of 8; or `dynamic`.
        item: Which graph.
        kind: `opset17` for TensorRT 8.6, `typed` (a float16 body) for later ones and RTX, or
            `plain`, as it was exported.
        output: Where it goes.
    """
    import onnx

    from edge_convnext.stages.to_float16 import halve_body
    from edge_convnext.stages.to_opset17 import use_opset_17

    source = batch if batch in (1, "dynamic") else 8
    proto = onnx.load(str(folder / graph_name(model, source, item)))
    if batch != source:
        _set_batch(proto, 8, int(batch))
    onnx.save(proto, str(output))
    made = OnnxModel(output, "int8" if item.placement else "fp32", item.form, item.placement)
    if kind == "opset17":
        use_opset_17(made, output)
    elif kind == "typed":
        halve_body(made, output)
    return output


def _set_batch(proto: Any, old: int, new: int) -> None:
    """Give a graph of static batch another one: its border, and the shapes that it states.

    No other dimension of these networks at 224 px is 8.
    """
    from onnx import numpy_helper

    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = new
    proto.graph.ClearField("value_info")
    shaped = {node.input[1] for node in proto.graph.node if node.op_type in ("Reshape", "Expand")}
    for tensor in proto.graph.initializer:
        if tensor.name in shaped:
            shape = numpy_helper.to_array(tensor).copy()
            if shape.size and shape[0] == old:
                shape[0] = new
                tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def _trace(error: Exception) -> str:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(lines)[-1500:]
