"""Operations of a kernel by the unit that does them, computed from its shapes alone.

A product has as many multiply-accumulates as outputs times inputs of each output. Elementwise
work is counted by the steps in a generated kernel's name (`FcAddDivCastErfCastAddMulMul`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.graph.structure import PRODUCTS

if TYPE_CHECKING:
    from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor

__all__ = ["Work", "count_work"]

_GENERATED_NAME = re.compile(r"^__myl_([A-Za-z]+)_myl")
_STEP = re.compile("[A-Z][a-z]*")
# Instructions of a step per element: an assumption. Products are counted separately.
_STEP_OPS = {"Fc": 0, "Conv": 0, "Gemm": 0, "Erf": 20, "Div": 4, "Sqrt": 4, "Rsqr": 4}


@dataclass(frozen=True)
class Work:
    """Operations of one launch; a multiply-accumulate is two."""

    int8_ops: int  # on tensor cores
    fp16_ops: int  # on tensor cores
    core_ops: int  # on CUDA cores: depthwise convolutions, float32 products, elementwise steps

    @property
    def total_ops(self) -> int:
        """Operations of all units."""
        return self.int8_ops + self.fp16_ops + self.core_ops


def count_work(kernel: Kernel) -> Work:
    """Count the operations of a kernel.

    Tensor cores multiply INT8 and float16. A depthwise convolution has one input channel for
    each output, which leaves a tensor core nothing to add up, and counts for CUDA cores.
    """
    steps = _count_steps(kernel)
    weight = _find_weight(kernel)
    if weight is None:
        return Work(0, 0, steps)
    ops = 2 * _count_macs(kernel, weight)
    if _is_depthwise(weight) or weight.dtype not in ("Int8", "Half"):
        return Work(0, 0, ops + steps)
    if kernel.multiplies_int8:
        return Work(ops, 0, steps)
    return Work(0, ops, steps)


def _find_weight(kernel: Kernel) -> KernelTensor | None:
    """The second operand of a product; None for a kernel that is no product."""
    # Biases and scales have one dimension that is not 1, a depthwise weight three.
    constants = [one for one in kernel.constants if sum(size > 1 for size in one.shape) > 1]
    if kernel.kind == "kgen":  # a matrix times a vector, if it has INT8 weights
        wanted = kernel.multiplies_int8
    elif kernel.kind in ("gemm", "correlation"):
        wanted = True
    else:  # some fusions don't list the product they were made around
        operations = (node.rpartition("/")[2] for node in kernel.nodes)
        wanted = bool(constants) or any(name.startswith(tuple(PRODUCTS)) for name in operations)
    if not wanted:
        return None
    if constants:
        return max(constants, key=_elements)
    # The weight is computed: it is the second input; a third one is added to the product.
    return kernel.inputs[1] if len(kernel.inputs) > 1 else None


def _count_macs(kernel: Kernel, weight: KernelTensor) -> int:
    made = _elements(max(kernel.outputs, key=_elements))
    if len(weight.shape) == 4:  # [out, in, height, width]
        return made * math.prod(weight.shape[1:])
    rows, columns = weight.shape[-2:]  # [in, out], unless the output says otherwise
    shape = kernel.outputs[0].shape
    outputs = {shape[-1], shape[1] if len(shape) > 1 else 1}
    return made * (rows if columns in outputs else columns)


def _is_depthwise(weight: KernelTensor) -> bool:
    return len(weight.shape) == 4 and weight.shape[1] == 1 and math.prod(weight.shape[2:]) > 1


def _count_steps(kernel: Kernel) -> int:
    named = _GENERATED_NAME.match(kernel.name)
    if named is None:
        return 0
    each = sum(_STEP_OPS.get(step, 1) for step in _STEP.findall(named[1]))
    return each * max(map(_elements, (*kernel.inputs, *kernel.outputs)), default=0)


def _elements(tensor: KernelTensor) -> int:
    return math.prod(max(size, 1) for size in tensor.shape)
