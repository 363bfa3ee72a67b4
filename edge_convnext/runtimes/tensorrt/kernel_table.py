"""The kernels of an engine by part of the network: launches, and bytes moved.

An engine that was built ahead of time was never run, so there are no times. Launches and bytes are
all that its plan shows about its speed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.parts import PLAIN, ROLES, Parts, part_of_nodes, parts_by_role
from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "KernelGroup",
    "group_kernels",
    "kernel_fields",
    "kernels_from_rows",
    "part_of_kernel",
    "parts_of",
    "read_kernels",
    "read_parts",
]


@dataclass(frozen=True)
class KernelGroup:
    """All kernels of one part of the network."""

    part: str
    kernels: int
    int8_kernels: int  # convolutions and matrix products that read INT8
    activation_bytes: int  # bytes read and written; each tensor of a kernel counts once
    weight_bytes: int
    kinds: tuple[tuple[str, int], ...]  # kind with the types read and written, and the count


def part_of_kernel(kernel: Kernel, parts: Parts) -> str:
    """Return the part of the network that a kernel counts for: its product's, if it has one."""
    return part_of_nodes(kernel.nodes, parts)


def group_kernels(kernels: Sequence[Kernel], parts: Parts) -> tuple[KernelGroup, ...]:
    """Sum up kernels by part, in the order of `parts`; parts without kernels are left out."""
    groups = []
    for part in parts.names:
        own = [kernel for kernel in kernels if part_of_kernel(kernel, parts) == part]
        if own:
            groups.append(
                KernelGroup(
                    part=part,
                    kernels=len(own),
                    int8_kernels=sum(kernel.multiplies_int8 for kernel in own),
                    activation_bytes=sum(kernel.activation_bytes for kernel in own),
                    weight_bytes=sum(kernel.weight_bytes for kernel in own),
                    kinds=tuple(Counter(_kind(kernel) for kernel in own).most_common()),
                )
            )
    return tuple(groups)


def kernel_fields(kernel: Kernel, parts: Parts) -> dict[str, Any]:
    """Turn a kernel into plain values, with its part and bytes; `read_kernels` is the inverse."""
    return {
        **asdict(kernel),
        "part": part_of_kernel(kernel, parts),
        "multiplies_int8": kernel.multiplies_int8,
        "activation_bytes": kernel.activation_bytes,
        "weight_bytes": kernel.weight_bytes,
    }


def parts_of(metadata: Mapping[str, Any] | None) -> Parts:
    """Return the parts that an engine's kernels are grouped by.

    Args:
        metadata: This package's metadata of the graph that the engine was built from. With None,
            only quantizers are distinguished.
    """
    model = (metadata or {}).get("model")
    if not isinstance(model, str):
        return PLAIN
    try:
        return family_of_model(model).parts
    except RecipeError:  # a sidecar may name anything
        return PLAIN


def read_parts(path: Path) -> Parts:
    """Return the parts of an engine, by its sidecar, which `read_kernels` has checked.

    Args:
        path: The engine's JSON file (`sidecar.sidecar_path`).
    """
    facts = json.loads(read_text_bounded(path))
    metadata = facts.get("model")
    parts = parts_of(metadata if isinstance(metadata, dict) else None)
    return _parts_of_rows(facts["kernel_table"]) if parts.by_role else parts


_SHOWN = re.compile(r"(?:stage (?P<stage>[1-9][0-9]?) )?(?P<role>[a-z]+)")


def _parts_of_rows(rows: Sequence[dict[str, Any]]) -> Parts:
    """Roles, as the builder wrote them beside each kernel: the graph itself is not here."""
    found: dict[str, tuple[str, int | None]] = {}
    for row in rows:
        shown = _SHOWN.fullmatch(str(row.get("part")))
        if shown is not None and shown["role"] in ROLES:
            stage = int(shown["stage"]) - 1 if shown["stage"] else None
            found.update(dict.fromkeys(map(_text, row["nodes"]), (shown["role"], stage)))
    return parts_by_role(found)


def read_kernels(path: Path) -> tuple[Kernel, ...]:
    """Read the kernels of an engine from its sidecar.

    Args:
        path: The engine's JSON file (`sidecar.sidecar_path`).

    Returns:
        The kernels, in launch order.

    Raises:
        ArtifactError: The file is missing, damaged, or from a version that recorded no kernels.
    """
    try:
        fields = json.loads(read_text_bounded(path))
        kernels = kernels_from_rows(fields["kernel_table"])
        group_kernels(kernels, PLAIN)  # a type that no builder writes has no size
    except OSError as error:
        raise ArtifactError(
            f"{path}: {error.strerror}; an engine's kernels are in the JSON file next to it: keep "
            "the two together"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: damaged, or without a table of kernels; build the engine again"
        ) from error
    return kernels


def kernels_from_rows(rows: Sequence[dict[str, Any]]) -> tuple[Kernel, ...]:
    """Read kernels from the plain values that `kernel_fields` wrote.

    Raises:
        KeyError, TypeError: The rows are not from `kernel_fields`.
    """
    return tuple(
        Kernel(
            name=_text(one["name"]),
            kind=_text(one["kind"]),
            inputs=_tensors(one["inputs"]),
            constants=_tensors(one["constants"]),
            outputs=_tensors(one["outputs"]),
            nodes=tuple(map(_text, one["nodes"])),
        )
        for one in rows
    )


def _tensors(rows: Sequence[dict[str, Any]]) -> tuple[KernelTensor, ...]:
    return tuple(
        KernelTensor(_text(row["name"]), tuple(map(_size, row["shape"])), _text(row["dtype"]))
        for row in rows
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _size(value: object) -> int:
    if not isinstance(value, int) or not -1 <= value < 1 << 31:
        raise TypeError("not the size of a dimension")
    return value


def _kind(kernel: Kernel) -> str:
    """Name a kernel's kind with its types, such as `gemm Int8 -> Half`."""
    reads = "+".join(sorted({tensor.dtype for tensor in kernel.inputs}))
    writes = "+".join(sorted({tensor.dtype for tensor in kernel.outputs}))
    return f"{kernel.kind} {reads} -> {writes}"
