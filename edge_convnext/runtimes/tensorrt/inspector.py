"""Read an engine's layers from TensorRT's engine inspector, as kernels.

A classic engine can be inspected on the GPU that built it. Not every layer is one kernel: a
subgraph that TensorRT compiled as a whole is one layer and may launch several. In 8.6 a type is a
word in a description ("Thirty-two wide channel vectorized row major Int8 format"); in 10 it stands
alone ("Half").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor

__all__ = ["count_int8", "parse_layers"]

_TYPES = (
    ("Int8", re.compile(r"\bint8\b", re.IGNORECASE)),
    ("Half", re.compile(r"\b(half|fp16)\b", re.IGNORECASE)),
    ("Float", re.compile(r"\b(float|fp32)\b", re.IGNORECASE)),
    ("BFloat16", re.compile(r"\b(bfloat16|bf16)\b", re.IGNORECASE)),
    ("Int32", re.compile(r"\bint32\b", re.IGNORECASE)),
    ("Int64", re.compile(r"\bint64\b", re.IGNORECASE)),
    ("UInt8", re.compile(r"\buint8\b", re.IGNORECASE)),
    ("Bool", re.compile(r"\bbool\b", re.IGNORECASE)),
)
_NODE = re.compile(r"\[ONNX Layer: (.+?)\](?=[\x1e\x1f\[]|$)")
_PRODUCT = re.compile(r"conv|gemm|matrix|matmul|correlation", re.IGNORECASE)
_WEIGHTS = ("Weights", "Bias")


def parse_layers(information: str) -> tuple[Kernel, ...]:
    """Find the layers in the inspector's JSON, in the order of execution.

    Returns:
        One kernel per layer; empty if the text is not the expected JSON.
    """
    try:
        layers = json.loads(information)["Layers"]
        return tuple(_read(layer) for layer in layers if isinstance(layer, dict))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def count_int8(kernels: Sequence[Kernel]) -> int:
    """Count the convolutions and matrix products that read INT8, among recognisable layers."""
    return sum(
        any(tensor.dtype == "Int8" for tensor in kernel.inputs)
        and bool(_PRODUCT.search(f"{kernel.kind} {kernel.name}"))
        and "reformat" not in kernel.kind.lower()
        for kernel in kernels
    )


def _read(layer: Mapping[str, Any]) -> Kernel:
    return Kernel(
        name=str(layer["Name"]),
        kind=str(layer.get("LayerType", "unknown")),
        inputs=_tensors(layer.get("Inputs", ())),
        constants=_constants(layer),
        outputs=_tensors(layer.get("Outputs", ())),
        nodes=tuple(_NODE.findall(str(layer.get("Metadata", "")))),
    )


def _tensors(rows: Sequence[Mapping[str, Any]]) -> tuple[KernelTensor, ...]:
    return tuple(
        KernelTensor(str(row["Name"]), tuple(row["Dimensions"]), _type(row)) for row in rows
    )


def _constants(layer: Mapping[str, Any]) -> tuple[KernelTensor, ...]:
    found = []
    for key in _WEIGHTS:
        weights = layer.get(key)
        if isinstance(weights, dict) and weights.get("Count"):
            dtype = _word(str(weights.get("Type", "")))
            found.append(KernelTensor(f"{layer['Name']}.{key}", (int(weights["Count"]),), dtype))
    return tuple(found)


def _type(row: Mapping[str, Any]) -> str:
    described = row.get("Datatype") or row.get("Format/Datatype") or row.get("Format") or ""
    return _word(str(described))


def _word(described: str) -> str:
    return next((name for name, words in _TYPES if words.search(described)), "Float")
