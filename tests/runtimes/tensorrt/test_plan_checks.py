from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.networks.parts import parts_by_role
from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor
from edge_convnext.runtimes.tensorrt.plan_checks import check_kernels, only_moves

BLOCK = "stages.0.blocks.0"


def kernel(node, name="conv", kind="correlation", reads="Half", weights="Half"):
    return Kernel(
        name=name,
        kind=kind,
        inputs=(KernelTensor("x", (1, 8), reads),),
        constants=(KernelTensor("w", (8, 8), weights),),
        outputs=(KernelTensor("y", (1, 8), "Half"),),
        nodes=(node,),
    )


GOOD = (
    kernel("stem.conv/Conv", "__myl_MoveTran_myl0_0", "kgen"),  # pixels may be moved
    kernel(f"{BLOCK}.dwconv/Conv"),
    kernel(f"{BLOCK}.pwconv1/MatMul", kind="gemm", reads="Int8", weights="Int8"),
    kernel(f"{BLOCK}.grn/Mul", "__myl_CastMulTran_myl0_4", "kgen"),  # computes as well
)


def test_an_engine_as_it_was_planned_has_nothing_to_say():
    assert check_kernels(GOOD, 1, PARTS) == ()
    assert check_kernels((), 0, PARTS) == ()


def test_what_an_engine_should_not_have_is_counted():
    assert check_kernels(GOOD, 2, PARTS) == ("INT8 kernels: 1 for 2 quantized operations",)
    padded = kernel(f"{BLOCK}.dwconv/Conv", reads="Int8", weights="Int8")
    assert check_kernels((*GOOD, padded), 2, PARTS) == (
        "depthwise convolutions in INT8, padded to 4 channels a group: 1",
    )
    moved = kernel(f"{BLOCK}.pwconv2/Conv", "__myl_CastTran_myl0_5", "kgen")
    reformatted = kernel(f"{BLOCK}.pwconv2/Conv", "Reformatting", "reformat")
    assert only_moves(moved)
    assert check_kernels((*GOOD, moved, reformatted), 1, PARTS) == (
        "kernels inside blocks that only move values: 2",
    )


def test_depthwise_convolutions_of_any_network_are_told_by_their_role():
    parts = parts_by_role({"a": ("depthwise", 2), "b": ("pointwise", 2)})
    kernels = [kernel(name, reads="Int8", weights="Int8") for name in ("a", "b")]
    assert check_kernels(kernels, 2, parts) == (
        "depthwise convolutions in INT8, padded to 4 channels a group: 1",
    )
