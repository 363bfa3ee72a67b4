"""Read the kernels of an engine from the verbose log of TensorRT for RTX.

A built engine can be inspected only on a GPU, its builder's log anywhere. With
`ProfilingVerbosity.DETAILED` the log ends with one line per kernel:

    Name: …, LayerType: gemm, Inputs: [ { …, Datatype: Int8, … }], Constants: […], Outputs: […], …
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Kernel", "parse_kernels"]

_KERNEL = re.compile(
    r"^Name: (?P<name>.+?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: \[(?P<constants>.*?)\], Outputs: \[(?P<outputs>.*?)\], TacticName:",
    re.MULTILINE,
)
_DATATYPE = re.compile(r"\bDatatype: (\w+)")

_SHAPE_CALL = "shape_call"  # computes dimensions on the host
_GENERATED = "kgen"  # elementwise work and reductions, fused and compiled
_INT8 = "Int8"


@dataclass(frozen=True)
class Kernel:
    """One launch on the GPU.

    `kind` is the builder's word: `gemm`, `correlation` (a convolution), `kgen` (fused
    elementwise work and reductions), `runtime_fusion` (compiled on the device). Types are the
    builder's too: `Int8`, `Half`, `Float`.
    """

    name: str
    kind: str
    input_types: tuple[str, ...]
    constant_types: tuple[str, ...]
    output_types: tuple[str, ...]

    @property
    def multiplies_int8(self) -> bool:
        """Whether it is a convolution or a matrix product that reads INT8 activations.

        Elementwise kernels that dequantize read INT8 as well, but hold no INT8 weights.
        """
        if _INT8 not in self.input_types:
            return False
        return self.kind != _GENERATED or _INT8 in self.constant_types


def parse_kernels(log: str) -> tuple[Kernel, ...]:
    """Find the kernels in a verbose builder log, in launch order.

    Args:
        log: The builder's messages, joined by line ends.

    Returns:
        Kernels without those that only compute shapes; empty when the log lists none.
    """
    return tuple(
        Kernel(
            name=match["name"],
            kind=match["kind"],
            input_types=tuple(_DATATYPE.findall(match["inputs"])),
            constant_types=tuple(_DATATYPE.findall(match["constants"])),
            output_types=tuple(_DATATYPE.findall(match["outputs"])),
        )
        for match in _KERNEL.finditer(log)
        if match["kind"] != _SHAPE_CALL
    )
