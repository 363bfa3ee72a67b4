"""Kernels and devices of the tests of the cost model."""

from dataclasses import replace

from edge_convnext.build.tuning.cost_model import (
    Gpu,
)
from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor


def tensor(name, *shape, dtype="Half"):
    return KernelTensor(name, shape, dtype)


def kernel(kind, inputs, constants, outputs, name="stem.conv/Conv", nodes=()):
    return Kernel(name, kind, tuple(inputs), tuple(constants), tuple(outputs), tuple(nodes))


GEMM = kernel(
    "runtime_fusion",
    [tensor("x", 3136, 40)],
    [tensor("w", 40, 160), tensor("b", 1, 160)],
    [tensor("y", 3136, 160)],
    name="__myl_FcAddDivCastErfCastAddMulMul_myl0_6",
    nodes=["stages.0.blocks.0.pwconv1/MatMul"],
)


INT8_GEMM = kernel(
    "gemm",
    [tensor("x", 3136, 40, dtype="Int8")],
    [tensor("w", 40, 160, dtype="Int8"), tensor("alpha", 1, dtype="Float")],
    [tensor("y", 3136, 160)],
)


DEPTHWISE = kernel(
    "correlation",
    [tensor("x", 1, 40, 56, 56)],
    [tensor("w", 40, 1, 7, 7), tensor("b", 1, 40, 1, 1)],
    [tensor("y", 1, 40, 56, 56)],
)


RESIDUAL = kernel(  # with a weight that GRN scaled, and what is added to the result
    "correlation",
    [tensor("x", 1, 160, 56, 56), tensor("w", 40, 160, 1, 1), tensor("r", 1, 40, 56, 56)],
    [tensor("b", 1, 40, 1, 1)],
    [tensor("y", 1, 40, 56, 56)],
)


PATCH = kernel(
    "correlation",
    [tensor("x", 1, 40, 56, 56)],
    [tensor("w", 80, 40, 2, 2)],
    [tensor("y", 1, 80, 28, 28)],
)


REDUCE = kernel(
    "kgen",
    [tensor("y", 3136, 160)],
    [],
    [tensor("n", 1, 1, 1, 160, dtype="Float")],
    name="__myl_CastMulReshSumSqrt_myl0_7",
    nodes=["stages.0.blocks.0.grn/ReduceL2", "stages.0.blocks.0.pwconv1/MatMul"],
)


# 100 GB/s, 10 INT8 TOPS, 5 FP16 TFLOPS, 1 FP32 TFLOPS, no cache that is known of.
GPU = Gpu("made up", "8.6", 100.0, 10.0, 1.0, None)


def repeat(one, count, scale=1):
    """Kernels whose tensors are all different ones."""

    def renamed(tensors, at):
        return tuple(
            replace(each, name=f"{each.name}{at}", shape=(scale * each.shape[0], *each.shape[1:]))
            for each in tensors
        )

    return [
        replace(one, inputs=renamed(one.inputs, at), outputs=renamed(one.outputs, at))
        for at in range(count)
    ]


PLANS = [
    repeat(REDUCE, 60),
    repeat(GEMM, 20, scale=8),
    repeat(DEPTHWISE, 30),
    repeat(INT8_GEMM, 40, scale=2),
    [*repeat(REDUCE, 10, scale=16), *repeat(RESIDUAL, 5)],
    repeat(PATCH, 90),
]
