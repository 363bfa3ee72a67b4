from __future__ import annotations

import pytest
from support.kernel_lines import FLOAT, FUSED, INT8, line

from edge_convnext.runtimes.tensorrt.builder_log import parse_kernels

LOG = "\n".join(
    [
        "Engine generation completed in 0.9 seconds.",
        "Layers:",
        "Name: __mye1_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], "
        "TacticName: , StreamId: 0, Metadata: ",
        line("quantize", "kgen", [FLOAT], [FLOAT], [INT8]),
        line("stem.conv/node", "correlation", [INT8], [INT8, FLOAT], [FLOAT]),
        line("dequantize", "kgen", [INT8], [FLOAT], [FLOAT]),
        line("dwconv", "correlation", [FLOAT], [FLOAT], [FLOAT]),
        line("computed weights", "gemm", [INT8, INT8], [], [FLOAT]),
        line("generated matvec", "kgen", [INT8], [INT8], [FLOAT]),
        "",
        "I/O Tensors:",
        " Name: images, IOMode: Input, DataType: Float, Dimensions: [-1,3,224,224]",
    ]
)


def test_kernels_are_read_in_order_with_their_types():
    kernels = parse_kernels(LOG)
    assert [kernel.name for kernel in kernels] == [
        "quantize",
        "stem.conv/node",
        "dequantize",
        "dwconv",
        "computed weights",
        "generated matvec",
    ]
    assert kernels[1].kind == "correlation"
    assert [tensor.dtype for tensor in kernels[1].inputs] == ["Int8"]
    assert [tensor.dtype for tensor in kernels[1].constants] == ["Int8", "Float"]
    assert [tensor.dtype for tensor in kernels[1].outputs] == ["Float"]


def test_a_kernel_knows_its_tensors_its_bytes_and_the_nodes_it_computes():
    (kernel,) = parse_kernels(FUSED)
    assert [tensor.shape for tensor in kernel.inputs] == [(3136, 40)]
    assert [tensor.shape for tensor in kernel.constants] == [(40, 160), (1, 160)]
    assert kernel.activation_bytes == 2 * 3136 * (40 + 160)
    assert kernel.weight_bytes == 2 * 41 * 160
    assert kernel.nodes == (
        "stages.0.blocks.0.act/Gelu",
        "stages.0.blocks.0.pwconv1/Add",
        "stages.0.blocks.0.pwconv1/MatMul",
    )


def test_a_tensor_that_a_kernel_reads_twice_counts_once():
    (kernel,) = parse_kernels(line("square", "kgen", [FLOAT, FLOAT], [], [FLOAT]))
    assert kernel.activation_bytes == 4 * 40 * 56 * 56


def test_only_products_with_int8_activations_count_as_int8():
    counted = [kernel.name for kernel in parse_kernels(LOG) if kernel.multiplies_int8]
    assert counted == ["stem.conv/node", "computed weights", "generated matvec"]


def test_a_log_without_layers_gives_no_kernels():
    assert parse_kernels("Engine generation completed in 0.9 seconds.\nLayers:\n") == ()


@pytest.mark.parametrize(("kind", "multiplies"), [("maxpool", False), ("correlation", True)])
def test_a_pool_of_int8_values_multiplies_nothing(kind, multiplies):
    (kernel,) = parse_kernels(line("__mye1_pooling_myl0_3", kind, [INT8], [FLOAT], [INT8]))
    assert kernel.multiplies_int8 == multiplies
