"""Run an engine: one runner for every TensorRT from 8.6 on, and for TensorRT for RTX.

It uses only the tensor-address API. Each batch size has its own execution context, device and
pinned buffers, and a CUDA graph, which needs one launch instead of a hundred.

Source: TensorRT developer guide, "Performing Inference", "CUDA Graphs"; TensorRT for RTX, "JIT
compilation" and "CUDA graphs".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes.image_types import to_pixels
from edge_convnext.runtimes.interface import (
    RuntimeInfo,
    RuntimeOptions,
    as_logits,
    infer_in_pieces,
    one_line,
)
from edge_convnext.runtimes.tensorrt.api import open_api
from edge_convnext.runtimes.tensorrt.cuda import Cuda
from edge_convnext.runtimes.tensorrt.loading import find_tensors, load_engine
from edge_convnext.runtimes.tensorrt.native import listen
from edge_convnext.runtimes.tensorrt.open_cuda import open_cuda
from edge_convnext.runtimes.tensorrt.sidecar import read_facts, require_runs_here

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["EngineRunner"]

_MOST_SIZES = 8  # the most batch sizes that stay prepared
_WARMUP = 3  # inferences; TensorRT for RTX compiles in the first


@dataclass
class _Prepared:
    """Context, buffers and CUDA graph of one batch size."""

    context: Any
    host_in: NDArray[Any]
    host_out: NDArray[Any]
    device_in: Any
    device_out: Any
    graph: Any = None
    why_no_graph: str | None = None
    events: list[Any] = field(default_factory=list)


class EngineRunner:
    """An engine with its sidecar, on this machine's GPU; all calls must come from one thread.

    Args:
        path: The engine; its sidecar states its TensorRT.
        options: The options; `batch` is prepared at once, `settings` may have `cuda_graph=off`.
        cuda: The device; None for the first one.
        check: True to refuse an engine for another machine (`sidecar.require_runs_here`); False
            to let TensorRT decide.

    Raises:
        MissingDependencyError: TensorRT or CUDA is not installed here.
        ArtifactError: The engine or its sidecar is missing, or the engine is for another machine.
        InferenceError: TensorRT can't load it, or it does not map images to logits.
    """

    def __init__(
        self,
        path: Path,
        options: RuntimeOptions | None = None,
        cuda: Cuda | None = None,
        *,
        check: bool = True,
    ) -> None:
        chosen = options or RuntimeOptions()
        self._path = path
        self._facts = read_facts(path)
        self._api = open_api(self._facts.runtime)
        self._cuda = cuda if cuda is not None else open_cuda()
        self._device = self._cuda.facts()
        if check:
            require_runs_here(self._facts, self._api, self._device)
        self._use_graph = chosen.native_settings.get("cuda_graph", "on") != "off"
        self._messages = listen(self._api.module, errors_only=True)
        self._runtime, self._engine = load_engine(self._api, self._messages, self._facts)
        self._input, self._output = find_tensors(self._api, self._engine, path)
        self._largest = self._input.shape[0]
        if self._largest == -1:
            bounds = self._engine.get_tensor_profile_shape(self._input.name, 0)
            self._largest = int(next(iter(bounds[2])))
        self._stream = self._cuda.create_stream()
        self._prepared: dict[int, _Prepared] = {}
        if chosen.static_batch is not None and self._takes(chosen.static_batch):
            self._prepare(chosen.static_batch)

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W], any N >= 1, to logits float32[N, classes].

        For an engine of float16 images the values are rounded. For one of uint8 images they are
        converted back to the pixels that they were normalised from.

        Raises:
            InferenceError: The images don't fit the engine, or the GPU failed.
        """
        if self._input.dtype == np.uint8:
            return self.infer_images(self._to_pixels(images))
        shape = tuple(size if size > 0 else None for size in self._input.shape)
        batch = None if shape[0] is None and len(images) <= self._largest else self._largest
        return infer_in_pieces(self._run, images, (batch, *shape[1:]), str(self._path))

    def infer_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run pixels, already resized and cropped, in the layout of the engine's input.

        Args:
            pixels: Pixels, uint8[N, H, W, C] or uint8[N, C, H, W], as the engine's metadata
                states.

        Returns:
            Logits, float32[N, classes].

        Raises:
            InferenceError: The engine takes normalised values, or images of another size.
        """
        wanted = self._input.shape[1:]
        if self._input.dtype != np.uint8:
            raise InferenceError(
                f"{self._path} takes normalised values ({self._input.dtype}): call infer"
            )
        if pixels.dtype != np.uint8 or pixels.shape[1:] != wanted or not len(pixels):
            sizes = ", ".join(map(str, wanted))
            raise InferenceError(
                f"{self._path} takes uint8[N, {sizes}], not {pixels.dtype}{list(pixels.shape)}"
            )
        static = self._input.shape[0] > 0
        outputs = []
        for start in range(0, len(pixels), self._largest):
            piece = pixels[start : start + self._largest]
            missing = self._largest - len(piece) if static else 0
            filled = np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)])
            outputs.append(self._run(filled)[: len(piece)])
        return np.concatenate(outputs)

    def time_launches(self, batch: int, count: int) -> list[float]:
        """Time `count` inferences back to back without copies; return GPU milliseconds of each.

        The input is that of the last inference of this size. The times are between events that are
        recorded around each launch. A launch is queued while the one before it runs.

        Raises:
            InferenceError: The engine has no such batch size, or the GPU failed.
        """
        if not self._takes(batch):
            raise InferenceError(f"{self._path}: runs batch {self._range()}, not {batch}")
        prepared = self._prepare(batch)
        while len(prepared.events) <= count:
            prepared.events.append(self._cuda.create_event())
        self._launch(prepared)
        self._cuda.record(prepared.events[0], self._stream)
        for event in prepared.events[1 : count + 1]:
            self._launch(prepared)
            self._cuda.record(event, self._stream)
        self._cuda.synchronize(self._stream)
        marks = prepared.events[: count + 1]
        return [self._cuda.elapsed_ms(start, end) for start, end in pairwise(marks)]

    def describe(self) -> RuntimeInfo:
        """Describe the TensorRT, the GPU and whether a CUDA graph is used."""
        reasons = {one.why_no_graph for one in self._prepared.values() if one.why_no_graph}
        return RuntimeInfo(
            name=self._api.name,
            version=self._api.version,
            threads=1,
            batch=self._input.shape[0] if self._input.shape[0] > 0 else None,
            options={
                "gpu": self._device.name,
                "compute_capability": self._device.compute_capability,
                "cuda": self._cuda.label,
                "driver": self._device.driver or f"CUDA {self._device.cuda}",
                "cuda_graph": next(iter(reasons), "on") if self._use_graph else "off",
                "input_type": str(self._input.dtype),
            },
        )

    def close(self) -> None:
        """Free the GPU's memory, in the order that TensorRT requires."""
        for prepared in self._prepared.values():
            self._release(prepared)
        self._prepared.clear()
        self._engine = None
        self._runtime = None

    def _takes(self, batch: int) -> bool:
        return batch == self._largest or (self._input.shape[0] == -1 and batch <= self._largest)

    def _range(self) -> str:
        static = self._input.shape[0] > 0
        return str(self._largest) if static else f"1 to {self._largest}"

    def _to_pixels(self, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        planar = (self._facts.model or {}).get("images_layout") == "nchw"
        try:
            return to_pixels(images, self._facts.info.preprocess, channels_last=not planar)
        except InferenceError as error:
            raise InferenceError(f"{self._path} takes float32[N, C, H, W]: {error}") from None

    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        prepared = self._prepare(len(images))
        np.copyto(prepared.host_in, images, casting="same_kind")
        self._cuda.upload(prepared.device_in, prepared.host_in, self._stream)
        self._launch(prepared)
        self._cuda.download(prepared.host_out, prepared.device_out, self._stream)
        self._cuda.synchronize(self._stream)
        logits = prepared.host_out.astype(np.float32)  # a copy, because the buffer is reused
        return as_logits(logits, len(images), str(self._path))

    def _launch(self, prepared: _Prepared) -> None:
        if prepared.graph is not None:
            self._cuda.launch(prepared.graph, self._stream)
        else:
            self._enqueue(prepared.context)

    def _enqueue(self, context: Any) -> None:
        if not context.execute_async_v3(self._cuda.handle(self._stream)):
            raise InferenceError(
                f"{self._path}: {self._api.label} failed ({self._messages.last_error})"
            )

    def _prepare(self, batch: int) -> _Prepared:
        """Create context, buffers and CUDA graph of a batch size, once."""
        if batch in self._prepared:
            return self._prepared[batch]
        while len(self._prepared) >= _MOST_SIZES:
            self._release(self._prepared.pop(next(iter(self._prepared))))
        context = self._create_context()
        shape = (batch, *self._input.shape[1:])
        if self._input.shape[0] == -1 and not context.set_input_shape(self._input.name, shape):
            raise InferenceError(f"{self._path}: runs batch {self._range()}, not {batch}")
        result = tuple(context.get_tensor_shape(self._output.name))
        host_in = self._cuda.pinned(shape, self._input.dtype)
        host_out = self._cuda.pinned(result, self._output.dtype)
        host_in[...] = 0  # a timing before the first inference must not run on random bits
        prepared = _Prepared(
            context=context,
            host_in=host_in,
            host_out=host_out,
            device_in=self._cuda.allocate(host_in.nbytes),
            device_out=self._cuda.allocate(host_out.nbytes),
        )
        for tensor, memory in (
            (self._input, prepared.device_in),
            (self._output, prepared.device_out),
        ):
            if not context.set_tensor_address(tensor.name, self._cuda.address(memory)):
                raise InferenceError(f"{self._path}: has no tensor {tensor.name}")
        self._cuda.upload(prepared.device_in, host_in, self._stream)
        for _ in range(_WARMUP):
            self._enqueue(context)
        self._cuda.synchronize(self._stream)
        self._capture(prepared)
        self._prepared[batch] = prepared
        return prepared

    def _create_context(self) -> Any:
        engine = self._engine
        trt = self._api.module
        if self._api.has("graph_strategy"):
            jit = engine.create_runtime_config()
            # Compile kernels for a shape before it runs, not while it runs.
            eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            jit.dynamic_shapes_kernel_specialization_strategy = eager
            context = engine.create_execution_context(jit)
        else:
            context = engine.create_execution_context()
        if context is None:
            raise InferenceError(
                f"{self._path}: no room to run it ({self._messages.last_error}); close other "
                "programs on the GPU, or choose a smaller batch"
            )
        return context

    def _capture(self, prepared: _Prepared) -> None:
        """Record a launch as a CUDA graph; if that fails, store the reason."""
        if not self._use_graph:
            return
        context = prepared.context
        handle = self._cuda.handle(self._stream)
        if self._api.has("capture_check") and not context.is_stream_capturable(handle):
            prepared.why_no_graph = f"{self._api.label} says its work can't be recorded"
            return
        try:
            self._cuda.begin_capture(self._stream)
        except InferenceError as error:
            prepared.why_no_graph = str(error)
            return
        failure: Exception | None = None
        try:
            self._enqueue(context)
        except InferenceError as error:
            failure = error
        try:
            prepared.graph = self._cuda.end_capture(self._stream)
            if failure is None:
                self._cuda.launch(prepared.graph, self._stream)
                self._cuda.synchronize(self._stream)
        except InferenceError as error:
            failure = failure or error
        if failure is not None:
            prepared.graph, prepared.why_no_graph = None, one_line(failure)

    def _release(self, prepared: _Prepared) -> None:
        self._cuda.synchronize(self._stream)
        prepared.graph = None
        prepared.context = None
        self._cuda.free(prepared.device_in)
        self._cuda.free(prepared.device_out)
