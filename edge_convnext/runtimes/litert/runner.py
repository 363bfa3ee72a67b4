"""LiteRT on the CPU, with XNNPACK: the interpreter of `ai-edge-litert`.

Models take images with the channels last. The interpreter works on one batch size at a time; with
another number of images it is prepared anew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.chatter import without_lines
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.liveness import largest_at_a_time
from edge_convnext.core.third_party import import_litert, read_version
from edge_convnext.graph.tflite_file import read_carried
from edge_convnext.runtimes.interface import (
    RuntimeInfo,
    RuntimeOptions,
    as_logits,
    check_settings,
    infer_in_pieces,
    one_line,
    require_file,
    require_one_input,
    usable_cores,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LiteRt"]

_PACKAGE = "ai_edge_litert"
_SETTINGS: frozenset[str] = frozenset()  # it has none that a recipe may state
_CHATTER = b"INFO: "  # it says so of every delegate, and has no switch
_SIDES = 4  # axes of a batch of images
_MOST_BYTES = 2 << 30  # of one image at a time, as of ONNX graphs (`graph.safety`)
# The interpreter's own; the others come of a file that is whole and no model that a build writes.
_FAILURES = (LookupError, MemoryError, OverflowError, RuntimeError, TypeError, ValueError)


class LiteRt:
    """A model in LiteRT's interpreter, which hands it to XNNPACK.

    Raises:
        MissingDependencyError: ai-edge-litert is not installed.
        ArtifactError: There is no such file, or it is damaged.
        InferenceError: LiteRT can't load it, or another float type was requested.
    """

    def __init__(self, path: Path, options: RuntimeOptions) -> None:
        if options.precision_hint not in (None, "f32"):
            raise InferenceError("LiteRT computes floats in float32 here; pass --hint f32")
        interpreter = import_litert().Interpreter
        self._path = require_file(path)
        read_carried(path)  # a damaged file may crash the process
        self._version = read_version(_PACKAGE) or "unknown"
        self._threads = options.threads or usable_cores()
        check_settings(options, _SETTINGS, "LiteRT")
        self._batch = options.static_batch
        try:
            with without_lines(_CHATTER):
                self._interpreter: Any = interpreter(str(path), num_threads=self._threads)
                self._open(path)
        except _FAILURES as error:
            raise InferenceError(
                f"{path}: LiteRT {self._version} can't load this model ({one_line(error)})"
            ) from error

    def _open(self, path: Path) -> None:
        _require_moderate(self._interpreter, path)
        inputs = self._interpreter.get_input_details()
        require_one_input(len(inputs), path)
        self._input = int(inputs[0]["index"])
        self._output = int(self._interpreter.get_output_details()[0]["index"])
        sizes = [int(size) for size in inputs[0]["shape"]]
        if len(sizes) != _SIDES or inputs[0]["dtype"] != np.float32:
            raise InferenceError(
                f"{path}: takes {inputs[0]['dtype'].__name__}{sizes}, not images "
                "float32[N, H, W, C]; build it again"
            )
        self._sides: tuple[int, ...] = tuple(sizes[1:])
        self._prepared_for = 0
        self._prepare_for(self._batch or 1)

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W], or what `prepare` made of it, to logits float32[N, classes]."""
        if self._is_laid(images):
            return self._run_laid(images)
        height, width, channels = self._sides
        shape = (self._batch, channels, height, width)
        return infer_in_pieces(self._run, images, shape, str(self._path))

    def prepare(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move the channels to the end, so that `infer` has nothing to do."""
        laid = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        return laid if self._is_laid(laid) else images

    def describe(self) -> RuntimeInfo:
        """Describe the version and the options in force."""
        return RuntimeInfo(
            name="litert",
            version=self._version,
            threads=self._threads,
            batch=self._batch,
            options={"delegate": "XNNPACK"},
        )

    def _is_laid(self, images: NDArray[np.float32]) -> bool:
        """Whether images have the channels last already; of a cube it can't be told."""
        height, width, channels = self._sides
        if images.ndim != _SIDES or images.shape[1:] == (channels, height, width):
            return False
        fits = images.shape[1:] == self._sides and len(images) == (self._batch or len(images))
        return bool(fits and len(images) and images.dtype == np.float32)

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._run_laid(np.ascontiguousarray(images.transpose(0, 2, 3, 1)))

    def _run_laid(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            self._prepare_for(len(images))
            self._interpreter.set_tensor(self._input, images)
            self._interpreter.invoke()
            output = self._interpreter.get_tensor(self._output)
        except _FAILURES as error:
            raise InferenceError(
                f"{self._path}: LiteRT {self._version} failed ({one_line(error)})"
            ) from error
        return as_logits(output, len(images), str(self._path))

    def _prepare_for(self, count: int) -> None:
        if count == self._prepared_for:
            return
        self._interpreter.resize_tensor_input(self._input, [count, *self._sides])
        self._interpreter.allocate_tensors()
        self._prepared_for = count


def _require_moderate(interpreter: Any, path: Path) -> None:
    """Refuse a model that takes more memory than a built one can, before any is allocated.

    Raises:
        InferenceError: It does.
    """
    sizes = {
        int(one["index"]): math.prod(max(1, int(size)) for size in one["shape"])
        * np.dtype(one["dtype"]).itemsize
        for one in interpreter.get_tensor_details()
    }
    images = [int(one["index"]) for one in interpreter.get_input_details()]
    steps = [
        ([int(at) for at in one["inputs"]], [int(at) for at in one["outputs"]])
        for one in interpreter._get_ops_details()
    ]
    outputs = [int(one["index"]) for one in interpreter.get_output_details()]
    steps = [([], images), *steps, (outputs, [])]  # outputs are held until the end
    taken = largest_at_a_time(sizes, steps)
    if taken > _MOST_BYTES:
        raise InferenceError(
            f"{path}: takes {taken / 2**30:.1f} GiB for one image beside its weights, and "
            f"{_MOST_BYTES >> 30} GiB is the most; build it for smaller images (--image-size)"
        )
