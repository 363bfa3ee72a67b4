"""Layouts of maps: [N, C, H, W] with the channels first, or [N, H, W, C] with the channels last.

Here is what each operation allows: which can work in either layout, and how it is written in the
other. `relayout` chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from edge_convnext.graph.structure import integers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import NodeProto

    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.graph.structure import Structure

__all__ = ["PERMS", "Layout", "Maps", "Stance", "Store", "other", "stance", "turn", "turning"]

Layout: TypeAlias = Literal["first", "last"]
# `written` reads and makes each map as it stands there; `any` reads a map of one position.
Stance: TypeAlias = Literal["last", "either", "written", "any"]
Store: TypeAlias = "Callable[[str, str, NDArray[np.generic]], str]"  # constant, suffix, value

PERMS: Mapping[Layout, list[int]] = {"first": [0, 3, 1, 2], "last": [0, 2, 3, 1]}  # into it
_RANK = 4
_ONE_BY_ONE = frozenset(
    {
        *("Abs", "Cast", "Ceil", "Celu", "Clip", "Elu", "Erf", "Exp", "Floor", "Gelu"),
        *("HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg"),
        *("Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign"),
        *("Sqrt", "Swish", "Tanh", "ThresholdedRelu"),
    }
)
_BROADCAST = frozenset({"Add", "Div", "Max", "Min", "Mul", "PRelu", "Pow", "Sub", "Where"})
_ALONG = {"Concat": 0, "LogSoftmax": -1, "Softmax": -1, "Split": 0}  # defaults of their axis
_REDUCE = frozenset(
    f"Reduce{kind}" for kind in ("L1", "L2", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)
_AXES_AS_INPUT = 18  # opset since which ReduceMean has them so
_SOFTMAX_OF_ONE_AXIS = 13


@dataclass(frozen=True)
class Maps:
    """A graph, and the layout in which each of its maps stands there, as far as it is read."""

    seen: Structure
    wiring: Wiring
    opset: int
    layouts: dict[str, Layout]

    def of(self, node: NodeProto) -> list[str]:
        """Its inputs that are maps."""
        return [name for name in node.input if name in self.layouts]

    def is_map(self, name: str) -> bool:
        """Whether a value has four axes, and depends on the images."""
        return name not in self.seen.constants and len(self.seen.shape(name)) == _RANK


def other(layout: Layout) -> Layout:
    """The other one."""
    return "last" if layout == "first" else "first"


def kind_of(node: NodeProto) -> str:
    """Type of an operation of ONNX's own; empty for others."""
    return node.op_type if node.domain in ("", "ai.onnx") else ""


def turning(maps: Maps, node: NodeProto) -> Layout | None:
    """The layout that a Transpose turns a map into; None for any other node."""
    before = maps.layouts.get(node.input[0]) if node.input else None
    if kind_of(node) != "Transpose" or before is None:
        return None
    after = other(before)
    return after if integers(node, "perm") == tuple(PERMS[after]) else None


def stance(maps: Maps, node: NodeProto) -> tuple[Stance, Layout]:
    """How an operation may be written, and the layout that its maps have where it stands."""
    found = {maps.layouts[name] for name in maps.of(node)}
    if len(found) != 1:
        return "written", "first"
    (layout,) = found
    kind = kind_of(node)
    if _drops_position(maps, node, kind):
        return "any", layout
    if layout == "last" and _needs_channels_last(maps, node, kind):
        return "last", layout
    if len(maps.of(node)) != len(maps.seen.variables(node)) or not _turns(maps, node, kind):
        return "written", layout
    if kind == "GlobalAveragePool" and layout == "last":
        return "written", layout
    return "either", layout


