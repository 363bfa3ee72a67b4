"""The interface of every runtime, and the checks that all share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast, runtime_checkable

import numpy as np

from edge_convnext.core.errors import ArtifactError, InferenceError, reason_of, shorten
from edge_convnext.core.quotas import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "GpuRuntime",
    "PrecisionHint",
    "Runtime",
    "RuntimeInfo",
    "RuntimeOptions",
    "Streams",
    "as_logits",
    "check_settings",
    "infer_in_pieces",
    "native_images",
    "one_line",
    "require_file",
    "require_one_input",
    "usable_cores",
]

PrecisionHint = Literal["f32", "bf16", "f16"]

_REASON_CHARS = 300
_SOURCE_POSITION = re.compile(r"Exception from \S+:\d+:")


@dataclass(frozen=True)
class RuntimeOptions:
    """How to load a graph.

    `batch` specialises the graph to one batch size, so a runtime plans its memory and chooses its
    kernels once. `infer` still takes any number of images. `settings` are names and values of the
    runtime itself: session configuration entries of ONNX Runtime or properties of OpenVINO. In
    addition, `batch=dynamic` leaves the graph as it was exported.
    """

    threads: int | None = None  # None: every core this process may use
    batch: int | None = None  # None: as exported
    precision_hint: PrecisionHint | None = None  # type of float computations; None: f32
    settings: tuple[tuple[str, str], ...] = ()
    cache: Path | None = None  # folder where a runtime may keep what it compiled; None: nowhere

    @property
    def static_batch(self) -> int | None:
        """The batch size to specialise the graph to; None for none."""
        return None if ("batch", "dynamic") in self.settings else self.batch

    @property
    def native_settings(self) -> dict[str, str]:
        """`settings` without `batch`, which is this package's."""
        return {key: value for key, value in self.settings if key != "batch"}


@dataclass(frozen=True)
class Streams:
    """How one graph is run several times at once on one CPU.

    A stream is a part of the threads, and computes one inference. With as many streams as threads
    each inference has one thread, which never waits for another: more images are done in a second,
    and each takes longer.
    """

    streams: int
    requests: int  # inferences that are asked for at once; more than `streams` wait for a free one


@dataclass(frozen=True)
class RuntimeInfo:
    """The runtime and its options, precisely enough to repeat a run."""

    name: str
    version: str
    threads: int
    batch: int | None  # the only batch size of the graph; None if it is dynamic
    options: Mapping[str, str]


class Runtime(Protocol):
    """A loaded graph."""

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W], any N >= 1, to logits float32[N, classes].

        Raises:
            InferenceError: The images don't fit the graph, or the runtime failed.
        """
        ...

    def describe(self) -> RuntimeInfo:
        """Describe the runtime: its name, version and the options in force."""
        ...


@runtime_checkable
class GpuRuntime(Runtime, Protocol):
    """A loaded engine, whose GPU time can be measured without the copies."""

    def time_launches(self, batch: int, count: int) -> list[float]:
        """Time `count` inferences of one batch back to back; return GPU milliseconds of each.

        Raises:
            InferenceError: The engine has no such batch size, or the GPU failed.
        """
        ...


def require_file(path: Path) -> Path:
    """Return `path` if it is a file.

    Raises:
        ArtifactError: `path` is no file.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; pass a model that `edge-convnext build` wrote")
    return path


def require_one_input(count: int, path: Path) -> None:
    """Refuse a graph or engine that takes anything besides the images.

    Raises:
        InferenceError: `count`, the number of its inputs, is not one.
    """
    if count != 1:
        raise InferenceError(
            f"{path}: has {count} inputs; one, the images, is needed; pass a model that "
            "`edge-convnext build` wrote, or export it with the images as its only input"
        )


def one_line(error: Exception) -> str:
    """Shorten a native library's message to one line without source positions."""
    return " ".join(_SOURCE_POSITION.sub("", reason_of(error, _REASON_CHARS)).split())


def check_settings(options: RuntimeOptions, known: frozenset[str], runtime: str) -> dict[str, str]:
    """Return the runtime's settings if each one only changes how it computes.

    Settings come from recipes and from the report next to a model, which may be anyone's. Other
    settings of a runtime make it write caches or dumps to any path.

    Raises:
        InferenceError: A setting is not in `known`.
    """
    for name in options.native_settings:
        if name not in known:
            raise InferenceError(
                f"{runtime}: '{shorten(name)}' is not one of the accepted settings "
                f"({', '.join(sorted(known))})"
            )
    return options.native_settings


def _check_images(
    images: NDArray[np.float32], expected: tuple[int | None, ...], source: str
) -> NDArray[np.float32]:
    """Return `images`, contiguous, if they fit a graph.

    Args:
        images: float32[N, C, H, W].
        expected: The graph's input shape, None where it is dynamic; the batch is not compared.
        source: The graph's name for messages.

    Raises:
        InferenceError: The images have another dtype or shape, or there are none.
    """
    fits = images.ndim == len(expected) and all(
        want is None or want == have
        for want, have in zip(expected[1:], images.shape[1:], strict=True)
    )
    if images.dtype != np.float32 or not fits or len(images) == 0:
        want = ", ".join("N" if i == 0 else str(d or "any") for i, d in enumerate(expected))
        have = ", ".join(map(str, images.shape))
        raise InferenceError(
            f"{source} takes float32[{want}], not {images.dtype}[{have}]; "
            "prepare the images with the preprocessing this model was built with"
        )
    return np.ascontiguousarray(images)


def infer_in_pieces(
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    images: NDArray[np.float32],
    shape: tuple[int | None, ...],
    source: str,
) -> NDArray[np.float32]:
    """Check images and run any number of them through a graph, also one of fixed batch size.

    With a fixed batch size, copies of the last image fill up the last piece, and their logits are
    dropped. No operator of these networks mixes images.

    Args:
        run: The function that runs one batch.
        images: Normalised images, float32[N, C, H, W].
        shape: The graph's input shape, None where it is dynamic.
        source: The graph's name for messages.

    Returns:
        Logits, float32[N, classes].

    Raises:
        InferenceError: The images don't fit the graph.
    """
    images, batch = _check_images(images, shape, source), shape[0]
    if batch is None or len(images) == batch:
        return run(images)
    outputs = []
    for start in range(0, len(images), batch):
        piece = images[start : start + batch]
        missing = batch - len(piece)
        filled = np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)])
        outputs.append(run(filled)[: len(piece)])
    return np.concatenate(outputs)


def native_images(runtime: Runtime, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """A batch as a runtime takes it without converting anything: what a timing passes.

    Args:
        runtime: Loaded graph; one of pixels has a method `prepare`.
        images: One whole batch, normalised, float32[N, C, H, W].

    Returns:
        The images; of a graph of pixels, those pixels, in its own type and layout.
    """
    prepare = getattr(runtime, "prepare", None)
    return images if prepare is None else cast("NDArray[np.float32]", prepare(images))


def as_logits(output: object, images: int, source: str) -> NDArray[np.float32]:
    """Return a runtime's output as float32[images, classes].

    Raises:
        InferenceError: The output has another shape.
    """
    logits = np.asarray(output, dtype=np.float32)
    if logits.ndim != 2 or len(logits) != images:
        raise InferenceError(
            f"{source} gave an output of shape {list(logits.shape)} for {images} images; "
            "its first output has to be logits [N, classes]"
        )
    return logits
