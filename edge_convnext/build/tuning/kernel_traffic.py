"""The source of each kernel's bytes: memory, or the L2 cache.

A plan is walked through twice in launch order, with a cache that drops the least recently used
tensor. The second walk counts, as on a board that runs one inference after another. A tensor
that was read for the last time leaves at once, because the next kernel writes into its buffer.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.runtimes.tensorrt.builder_log import Kernel

__all__ = ["Traffic", "find_traffic"]

_WALKS = 2


@dataclass(frozen=True)
class Traffic:
    """Bytes of one launch; a tensor that the kernel names twice counts once."""

    memory_bytes: int
    cache_bytes: int


def find_traffic(kernels: Sequence[Kernel], l2_bytes: int) -> tuple[Traffic, ...]:
    """Split the bytes of every kernel between memory and cache.

    A tensor is in the cache whole or not at all; one that is larger than the cache never is.
    A written tensor stays there, and goes to memory if it has to leave before it was read.

    Args:
        kernels: Kernels of one plan, in launch order.
        l2_bytes: Size of the cache; 0 means no cache.
    """
    last_read = {one.name: at for at, kernel in enumerate(kernels) for one in kernel.inputs}
    cache = _Cache(l2_bytes)
    found: list[Traffic] = []
    for _ in range(_WALKS):
        found = []
        for at, kernel in enumerate(kernels):
            written = {one.name: one.size_bytes for one in kernel.outputs}
            read = {one.name: one.size_bytes for one in (*kernel.inputs, *kernel.constants)}
            read = {name: size for name, size in read.items() if name not in written}
            memory = sum(size for name, size in read.items() if not cache.touch(name))
            for name, size in read.items():
                memory += cache.hold(name, size, changed=False)
            for name, size in written.items():
                memory += cache.hold(name, size, changed=True)
                memory += 0 if size <= l2_bytes else size
            total = kernel.activation_bytes + kernel.weight_bytes
            found.append(Traffic(memory, max(total - memory, 0)))
            for one in kernel.inputs:
                if last_read[one.name] == at:
                    cache.drop(one.name)
    return tuple(found)


class _Cache:
    """A cache of whole tensors, the least recently used first."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.used_bytes = 0
        self.held: OrderedDict[str, tuple[int, bool]] = OrderedDict()  # bytes, not in memory yet

    def touch(self, name: str) -> bool:
        """Whether a tensor is in the cache; if so, it is now the most recently used."""
        if name not in self.held:
            return False
        self.held.move_to_end(name)
        return True

    def hold(self, name: str, size: int, *, changed: bool) -> int:
        """Add a tensor; return the bytes that had to be written to memory to make room."""
        if name in self.held or size > self.size_bytes:
            return 0
        self.held[name] = (size, changed)
        self.used_bytes += size
        spilled = 0
        while self.used_bytes > self.size_bytes:
            gone = next(iter(self.held))
            spilled += self.held[gone][0] if self.held[gone][1] else 0
            self.drop(gone)
        return spilled

    def drop(self, name: str) -> None:
        size, _ = self.held.pop(name, (0, False))
        self.used_bytes -= size
