import numpy as np
import pytest
from support.one_operation import assert_same, both_ways, normal

from edge_convnext.core.errors import UntrainableError

MAP = normal(2, 4, 7, 9)


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((6, 4, 3, 3), {}),
        ((6, 4, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ((6, 4, 3, 3), {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
        ((6, 4, 3, 3), {"pads": [0, 1, 2, 1]}),
        ((6, 4, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ((6, 4, 2, 2), {"auto_pad": "SAME_LOWER"}),
        ((4, 1, 3, 3), {"group": 4}),
        ((6, 2, 1, 1), {"group": 2}),
    ],
)
@pytest.mark.parametrize("biased", [True, False])
def test_a_convolution(shape, attributes, biased):
    bias = [normal(shape[0])] if biased else []
    assert_same("Conv", MAP, normal(*shape), *bias, **attributes)


def test_a_convolution_over_one_axis():
    assert_same("Conv", normal(2, 1, 16), normal(1, 1, 3), pads=[1, 1])


def test_a_transposed_convolution():
    assert_same(
        "ConvTranspose", MAP, normal(4, 3, 2, 2), normal(3), strides=[2, 2], pads=[1, 1, 1, 1]
    )
    with pytest.raises(UntrainableError, match="whose padding is not symmetric"):
        both_ways("ConvTranspose", MAP, normal(4, 3, 2, 2), pads=[0, 0, 1, 1])


@pytest.mark.parametrize(
    ("weight", "bias", "attributes"),
    [
        ((4, 6), (6,), {}),
        ((6, 4), (6,), {"transB": 1}),
        ((4, 6), (1, 6), {"alpha": 0.5, "beta": 2.0}),
        ((4, 6), None, {}),
    ],
)
def test_a_gemm(weight, bias, attributes):
    constants = [] if bias is None else [normal(*bias)]
    assert_same("Gemm", normal(3, 4), normal(*weight), *constants, **attributes)


def test_the_left_factor_may_be_transposed():
    assert_same("Gemm", normal(4, 3), normal(4, 6), np.float32(1), transA=1)
    assert_same("MatMul", normal(2, 3, 4), normal(4, 5))
