"""Print tables of an engine's kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from edge_convnext.cli.views.tables import plain
from edge_convnext.runtimes.tensorrt.kernel_table import part_of_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from edge_convnext.networks.parts import Parts
    from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor
    from edge_convnext.runtimes.tensorrt.kernel_table import KernelGroup

__all__ = ["print_groups", "print_kernels"]

_MB = 1e6
_LONGEST = 3  # most kinds of kernels to show for one part


_LEGEND = (
    "kinds, in the builder's words: gemm is a matrix product, correlation a convolution, kgen "
    "fused elementwise work and reductions"
)


def print_groups(groups: Sequence[KernelGroup], title: str, console: Console) -> None:
    """Print kernels, bytes and kinds of each part, and their sum."""
    table = Table(title=_shown(title), box=None, title_justify="left")
    for column in ("part", "kernels", "INT8", "activations MB", "weights MB", "kinds"):
        left = column in ("part", "kinds")
        table.add_column(column, justify="left" if left else "right")
    for group in groups:
        kinds = [f"{count} {kind}" for kind, count in group.kinds[:_LONGEST]]
        more = ["…"] if len(group.kinds) > _LONGEST else []
        table.add_row(
            group.part,
            str(group.kernels),
            str(group.int8_kernels),
            f"{group.activation_bytes / _MB:.2f}",
            f"{group.weight_bytes / _MB:.2f}",
            _shown(", ".join(kinds + more)),
        )
    table.add_row(
        "all",
        str(sum(group.kernels for group in groups)),
        str(sum(group.int8_kernels for group in groups)),
        f"{sum(group.activation_bytes for group in groups) / _MB:.2f}",
        f"{sum(group.weight_bytes for group in groups) / _MB:.2f}",
        "",
    )
    console.print(table)
    console.print(_LEGEND, style="dim", highlight=False)


def print_kernels(kernels: Sequence[Kernel], parts: Parts, console: Console) -> None:
    """Print every kernel: part, kind, tensors it reads and writes, and nodes it computes."""
    table = Table(box=None)
    for column in ("#", "part", "kind", "reads", "writes", "kB", "nodes"):
        table.add_column(column, justify="right" if column in ("#", "kB") else "left")
    for number, kernel in enumerate(kernels):
        table.add_row(
            str(number),
            part_of_kernel(kernel, parts),
            _shown(kernel.kind),
            _shown(_describe(kernel.inputs)),
            _shown(_describe(kernel.outputs)),
            f"{(kernel.activation_bytes + kernel.weight_bytes) / 1e3:.0f}",
            _shown(", ".join(kernel.nodes)),
        )
    console.print(table)


def _describe(tensors: Sequence[KernelTensor]) -> str:
    """Types and shapes of tensors, such as `Half[1,56,56,160]`."""
    return " ".join(f"{one.dtype}[{','.join(map(str, one.shape))}]" for one in tensors)


def _shown(text: str) -> str:
    """A text of a sidecar, without markup and control characters."""
    return escape(plain(text))
