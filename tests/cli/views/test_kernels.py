import io
from dataclasses import replace

from rich.console import Console
from support.kernel_lines import FUSED

from edge_convnext.cli.views.kernels import print_groups, print_kernels
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.runtimes.tensorrt.builder_log import parse_kernels
from edge_convnext.runtimes.tensorrt.kernel_table import KernelGroup

(KERNEL,) = parse_kernels(FUSED)


def printed(show, *arguments):
    console = Console(file=io.StringIO(), width=200, color_system=None)
    show(*arguments, console)
    return console.file.getvalue()


def test_parts_are_added_up_and_their_commonest_kinds_named():
    kinds = (("gemm", 4), ("kgen", 3), ("[b]x", 2), ("fourth", 1))
    groups = (
        KernelGroup("pwconv1", 10, 4, 1_500_000, 250_000, kinds),
        KernelGroup("head", 1, 1, 500_000, 750_000, (("gemm", 1),)),
    )
    lines = [" ".join(line.split()) for line in printed(print_groups, groups, "x[b]").splitlines()]
    assert lines[0] == "x[b]"
    assert lines[2:5] == [
        "pwconv1 10 4 1.50 0.25 4 gemm, 3 kgen, 2 [b]x, …",
        "head 1 1 0.50 0.75 1 gemm",
        "all 11 5 2.00 1.00",
    ]
    assert "gemm is a matrix product" in lines[5]


def test_kernels_are_told_in_the_order_of_launch():
    other = replace(KERNEL, kind="[red]kind\x1b", nodes=("head.fc/MatMul",))
    lines = printed(print_kernels, (KERNEL, other), PARTS).splitlines()
    first, second = (" ".join(line.split()) for line in lines[1:3])
    assert first.startswith("0 pwconv1 runtime_fusion Half[3136,40] Half[3136,160] ")
    size = (KERNEL.activation_bytes + KERNEL.weight_bytes) / 1e3
    assert f" {size:.0f} " in first
    assert second.startswith("1 head [red]kind ")
    assert second.endswith("head.fc/MatMul")
