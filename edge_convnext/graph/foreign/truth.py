"""What a user's file answers as it came, on noise; and how far another graph is from that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ArtifactError, reason_of
from edge_convnext.core.third_party import import_onnxruntime
from edge_convnext.graph.foreign.exit import values_wanted
from edge_convnext.graph.foreign.source import with_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto

    from edge_convnext.graph.foreign.entrance import Entrance

__all__ = ["Session", "Truth", "noise_images"]

_THREADS = 2
_IMAGES = 4  # asked as 3 and 1, where a graph takes any batch
_MEAN, _STD = 0.45, 0.225  # roughly ImageNet's, where the graph states none


class Truth:
    """The outputs of a user's graph for a few images of noise.

    Args:
        proto: Graph as it came, its inputs as `keep_inputs` leaves them.
        entrance: Input of the graph.
        shape: Height and width.

    Raises:
        ArtifactError: ONNX Runtime can't run it.
    """

    def __init__(self, proto: ModelProto, entrance: Entrance, shape: tuple[int, int]) -> None:
        self.rows = entrance.batch or 1
        count = _IMAGES if self.rows == 1 else self.rows
        pixels = noise_images(count, entrance.channels, *shape)
        self.images = _normalised(pixels, entrance)
        self.logits: NDArray[np.float32] = np.empty(0, np.float32)  # of `images`, once known
        wanted = values_wanted(proto.graph)
        session = Session(with_outputs(proto, wanted))
        own = _as_taken(pixels, entrance)
        runs = [session.run(own[at : at + self.rows]) for at in range(0, count, self.rows)]
        self.values = dict(zip(wanted, runs[0], strict=True))
        joined = [
            np.concatenate([np.atleast_1d(one) for one in row]) for row in zip(*runs, strict=True)
        ]
        self.outputs = dict(zip(wanted, joined, strict=True))

    def run(self, proto: ModelProto, batch: int | None) -> NDArray[np.float32]:
        """The logits of another graph for the same images.

        Args:
            proto: From `images` to `logits`.
            batch: Images that it takes at a time; None: any, which is tried.

        Raises:
            ArtifactError: ONNX Runtime can't run it, or gives rows of another number.
        """
        session, count = Session(proto), len(self.images)
        starts = range(0, count, batch) if batch else (0, count - 1)
        ends = [*starts[1:], count]
        rows = [
            session.run(self.images[start:end])[0]
            for start, end in zip(starts, ends, strict=True)
            if end > start
        ]
        logits: NDArray[np.float32] = np.concatenate(rows)
        if len(logits) != count:
            raise ArtifactError(f"gives {len(logits)} rows for {count} images")
        return logits


def _normalised(pixels: NDArray[np.float32], entrance: Entrance) -> NDArray[np.float32]:
    """float32[n, C, H, W], as the canonical graph takes them."""
    if entrance.scale is None:
        return ((pixels / 255 - _MEAN) / _STD).astype(np.float32)
    mean, std = (
        np.array(one, np.float64)[:, None, None]
        for one in (entrance.scale.mean, entrance.scale.std)
    )
    return ((pixels / 255.0 - mean) / std).astype(np.float32)


def _as_taken(pixels: NDArray[np.float32], entrance: Entrance) -> NDArray[Any]:
    """The same images as the user's graph takes them."""
    images: NDArray[Any] = pixels
    if entrance.scale is None:
        images = _normalised(pixels, entrance)
    elif not entrance.scale.of_bytes:
        images = pixels / np.float32(255)
    if entrance.nhwc:
        images = images.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images.astype(np.uint8) if entrance.uint8 else images)


class Session:
    """A graph in ONNX Runtime, on two threads.

    Args:
        proto: The graph.
        optimised: True lets the runtime rewrite it.

    Raises:
        ArtifactError: The runtime can't load it.
    """

    def __init__(self, proto: ModelProto, optimised: bool = True) -> None:
        onnxruntime = import_onnxruntime()
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4  # what is fatal
        settings.intra_op_num_threads = _THREADS
        if not optimised:
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(
                proto.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no other base class
            raise ArtifactError(f"ONNX Runtime can't load it ({reason_of(error, 200)})") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, images: NDArray[Any], outputs: Sequence[str] | None = None) -> list[Any]:
        """Run one batch.

        Raises:
            ArtifactError: The runtime fails.
        """
        try:
            return list(self._session.run(outputs, {self._input: images}))
        except Exception as error:
            raise ArtifactError(f"ONNX Runtime can't run it ({reason_of(error, 200)})") from error


def noise_images(count: int, channels: int, height: int, width: int) -> NDArray[np.float32]:
    """Pixels 0..255 as float32[count, channels, height, width]: noise, coarse and fine by turns."""
    random = np.random.default_rng(0)
    images = []
    for index in range(count):
        cell = 1 if index % 2 else 8
        size = (channels, -(-height // cell), -(-width // cell))
        coarse = random.integers(0, 256, size)
        whole = coarse.repeat(cell, axis=1).repeat(cell, axis=2)
        images.append(whole[:, :height, :width])
    return np.stack(images).astype(np.float32)