def _turns(maps: Maps, node: NodeProto, kind: str) -> bool:
    """Whether `turn` knows how to write an operation in the other layout."""
    flat = not all(maps.is_map(name) for name in node.output if name)
    if kind in _REDUCE:
        return _reduced(maps, node) is not None
    if flat:
        return False
    if kind in _ONE_BY_ONE:
        return all(maps.seen.size(name) == 1 for name in node.input[1:] if name)
    if kind == "GlobalAveragePool":
        return True
    if kind in ("LogSoftmax", "Softmax"):
        return maps.opset >= _SOFTMAX_OF_ONE_AXIS
    if kind == "Split":
        return True
    constants = [maps.wiring.value(name) for name in node.input if name not in maps.layouts]
    return kind in (*_BROADCAST, "Concat") and all(
        value is not None and (value.ndim == _RANK if kind == "Concat" else value.ndim <= _RANK)
        for value in constants
    )


def _needs_channels_last(maps: Maps, node: NodeProto, kind: str) -> bool:
    if kind == "MatMul":
        weight = maps.wiring.constants.get(node.input[1])
        return node.input[0] in maps.layouts and weight is not None and len(weight.dims) == 2
    return kind == "LayerNormalization" and integers(node, "axis", (-1,))[0] in (-1, _RANK - 1)


def _drops_position(maps: Maps, node: NodeProto, kind: str) -> bool:
    """Whether a map of one position an image becomes a row, for which its layout is nothing."""
    shape, layout = maps.seen.shape(node.input[0]), maps.layouts.get(node.input[0])
    positions = shape[2:] if layout == "first" else shape[1:3]
    if layout is None or positions != (1, 1) or len(maps.seen.shape(node.output[0])) != 2:
        return False
    if kind == "Flatten":
        return integers(node, "axis", (1,)) == (1,)
    target = maps.wiring.value(node.input[1]) if kind == "Reshape" else None
    if target is None or integers(node, "allowzero", (0,)) != (0,):
        return False
    return target.size == 2 and target[1] != 0


def _reduced(maps: Maps, node: NodeProto) -> list[int] | None:
    """Axes of a reduction; None where it can't be written in the other layout."""
    stated = integers(node, "axes")
    if not stated and len(node.input) > 1:
        value = maps.wiring.value(node.input[1])
        stated = () if value is None else tuple(int(one) for one in value.reshape(-1))
    axes = sorted({axis % _RANK for axis in stated})
    if integers(node, "keepdims", (1,)) == (1,):
        return axes or None
    layout = maps.layouts[node.input[0]]
    left = [axis for axis in range(_RANK) if axis not in axes]
    moved = [_moved(axis, other(layout)) for axis in left]
    return axes if axes and moved == sorted(moved) else None


def _moved(axis: int, layout: Layout) -> int:
    """Where an axis is in a layout, if it was that one in the other."""
    return PERMS[layout].index(axis % _RANK)


def turn(maps: Maps, node: NodeProto, layout: Layout, store: Store) -> None:
    """Write an operation that takes either layout for maps of the one it doesn't stand in.

    Args:
        maps: Maps of the graph.
        node: Node with the inputs of the graph; changed in place.
        layout: Layout to write it for.
        store: Stores a constant under a new name, made of the old one and a suffix.
    """
    kind = kind_of(node)
    if kind in _REDUCE:
        axes = [_moved(axis, layout) for axis in _reduced(maps, node) or ()]
        _set_axes(node, len(node.input) > 1, sorted(axes), store)
    elif kind == "GlobalAveragePool":
        node.op_type = "ReduceMean"
        _set_axes(node, maps.opset >= _AXES_AS_INPUT, [1, 2], store)
    elif kind in _ALONG:
        _set(node, "axis", _moved(integers(node, "axis", (_ALONG[kind],))[0], layout))
    for position, name in enumerate(node.input):
        value = maps.wiring.value(name)
        if kind in (*_BROADCAST, "Concat") and value is not None and value.size > 1:
            whole = value.reshape((1,) * (_RANK - value.ndim) + value.shape)
            turned = np.ascontiguousarray(whole.transpose(PERMS[layout]))
            node.input[position] = store(name, layout, turned)


def _set_axes(node: NodeProto, as_input: bool, axes: Sequence[int], store: Store) -> None:
    if as_input:
        node.input[:] = [node.input[0], store(node.name, "axes", np.asarray(axes, np.int64))]
    else:
        _set(node, "axes", axes)


def _set(node: NodeProto, name: str, value: object) -> None:
    from onnx import helper

    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
