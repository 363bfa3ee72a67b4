"""Check that an engine's kernels are those for which its plan was chosen.

TensorRT decides what it fuses, and another version may decide otherwise. Such an engine still runs,
but not as it was measured, so each finding is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_convnext.networks.parts import Parts
from edge_convnext.runtimes.tensorrt.builder_log import Kernel

__all__ = ["check_kernels", "only_moves"]

# Words in the name of a generated kernel for operations that move values or change their type.
_MOVES = frozenset({"Cast", "Conc", "Move", "Repl", "Resh", "Slic", "Tran"})
_STEPS = re.compile(r"[A-Z][a-z]+")
_REFORMAT_KINDS = frozenset({"reformat", "shuffle", "copy"})


def check_kernels(kernels: Sequence[Kernel], quantized_ops: int, parts: Parts) -> tuple[str, ...]:
    """Compare the kernels of an engine with the operations of its graph.

    Args:
        kernels: The kernels from the builder's log.
        quantized_ops: Number of convolutions and matrix products of the graph that read INT8.
        parts: The parts of the network's family.

    Returns:
        The differences, one clause each; empty for an engine as planned.
    """
    found = []
    int8 = sum(kernel.multiplies_int8 for kernel in kernels)
    if int8 != quantized_ops:
        found.append(f"INT8 kernels: {int8} for {quantized_ops} quantized operations")
    padded = [
        one for one in kernels if any(map(parts.is_depthwise, one.nodes)) and one.multiplies_int8
    ]
    if padded:
        found.append(f"depthwise convolutions in INT8, padded to 4 channels a group: {len(padded)}")
    movers = [one for one in kernels if any(map(parts.is_in_block, one.nodes)) and only_moves(one)]
    if movers:
        found.append(f"kernels inside blocks that only move values: {len(movers)}")
    return tuple(found)


def only_moves(kernel: Kernel) -> bool:
    """True if a kernel computes nothing: it transposes, copies, or changes types."""
    if kernel.kind in _REFORMAT_KINDS:
        return True
    steps = set(_STEPS.findall(kernel.name.split("_myl0")[0]))
    return kernel.kind == "kgen" and bool(steps) and steps <= _MOVES
