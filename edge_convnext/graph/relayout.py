"""Write a graph with some products in another form, and with the fewest Transposes around them.

A product is a convolution of 1x1 on [N, C, H, W], or a matrix product on [N, H, W, C]. Each
operation between products may work in either layout (`layouts`). Which one it gets is the cheapest
cut between those that need the channels first and those that need them last, where a Transpose
costs the numbers that it moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.file import copy_message
from edge_convnext.graph.layout_steps import Pointwise, Step, Steps
from edge_convnext.graph.layouts import PERMS, Layout, other, turn
from edge_convnext.graph.least_cut import Pipes
from edge_convnext.graph.qdq import drop_unread_constants

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

__all__ = ["relayout"]

_CALL = 1024  # numbers: what running a Transpose costs beside what it moves
_SOURCE, _SINK = 0, 1  # channels first, channels last


def relayout(proto: ModelProto, products: Sequence[Pointwise]) -> ModelProto:
    """A graph of the same function in which each product has the form of the layout it works in.

    Args:
        proto: Float graph; it is left as it is.
        products: Products of it, in its order, whose form may change.
    """
    reading = Steps(proto, products)
    labels = _choose(reading)
    made = copy_message(proto)
    if not any(
        step.product and step.product.layout != layout
        for step, layout in zip(reading.steps, labels, strict=True)
    ):
        return made
    del made.graph.node[:]
    writer = _Writer(made, reading)
    for step, layout in zip(reading.steps, labels, strict=True):
        writer.write(step, layout)
    writer.finish()
    drop_unread_constants(made)
    made.graph.ClearField("value_info")
    return made


def _choose(reading: Steps) -> list[Layout]:
    """The layout that each step works in."""
    pipes = Pipes()
    vertices: list[int] = []
    makers: dict[str, int] = {}  # by map
    layouts, homes = reading.maps.layouts, reading.homes
    for home in homes.values():
        makers[home] = _end(layouts[home])
    readers: dict[str, list[int]] = {}
    for step in reading.steps:
        vertex = pipes.vertex() if step.stance == "either" else _end(_needed(step))
        vertices.append(vertex)
        for name in step.reads:
            if name in homes and step.stance != "any":
                own = _end(layouts[name]) if step.stance == "written" else vertex
                readers.setdefault(homes[name], []).append(own)
        if step.stance != "written":
            makers.update({name: vertex for name in step.makes if name in homes})
    for name in reading.outputs:
        if name in homes:
            readers.setdefault(homes[name], []).append(_end(layouts[name]))
    for home, found in readers.items():
        sizes = [max(size, 1) for size in reading.maps.seen.shape(home)]
        _join(pipes, makers[home], found, int(np.prod(sizes)) + _CALL)
    last = pipes.sink_side()
    return ["last" if vertex in last else "first" for vertex in vertices]


def _needed(step: Step) -> Layout:
    return "last" if step.stance == "last" else step.layout


def _end(layout: Layout) -> int:
    return _SOURCE if layout == "first" else _SINK


def _join(pipes: Pipes, maker: int, readers: Sequence[int], cost: int) -> None:
    """One Transpose serves all readers that need the layout in which a map is not made."""
    different = [one for one in dict.fromkeys(readers) if one != maker]
    if not different:
        return
    if maker != _SINK:
        turned = pipes.vertex()
        pipes.join(maker, turned, cost)
        for one in different:
            pipes.join(turned, one)
    if maker != _SOURCE:
        turned = pipes.vertex()
        pipes.join(turned, maker, cost)
        for one in different:
            pipes.join(one, turned)


class _Writer:
    """Writes steps in the layouts that were chosen, and a Transpose before its first reader."""

    def __init__(self, proto: ModelProto, reading: Steps) -> None:
        self._proto, self._reading, self._maps = proto, reading, reading.maps
        graph = proto.graph
        self._taken = {tensor.name for tensor in graph.initializer}
        for node in reading.maps.seen.nodes:
            self._taken.update((*node.input, *node.output))
        self._called = set[str]()  # names of nodes
        self._stored: dict[tuple[str, str, tuple[int, ...], bytes], str] = {}
        self._made: dict[str, dict[Layout, str]] = {}  # where each map is, by layout
        self._names: dict[str, dict[Layout, list[str]]] = {}  # that it has in the graph
        for name in sorted(reading.homes, key=lambda one: one not in reading.outputs):
            layouts = self._names.setdefault(reading.homes[name], {})
            layouts.setdefault(self._maps.layouts[name], []).append(name)
        for value in graph.input:
            if value.name in reading.homes:
                self._made[value.name] = {self._maps.layouts[value.name]: value.name}

    def write(self, step: Step, layout: Layout) -> None:
        """Add the nodes of one step."""
        if step.product is not None and layout != step.product.layout:
            self._write_product(step.product, layout)
            return
        for node in step.product.nodes if step.product is not None else (step.node,):
            self._copy(step, node, layout)

    def finish(self) -> None:
        """Make what the graph returns, under its own names."""
        made = {name for node in self._proto.graph.node for name in node.output}
        for name in self._reading.outputs:
            if name in self._reading.homes and name not in made:
                found = self._read(name, self._maps.layouts[name])
                if found != name:
                    self._add("Identity", [found], name, f"{name}/Identity")

    def _copy(self, step: Step, node: NodeProto, layout: Layout) -> None:
        made = copy_message(node)
        if step.stance == "either" and layout != step.layout:
            turn(self._maps, made, layout, self._store)
        for position, name in enumerate(made.input):
            if name not in self._reading.homes:
                continue
            asked = self._maps.layouts[name] if step.stance == "written" else layout
            made.input[position] = (
                self._any(name) if step.stance == "any" else self._read(name, asked)
            )
        for position, name in enumerate(node.output):
            if name in self._reading.homes and name in step.makes:
                own = self._maps.layouts[name] if step.stance == "written" else layout
                made.output[position] = self._make(name, own)
        self._name(made, made.name)
        self._proto.graph.node.append(made)

    def _write_product(self, product: Pointwise, layout: Layout) -> None:
        """A matrix product and the sum of its bias, or a convolution."""
        head = product.nodes[0]
        stem = head.name.rpartition("/")[0] or head.name
        source, target = self._read(head.input[0], layout), self._make(product.output, layout)
        if layout == "first":
            kernel = product.matrix.T[:, :, None, None]
            inputs = [source, self._store(product.weight, "kernel", kernel)]
            if product.row is not None:
                inputs.append(self._store(product.bias or "", "by_channel", product.row))
            self._add("Conv", inputs, target, f"{stem}/Conv")
            return
        matrix = self._store(product.weight, "matrix", product.matrix)
        if product.row is None:
            self._add("MatMul", [source, matrix], target, f"{stem}/MatMul")
            return
        product_name = self._free(f"{product.output}.product")
        self._add("MatMul", [source, matrix], product_name, f"{stem}/MatMul")
        row = self._store(product.bias or "", "row", product.row)
        self._add("Add", [product_name, row], target, f"{stem}/Add")

    def _make(self, name: str, layout: Layout) -> str:
        """The name of a map in a layout, from here on."""
        home = self._reading.homes[name]
        known = self._names[home].get(layout)
        made = self._made.setdefault(home, {})
        made[layout] = known[0] if known else self._free(f"{home}.{layout}")
        return made[layout]

    def _any(self, name: str) -> str:
        return next(iter(self._made[self._reading.homes[name]].values()))

    def _read(self, name: str, layout: Layout) -> str:
        made = self._made[self._reading.homes[name]]
        if layout not in made:
            source = made[other(layout)]
            stem = source.rpartition("/")[0] or source
            target = self._make(name, layout)
            self._add("Transpose", [source], target, f"{stem}/Transpose", perm=PERMS[layout])
        return made[layout]

    def _add(
        self, kind: str, inputs: Sequence[str], output: str, name: str, **attributes: Any
    ) -> None:
        from onnx import helper

        node = helper.make_node(kind, inputs, [output], **attributes)
        self._name(node, name)
        self._proto.graph.node.append(node)

    def _name(self, node: NodeProto, name: str) -> None:
        fresh, number = name, 1
        while fresh in self._called:
            fresh, number = f"{name}_{number}", number + 1
        self._called.add(fresh)
        node.name = fresh

    def _store(self, name: str, suffix: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        # By its value too: two products may read one constant in different ways.
        key = (name, suffix, value.shape, value.tobytes())
        if key not in self._stored:
            fresh = self._free(f"{name}.{suffix}")
            self._proto.graph.initializer.append(
                numpy_helper.from_array(np.ascontiguousarray(value), fresh)
            )
            self._stored[key] = fresh
        return self._stored[key]

    def _free(self, name: str) -> str:
        fresh, number = name, 1
        while fresh in self._taken:
            fresh, number = f"{name}_{number}", number + 1
        self._taken.add(fresh)
        return fresh
