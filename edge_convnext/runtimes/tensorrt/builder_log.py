"""Read the kernels of an engine from the verbose log of TensorRT for RTX.

A built engine can be inspected only on a GPU, but its builder's log can be read anywhere. With
`ProfilingVerbosity.DETAILED` the log ends with one line per kernel:

    Name: …, LayerType: gemm, Inputs: [ { Name: …, Dimensions: [1,40], …, Datatype: Int8, … }],
    Constants: […], Outputs: […], …, Metadata: [ONNX Layer: …]␟[ONNX Layer: …]

where ␟ is the unit separator, U+001F.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Kernel", "KernelTensor", "parse_kernels"]

_KERNEL = re.compile(
    r"^Name: (?P<name>.+?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: \[(?P<constants>.*?)\], Outputs: \[(?P<outputs>.*?)\], TacticName:"
    r"(?:.*?, Metadata: (?P<metadata>.*))?",
    re.MULTILINE,
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.+?), Dimensions: \[(?P<shape>[-\d,]*)\],.*?\bDatatype: (?P<dtype>\w+)"
)
_NODE = re.compile(r"\[ONNX Layer: (.+?)\](?=[\x1f\[]|$)")

_SHAPE_CALL = "shape_call"  # computes dimensions on the host
_GENERATED = "kgen"  # elementwise work and reductions, fused and compiled
_INT8 = "Int8"
_BYTES = {
    "Float": 4, "Half": 2, "BFloat16": 2, "Int64": 8, "Int32": 4, "Int8": 1, "UInt8": 1,
    "Bool": 1, "FP8": 1,
}  # fmt: skip


@dataclass(frozen=True)
class KernelTensor:
    """A tensor that a kernel reads or writes."""

    name: str  # the builder's name
    shape: tuple[int, ...]  # -1 for a dimension that is known only at run time
    dtype: str  # the builder's word: `Int8`, `Half`, `Float`

    @property
    def size_bytes(self) -> int:
        """Size of its elements; a dimension that is not known counts as 1."""
        if self.dtype not in _BYTES:
            raise ValueError(f"the builder's log has a type of unknown size: {self.dtype}")
        return math.prod(max(size, 1) for size in self.shape) * _BYTES[self.dtype]


@dataclass(frozen=True)
class Kernel:
    """One launch on the GPU.

    `kind` is the builder's word: `gemm`, `correlation` (a convolution), `kgen` (fused
    elementwise work and reductions), `runtime_fusion` (compiled on the device).
    """

    name: str
    kind: str
    inputs: tuple[KernelTensor, ...]
    constants: tuple[KernelTensor, ...]
    outputs: tuple[KernelTensor, ...]
    nodes: tuple[str, ...]  # ONNX nodes that it computes, each completely or in part

    @property
    def activation_bytes(self) -> int:
        """Size of each distinct tensor that it reads or writes; caches are not considered."""
        return _distinct_bytes((*self.inputs, *self.outputs))

    @property
    def weight_bytes(self) -> int:
        """Size of the constants that it reads."""
        return _distinct_bytes(self.constants)

    @property
    def multiplies_int8(self) -> bool:
        """True for a convolution or matrix product that reads INT8 activations.

        Elementwise kernels that dequantize read INT8 too, but have no INT8 weights. A pool of INT8
        values multiplies nothing.
        """
        if _INT8 not in {tensor.dtype for tensor in self.inputs} or "pool" in self.kind:
            return False
        return self.kind != _GENERATED or _INT8 in {tensor.dtype for tensor in self.constants}


def parse_kernels(log: str) -> tuple[Kernel, ...]:
    """Find the kernels in a verbose builder log, in launch order.

    Args:
        log: The builder's messages, one per line.

    Returns:
        The kernels, except those that only compute shapes; empty if the log lists none.
    """
    return tuple(
        Kernel(
            name=match["name"],
            kind=match["kind"],
            inputs=_tensors(match["inputs"]),
            constants=_tensors(match["constants"]),
            outputs=_tensors(match["outputs"]),
            nodes=tuple(_NODE.findall(match["metadata"] or "")),
        )
        for match in _KERNEL.finditer(log)
        if match["kind"] != _SHAPE_CALL
    )


def _tensors(text: str) -> tuple[KernelTensor, ...]:
    return tuple(
        KernelTensor(
            match["name"],
            tuple(int(size) for size in match["shape"].split(",") if size),
            match["dtype"],
        )
        for match in _TENSOR.finditer(text)
    )


def _distinct_bytes(tensors: Iterable[KernelTensor]) -> int:
    return sum({tensor.name: tensor.size_bytes for tensor in tensors}.values())
