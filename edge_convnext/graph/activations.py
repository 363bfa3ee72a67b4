"""Activations of a graph on real images: ranges of all values, and a sample of rows.

Equalization and range estimation decide by them. A row has the values of all channels at one
position of one image. Only sampled rows are kept, so memory does not grow with the images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.errors import QuantizationError, reason_of
from edge_convnext.core.quotas import usable_cores
from edge_convnext.core.third_party import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnx import ModelProto

__all__ = ["Activations", "observe", "split_images", "watch"]

Values = NDArray[np.float32]
_IMAGES = 4  # at a time
_ROWS = 1024  # of each tensor; four times as many gave no better choices


@dataclass(frozen=True)
class Activations:
    """One tensor over all images: ranges from one half of them, rows from the other.

    A range that is judged on its own images looks better than it is: on other images, values
    beyond it are clipped.
    """

    low: NDArray[np.float32]  # [C], smallest value of each channel in the first half
    high: NDArray[np.float32]  # [C], largest
    rows: NDArray[np.float32]  # [n, C], of the second half, at random positions


def observe(
    proto: ModelProto,
    channel_axes: Mapping[str, int],
    batches: Sequence[NDArray[np.float32]],
    seed: int = 0,
) -> dict[str, Activations]:
    """Run a float graph over images and look at some of its tensors.

    Args:
        proto: Float graph; it is not changed.
        channel_axes: Axis of the channels, by tensor name.
        batches: Normalised images, float32[n, C, H, W].
        seed: Seed of the sample of rows.

    Returns:
        Activations by tensor name.

    Raises:
        QuantizationError: ONNX Runtime can't run the graph, or a tensor has values that are
            not finite.
    """
    pieces = split_images(proto, batches)
    per_image = -(-_ROWS // sum(len(piece) for piece in pieces[1::2]))
    generator = np.random.default_rng(seed)
    ends: dict[str, list[tuple[Values, Values]]] = {name: [] for name in channel_axes}
    kept: dict[str, list[Values]] = {name: [] for name in channel_axes}
    run = watch(proto, list(channel_axes))
    for index, piece in enumerate(pieces):
        for (name, axis), value in zip(channel_axes.items(), run(piece), strict=True):
            moved = np.moveaxis(value, axis, -1)  # a view: rows are not copied to look at a few
            if index % 2:
                positions = value.size // value.shape[axis]
                count = min(positions, per_image * len(piece))
                drawn = generator.choice(positions, count, replace=False)
                kept[name].append(moved[np.unravel_index(drawn, moved.shape[:-1])])
            else:
                others = tuple(range(moved.ndim - 1))
                ends[name].append((moved.min(axis=others), moved.max(axis=others)))
    return {
        name: Activations(
            np.min([low for low, _ in ends[name]], axis=0),
            np.max([high for _, high in ends[name]], axis=0),
            np.concatenate(kept[name]),
        )
        for name in channel_axes
    }


def split_images(
    proto: ModelProto, batches: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """Split batches where the graph allows it: all watched tensors are in memory at once.

    Returns:
        Pieces float32[n, C, H, W], n being the graph's batch, or at most 4. There are at least two,
        for two halves: a single one comes twice.
    """
    fixed = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    size = fixed or _IMAGES
    pieces = [batch[at : at + size] for batch in batches for at in range(0, len(batch), size)]
    return pieces * 2 if len(pieces) == 1 else pieces


def watch(
    proto: ModelProto, names: Sequence[str]
) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Load a graph so that it gives the values of some of its tensors.

    Args:
        proto: Float graph; it is not changed.
        names: Tensors; its input may be among them.

    Returns:
        A function from images, float32[n, C, H, W], to the tensors in the order of `names`.

    Raises:
        QuantizationError: ONNX Runtime can't load the graph; from the function: a tensor has
            values that are not finite.
    """
    import onnx

    onnxruntime = import_onnxruntime()
    watched = onnx.ModelProto()
    watched.CopyFrom(proto)
    borders = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    for name in names:
        if name not in borders:
            watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = usable_cores()  # the values are the same with any number
    source = proto.graph.input[0].name
    try:
        session = onnxruntime.InferenceSession(
            watched.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions share no other base class
        reason = reason_of(error)
        raise QuantizationError(
            f"ONNX Runtime can't load the graph to calibrate: {reason}"
        ) from error

    def run(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        wanted = [name for name in names if name != source]
        values = (
            session.run(wanted, {source: batch}) if wanted else []
        )  # for an empty list it returns all
        found = {source: batch, **dict(zip(wanted, values, strict=True))}
        for name in names:
            if not _is_finite(found[name]):
                raise QuantizationError(
                    f"{name}: NaN or infinite activations on the calibration images; "
                    "look at the weights and at preprocess.mean and preprocess.std"
                )
        return [found[name] for name in names]

    return run


def _is_finite(value: NDArray[np.float32]) -> bool:
    """Whether all values are finite: their squares' sum tells at a fraction of the time."""
    flat = value.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat))) or bool(np.isfinite(flat).all())
