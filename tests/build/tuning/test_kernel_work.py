import pytest
from support.modelled_kernels import (
    DEPTHWISE,
    GEMM,
    INT8_GEMM,
    PATCH,
    REDUCE,
    RESIDUAL,
    kernel,
    tensor,
)

from edge_convnext.build.tuning.kernel_work import Work, count_work

BATCHED = kernel(
    "gemm",
    [tensor("x", 8, 196, 640, dtype="Int8"), tensor("w", 8, 640, 160, dtype="Int8")],
    [],
    [tensor("y", 8, 196, 160)],
)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (GEMM, Work(0, 2 * 3136 * 40 * 160, (0 + 1 + 4 + 1 + 20 + 1 + 1 + 1 + 1) * 3136 * 160)),
        (INT8_GEMM, Work(2 * 3136 * 40 * 160, 0, 0)),
        (DEPTHWISE, Work(0, 0, 2 * 40 * 3136 * 49)),
        (RESIDUAL, Work(0, 2 * 3136 * 40 * 160, 0)),
        (BATCHED, Work(2 * 8 * 196 * 640 * 160, 0, 0)),
        (PATCH, Work(0, 2 * 784 * 80 * 40 * 4, 0)),
        (REDUCE, Work(0, 0, (1 + 1 + 1 + 1 + 4) * 3136 * 160)),
    ],
)
def test_operations_are_counted_from_shapes(one, expected):
    assert count_work(one) == expected
