"""Lines of a builder's log, as TensorRT for RTX writes them."""

from __future__ import annotations

FLOAT = (
    "{ Name: t, Dimensions: [-1,40,56,56], Strides: [1,2,3,4], StrideOrder: [3,0,2,1], "
    "Datatype: Float, Format: (NHWC) Channel major format }"
)


def line(name, kind, inputs, constants, outputs):
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [ {', '.join(inputs)}], "
        f"Constants: [ {', '.join(constants)}], Outputs: [ {', '.join(outputs)}], "
        "TacticName: __myelin_CASK_STUB, StreamId: 0, "
        "Metadata: [ONNX Layer: head.fc/Inputs: [x], Constants: [y]]"
    )


# Of tensorrt-rtx 1.7.1, a GELU that is fused into its product; only the tactic is cut short.
FUSED = (
    "Name: __myl_FcAddDivCastErfCastAddMulMul_myl0_6, LayerType: runtime_fusion, Inputs: [ "
    "{ Name: stages.0.blocks.0.norm/Cast_1.1_myl0, Dimensions: [3136,40], Strides: [40,1], "
    "StrideOrder: [1,0], Datatype: Half, Format: (Linear) Row major linear format }], "
    "Constants: [ { Name: __mye59269_dconst_myl0, Dimensions: [40,160], Strides: [160,1], "
    "StrideOrder: [1,0], Datatype: Half, Format: (Linear) Row major linear format }, "
    "{ Name: __mye59862_reshape_myl0, Dimensions: [1,160], Strides: [160,1], StrideOrder: [1,0], "
    "Datatype: Half, Format: (Linear) Row major linear format }], Outputs: [ "
    "{ Name: __myln_k_arg__bb1_9_myl0, Dimensions: [3136,160], Strides: [160,1], "
    "StrideOrder: [1,0], Datatype: Half, Format: (Linear) Row major linear format }], "
    "TacticName: , StreamId: 0, Metadata: [ONNX Layer: stages.0.blocks.0.act/Gelu]\x1f"
    "[ONNX Layer: stages.0.blocks.0.pwconv1/Add]\x1f[ONNX Layer: stages.0.blocks.0.pwconv1/MatMul]"
)


INT8 = FLOAT.replace("Float", "Int8")
