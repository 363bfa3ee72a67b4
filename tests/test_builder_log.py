from edge_convnext.builder_log import parse_kernels

FLOAT = (
    "{ Name: t, Dimensions: [-1,40,56,56], Strides: [1,2,3,4], StrideOrder: [3,0,2,1], "
    "Datatype: Float, Format: (NHWC) Channel major format }"
)
INT8 = FLOAT.replace("Float", "Int8")


def line(name, kind, inputs, constants, outputs):
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [ {', '.join(inputs)}], "
        f"Constants: [ {', '.join(constants)}], Outputs: [ {', '.join(outputs)}], "
        "TacticName: __myelin_CASK_STUB, StreamId: 0, "
        "Metadata: [ONNX Layer: head.fc/Inputs: [x], Constants: [y]]"
    )


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
    assert kernels[1].input_types == ("Int8",)
    assert kernels[1].constant_types == ("Int8", "Float")
    assert kernels[1].output_types == ("Float",)


def test_only_products_with_int8_activations_count_as_int8():
    counted = [kernel.name for kernel in parse_kernels(LOG) if kernel.multiplies_int8]
    assert counted == ["stem.conv/node", "computed weights", "generated matvec"]


def test_a_log_without_layers_gives_no_kernels():
    assert parse_kernels("Engine generation completed in 0.9 seconds.\nLayers:\n") == ()
