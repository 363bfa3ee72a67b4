"""What an engine's kernels must be for its plan to be worth what it was chosen for.

TensorRT chooses for itself what it fuses, and another version may choose otherwise: an engine
that no longer is what was measured still runs, so what is found here is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_convnext.networks.parts import Parts
from edge_convnext.runtimes.tensorrt.builder_log import Kernel

__all__ = ["check_kernels", "only_moves"]

# Words in the name of a generated kernel for what moves values, or only changes their type.
_MOVES = frozenset({"Cast", "Conc", "Move", "Repl", "Resh", "Slic", "Tran"})
_STEPS = re.compile(r"[A-Z][a-z]+")
_REFORMAT_KINDS = frozenset({"reformat", "shuffle", "copy"})


def check_kernels(kernels: Sequence[Kernel], quantized_ops: int, parts: Parts) -> tuple[str, ...]:
    """Compare the kernels of an engine with what its graph asked for.

    Args:
        kernels: From the builder's log.
        quantized_ops: Convolutions and matrix products of the graph that read INT8.
        parts: Of the network's family.

    Returns:
        What is not so, a clause each; empty for an engine as it was planned.
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
    """Whether a kernel computes nothing: it transposes, copies, or changes types."""
    if kernel.kind in _REFORMAT_KINDS:
        return True
    steps = set(_STEPS.findall(kernel.name.split("_myl0")[0]))
    return kernel.kind == "kgen" and bool(steps) and steps <= _MOVES
