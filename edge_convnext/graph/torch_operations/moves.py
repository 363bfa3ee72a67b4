"""Operations that move values, or tell of their shape.

Source: ONNX operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional

from edge_convnext.core.errors import UntrainableError
from edge_convnext.graph.torch_operations.interface import Make, plain

if TYPE_CHECKING:
    from edge_convnext.graph.torch_operations.interface import Attributes, Constants, Run

__all__ = ["MOVES"]

_PAD_MODES = {b"constant": "constant", b"reflect": "reflect", b"edge": "replicate"}
# Of ONNX's ways to place the samples, those that torch has, with its `align_corners`.
_CORNERS = {b"half_pixel": False, b"pytorch_half_pixel": False, b"align_corners": True}


def _integers(value: Tensor) -> list[int]:
    return [int(one) for one in value.reshape(-1).tolist()]


def _reshape(_attributes: Attributes, constants: Constants) -> Run:
    known = None if constants[1] is None else [int(size) for size in constants[1]]

    def run(x: Tensor, shape: Tensor) -> Tensor:
        sizes = _integers(shape) if known is None else known
        # A 0 copies the size; with `allowzero` it would leave no values, which no network has.
        return x.reshape([x.shape[at] if size == 0 else size for at, size in enumerate(sizes)])

    return run


def _slice(_attributes: Attributes, constants: Constants) -> Run:
    if any(value is None for value in constants[1:]):
        raise UntrainableError("a Slice whose ends are computed")
    starts, ends = (np.asarray(constants[at]).tolist() for at in (1, 2))
    axes = np.asarray(constants[3]).tolist() if len(constants) > 3 else list(range(len(starts)))
    steps = np.asarray(constants[4]).tolist() if len(constants) > 4 else [1] * len(starts)

    def run(x: Tensor, *_: Tensor) -> Tensor:
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            taken = range(x.shape[axis])[start:end:step]
            if step == 1:
                x = x.narrow(axis, taken.start, len(taken))
            else:
                x = x.index_select(axis, torch.tensor(list(taken), dtype=torch.int64))
        return x

    return run


def _squeeze(_attributes: Attributes, constants: Constants) -> Run:
    if len(constants) < 2 or constants[1] is None:
        return lambda x, *_: x.squeeze()
    axes = tuple(int(axis) for axis in constants[1])
    return lambda x, *_: x.squeeze(axes)


def _unsqueeze(_attributes: Attributes, constants: Constants) -> Run:
    if constants[1] is None:
        raise UntrainableError("an Unsqueeze of axes that are computed")
    axes = sorted(int(axis) for axis in constants[1])

    def run(x: Tensor, *_: Tensor) -> Tensor:
        for axis in sorted(one % (x.dim() + len(axes)) for one in axes):
            x = x.unsqueeze(axis)
        return x

    return run


def _flatten(attributes: Attributes, _constants: Constants) -> Run:
    axis = int(attributes.get("axis", 1))

    def run(x: Tensor) -> Tensor:
        rows = int(np.prod(x.shape[:axis], dtype=np.int64))  # -1: all axes but the last
        return x.reshape(rows, -1)

    return run


def _transpose(attributes: Attributes, _constants: Constants) -> Run:
    order = attributes.get("perm")
    return lambda x: x.permute(order if order is not None else tuple(range(x.dim()))[::-1])


def _concat(attributes: Attributes, _constants: Constants) -> Run:
    axis = int(attributes["axis"])

    def run(*values: Tensor) -> Tensor:
        # A constant of one image, such as a class token, is the same for each of a batch.
        rows = max(value.shape[0] for value in values)
        if axis != 0:
            values = tuple(
                one.expand(rows, *one.shape[1:]) if one.shape[0] == 1 else one for one in values
            )
        return torch.cat(values, axis)

    return run


def _split(attributes: Attributes, constants: Constants) -> Run:
    axis, count = int(attributes.get("axis", 0)), int(attributes.get("num_outputs", 0))
    sizes = None if len(constants) < 2 else constants[1]
    if sizes is None and not count:
        raise UntrainableError("a Split into pieces whose sizes are computed")

    def run(x: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        if sizes is not None:
            return torch.split(x, [int(size) for size in sizes], axis)
        return torch.split(x, -(-x.shape[axis] // count), axis)

    return run


def _gather(attributes: Attributes, _constants: Constants) -> Run:
    axis = int(attributes.get("axis", 0))

    def run(x: Tensor, indices: Tensor) -> Tensor:
        size = x.shape[axis]
        flat = indices.reshape(-1).to(torch.int64)
        taken = x.index_select(axis, torch.where(flat < 0, flat + size, flat))
        at = axis % x.dim()
        return taken.reshape(*x.shape[:at], *indices.shape, *x.shape[at + 1 :])

    return run


def _expand(_attributes: Attributes, _constants: Constants) -> Run:
    def run(x: Tensor, shape: Tensor) -> Tensor:
        wanted = _integers(shape)  # of either, the axes that the other lacks are at the front
        own = [1] * (len(wanted) - x.dim()) + list(x.shape)
        wanted = [1] * (x.dim() - len(wanted)) + wanted
        return x.expand([max(pair) for pair in zip(own, wanted, strict=True)])

    return run


def _pad(attributes: Attributes, constants: Constants) -> Run:
    mode = attributes.get("mode", b"constant")
    if constants[1] is None or mode not in _PAD_MODES:
        raise UntrainableError(f"a Pad of mode {mode.decode()}, or by what is computed")
    pads = [int(one) for one in constants[1]]
    axes = None if len(constants) < 4 or constants[3] is None else constants[3].tolist()
    value = 0.0 if len(constants) < 3 or constants[2] is None else float(constants[2])

    def run(x: Tensor, *_: Tensor) -> Tensor:
        ends = [(0, 0)] * x.dim()
        half = len(pads) // 2
        for at, axis in enumerate(range(x.dim()) if axes is None else axes):
            ends[axis] = (pads[at], pads[at + half])
        while len(ends) > 1 and ends[0] == (0, 0):
            ends.pop(0)  # torch reflects the last axes only
        flat = [end for pair in reversed(ends) for end in pair]
        named = {"value": value} if mode == b"constant" else {}
        return functional.pad(x, flat, _PAD_MODES[mode], **named)

    return run


def _resize(attributes: Attributes, constants: Constants) -> Run:
    mode = attributes.get("mode", b"nearest")
    placed = attributes.get("coordinate_transformation_mode", b"half_pixel")
    if mode == b"nearest":
        rounding = attributes.get("nearest_mode", b"round_prefer_floor")
        known = (placed, rounding) == (b"asymmetric", b"floor")
    else:
        known = placed in _CORNERS and not (mode == b"cubic" and _is_not_torchs(attributes))
    sizes = constants[3] if len(constants) > 3 else None
    scales = constants[2] if len(constants) > 2 else None
    if not known or (sizes is None and (scales is None or not scales.size)):
        raise UntrainableError(f"a Resize of mode {mode.decode()} with {placed.decode()}")
    kind = {b"nearest": "nearest", b"linear": "bilinear", b"cubic": "bicubic"}[mode]
    corners = None if mode == b"nearest" else _CORNERS[placed]
    smooth = {"antialias": True} if attributes.get("antialias") else {}

    def run(x: Tensor, *_: Tensor) -> Tensor:
        if sizes is not None:
            wanted = [int(size) for size in sizes[-2:]]
        else:
            assert scales is not None  # refused above
            wanted = [
                int(np.floor(size * scale))
                for size, scale in zip(x.shape[-2:], scales[-2:], strict=True)
            ]
        return functional.interpolate(x, wanted, mode=kind, align_corners=corners, **smooth)

    return run


def _is_not_torchs(attributes: Attributes) -> bool:
    return float(attributes.get("cubic_coeff_a", -0.75)) != -0.75


def _depth_to_space(attributes: Attributes, _constants: Constants) -> Run:
    block, mode = int(attributes["blocksize"]), attributes.get("mode", b"DCR")

    def run(x: Tensor) -> Tensor:
        if mode == b"DCR":
            batch, channels, height, width = x.shape
            x = x.reshape(batch, block * block, channels // block**2, height, width)
            x = x.transpose(1, 2).reshape(batch, channels, height, width)
        return functional.pixel_shuffle(x, block)

    return run


def _space_to_depth(attributes: Attributes, _constants: Constants) -> Run:
    block = int(attributes["blocksize"])

    def run(x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = functional.pixel_unshuffle(x, block)
        y = y.reshape(batch, channels, block * block, height // block, width // block)
        return y.transpose(1, 2).reshape(batch, -1, height // block, width // block)

    return run


def _cast(attributes: Attributes, _constants: Constants) -> Run:
    kind = torch.from_numpy(
        np.zeros(1, helper.tensor_dtype_to_np_dtype(int(attributes["to"])))
    ).dtype
    return lambda x: x.to(kind)


def _shape(attributes: Attributes, _constants: Constants) -> Run:
    start, end = attributes.get("start", 0), attributes.get("end")
    return lambda x: torch.tensor(x.shape[start:end], dtype=torch.int64)


MOVES: dict[str, Make] = {
    "Cast": _cast,
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": plain(torch.clone),
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": plain(lambda x, repeats: x.repeat(_integers(repeats))),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
