"""Steps of a graph that may be laid out anew, and what each of its maps is.

A map is one value, in whichever layout and under whichever names it stands in the graph. A
Transpose that only changes its layout is no step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.graph.file import read_opset
from edge_convnext.graph.layouts import PERMS, Layout, Maps, Stance, stance, turning
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.structure import integers, read_structure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

__all__ = ["Pointwise", "Step", "Steps"]


@dataclass(frozen=True)
class Pointwise:
    """A product over the channels of a map, of one node or of several that belong together."""

    nodes: tuple[NodeProto, ...]  # in the graph's order
    layout: Layout  # of its maps where it stands
    stance: Stance  # `last`: it becomes a matrix product; `either`: what needs fewer Transposes
    weight: str  # names of constants
    bias: str | None
    matrix: NDArray[np.float32]  # [inputs, outputs]
    row: NDArray[np.float32] | None  # [outputs]

    @property
    def output(self) -> str:
        """What it makes, its bias included."""
        return str(self.nodes[-1].output[0])


@dataclass(frozen=True)
class Step:
    """An operation, or a product of one or several nodes, and how it may be written."""

    node: NodeProto
    product: Pointwise | None
    stance: Stance
    layout: Layout  # where it stands

    @property
    def reads(self) -> Sequence[str]:
        """Its inputs; of a product, the map alone."""
        return self.node.input[:1] if self.product else self.node.input

    @property
    def makes(self) -> Sequence[str]:
        """Its outputs; of a product, the one behind its bias."""
        return [self.product.output] if self.product else self.node.output


class Steps:
    """Steps of a graph, and what each map is: Transposes between layouts are no steps."""

    def __init__(self, proto: ModelProto, products: Sequence[Pointwise]) -> None:
        seen = read_structure(proto)
        self.maps = Maps(seen, Wiring(proto), read_opset(proto), {})
        self.outputs = [value.name for value in proto.graph.output]
        self.homes: dict[str, str] = {}  # the first name of a map in any layout
        self.steps: list[Step] = []
        for value in proto.graph.input:
            self._add(value.name, "first")
        begins = {one.nodes[0].output[0]: one for one in products}
        parts: dict[str, Pointwise] = {}  # of a product, by what each of its nodes makes
        for node in proto.graph.node:
            (made, *_) = node.output
            product = begins.get(made)
            if product is not None and self.maps.layouts.get(node.input[0]) == product.layout:
                parts |= {one.output[0]: product for one in product.nodes}
            if (product := parts.get(made)) is not None:
                if made == product.output:
                    self._take(Step(product.nodes[0], product, product.stance, product.layout))
            elif (after := turning(self.maps, node)) is not None:
                self.homes[made] = self.homes[node.input[0]]
                self.maps.layouts[made] = after
            else:
                self._take(Step(node, None, *stance(self.maps, node)))

    def _take(self, step: Step) -> None:
        self.steps.append(step)
        for name in step.makes:
            self._add(name, self._guess(name) if step.stance == "written" else step.layout)

    def _add(self, name: str, layout: Layout) -> None:
        if self.maps.is_map(name):
            self.homes[name], self.maps.layouts[name] = name, layout

    def _guess(self, name: str) -> Layout:
        """Of a map that is made of something else, such as tokens: what its readers need."""
        for node in self.maps.seen.readers.get(name, ()):
            if node.op_type == "Transpose" and integers(node, "perm") == tuple(PERMS["first"]):
                return "last"
            matrix = self.maps.wiring.constants.get(node.input[-1])
            if node.op_type == "MatMul" and matrix is not None and len(matrix.dims) == 2:
                return "last"
        return "first"
