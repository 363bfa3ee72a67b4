"""Run a built model on image files; needs neither torch nor nncf."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import (
    CPU_FOLDER,
    GPU_FOLDER,
    TFLITE_SUFFIX,
    CpuRuntimeName,
    ModelInfo,
    RuntimeName,
)
from edge_convnext.core.cache import default_cache_folder
from edge_convnext.core.errors import (
    ArtifactError,
    DataError,
    EdgeConvNextError,
    InferenceError,
)
from edge_convnext.core.files import sha256_file
from edge_convnext.core.progress import Track, untracked
from edge_convnext.runtimes import PrecisionHint, Runtime, RuntimeOptions
from edge_convnext.runtimes.load import (
    available_runtimes,
    find_runtime,
    load_runtime,
    require_runtime,
    runs_hint,
    runtime_names,
)
from edge_convnext.runtimes.metadata import Metadata, read_metadata
from edge_convnext.runtimes.tensorrt.sidecar import is_engine_file, read_facts

if TYPE_CHECKING:
    from edge_convnext.data.video import Frame
    from edge_convnext.report.measured import BenchmarkRow

__all__ = ["Model", "Prediction", "Unanswered", "load_model"]

_Choice: TypeAlias = tuple[RuntimeName, PrecisionHint | None, tuple[tuple[str, str], ...]]
_DEFAULT: _Choice = ("onnxruntime", None, ())


@dataclass(frozen=True)
class Prediction:
    """One image's classes, most likely first."""

    path: Path
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]  # (class, softmax probability), at most five


@dataclass(frozen=True)
class Unanswered:
    """A file that could not be classified, and why."""

    path: Path
    error: EdgeConvNextError  # its message names the file


class Model:
    """A built graph in a runtime, with the preprocessing and class names it carries."""

    def __init__(self, runtime: Runtime, info: ModelInfo) -> None:
        self.runtime = runtime
        self.info = info

    def predict(
        self, images: Sequence[str | os.PathLike[str]], batch: int = 8, track: Track = untracked
    ) -> list[Prediction]:
        """Classify image files, or none of them.

        Args:
            images: Paths of the images; they are preprocessed as the model's metadata says.
            batch: Images per inference.
            track: Shows the batches, if there is more than one.

        Raises:
            DataError: A file is missing or not an image; the message names it.
            InferenceError: The runtime failed, or the logits of an image are not finite numbers.
        """
        found: list[Prediction] = []
        for one in self.answer(images, batch, track):
            if isinstance(one, Unanswered):
                raise one.error
            found.append(one)
        return found

    def answer(
        self, images: Sequence[str | os.PathLike[str]], batch: int = 8, track: Track = untracked
    ) -> Iterator[Prediction | Unanswered]:
        """Classify image files in their order; a file that can't be classified stops no other.

        Args:
            images: Paths of the images; they are preprocessed as the model's metadata says.
            batch: Images per inference.
            track: Shows the batches, if there is more than one.

        Raises:
            DataError: The model's number of input channels fits no image file.
            InferenceError: The runtime failed.
        """
        from edge_convnext.data.batches import iter_each
        from edge_convnext.data.images import Sample
        from edge_convnext.data.preprocess import image_mode

        image_mode(self.info.in_channels)
        paths = [Path(image) for image in images]
        decoded = iter_each(  # decodes the next images meanwhile
            [Sample(path, "") for path in paths],
            self.info.preprocess,
            self.info.in_channels,
            ahead=2 * batch,
        )
        starts: Iterable[int] = range(0, len(paths), batch)
        if len(paths) > batch:
            starts = track(starts, "classifying", -(-len(paths) // batch))
        for start in starts:
            yield from self._classify(paths[start : start + batch], list(islice(decoded, batch)))

    def _classify(
        self, paths: Sequence[Path], images: Sequence[NDArray[np.float32] | DataError]
    ) -> Iterator[Prediction | Unanswered]:
        arrays = [image for image in images if not isinstance(image, DataError)]
        rows = list(self.runtime.infer(np.stack(arrays))) if arrays else []
        for path, image in zip(paths, images, strict=True):
            if isinstance(image, DataError):
                yield Unanswered(path, _advise(path, image))
            elif np.isfinite(row := rows.pop(0)).all():
                yield self._name(path, row)
            else:
                yield Unanswered(path, _no_numbers(path, self.runtime.describe().name))

    def answer_frame(self, frame: Frame, source: Path) -> Prediction | Unanswered:
        """Classify one frame of a video; its pixels are preprocessed as those of a file.

        Args:
            frame: Frame of the mode that `data.preprocess.image_mode` tells for this model.
            source: Path of the video, which the answer has.
        """
        from edge_convnext.data.preprocess import normalise, resize_image

        preprocess = self.info.preprocess
        pixels = np.asarray(resize_image(frame.image, preprocess))
        (answer,) = self._classify([source], [normalise(pixels, preprocess)])
        return answer

    def _name(self, path: Path, logits: NDArray[np.float32]) -> Prediction:
        exponents = np.exp(logits - logits.max())
        probabilities = exponents / exponents.sum()
        order = np.argsort(-probabilities, kind="stable")[:5]
        classes = self.info.classes
        top = tuple(
            (classes[i] if i < len(classes) else str(i), float(probabilities[i]))
            for i in order.tolist()
        )
        return Prediction(path, top[0][0], top[0][1], top)


def _advise(path: Path, error: DataError) -> DataError:
    """The error; for a folder, with a hint on the command that takes folders."""
    if not path.is_dir():
        return error
    return DataError(f"{error}; pass the files in it")


def _no_numbers(path: Path, runtime: str) -> InferenceError:
    return InferenceError(
        f"{path}: the model gave it logits that are infinite or no numbers in {runtime}, so it has "
        "no class; look at the weights, or use a wider precision"
    )


def load_model(
    path: str | os.PathLike[str], runtime: RuntimeName | None = None, threads: int | None = None
) -> Model:
    """Load a built ONNX model, a LiteRT model, or an engine.

    Args:
        path: Model that `edge-convnext build` wrote, such as `model.int8.onnx`; or an `.engine`
            with its sidecar, which runs in the TensorRT it was built for. A `.tflite` runs in
            LiteRT.
        runtime: Runtime of the model. None takes the one that `report.json` next to the file
            chose, if that is installed, and ONNX Runtime otherwise.
        threads: Number of CPU threads; None uses every core this process may use.

    Raises:
        ArtifactError: The file is missing, damaged, not ours, or an engine for another machine or
            runtime.
        MissingDependencyError: The requested runtime is not installed.
    """
    file = Path(path)
    options = RuntimeOptions(threads=threads, cache=_kept_in())
    if is_engine_file(file):
        facts = read_facts(file)
        if runtime not in (None, facts.runtime):
            raise ArtifactError(
                f"{file}: an engine runs in {facts.runtime}; for {runtime} pass the ONNX model"
            )
        return Model(load_runtime(facts.runtime, file, options), facts.info)
    metadata = read_metadata(file)
    info = metadata.info
    if (only := _only_runtime(metadata)) is not None:
        if runtime not in (None, only):
            raise ArtifactError(
                f"{file}: runs in {find_runtime(only).LABEL} alone; for {runtime} pass the ONNX "
                "model"
            )
        return Model(load_runtime(require_runtime(only), file, options), info)
    if runtime is not None and not _reads_onnx(runtime):
        there = ", ".join(sorted(str(one) for one in file.parent.glob(f"*{TFLITE_SUFFIX}")))
        raise ArtifactError(
            f"{file}: {find_runtime(runtime).LABEL} runs {TFLITE_SUFFIX} files, and this is an "
            f"ONNX model; pass {there or 'one that a build wrote with LiteRT installed'}"
        )
    if runtime is None:
        runtime, hint, settings = _chosen_runtime(file)
        options = replace(options, precision_hint=hint, settings=settings)
    return Model(load_runtime(runtime, file, options), info)


def _reads_onnx(runtime: RuntimeName) -> bool:
    """Whether a runtime takes graphs of ONNX, itself or by its builder."""
    return not set(find_runtime(runtime).FORMATS).isdisjoint(find_runtime(_DEFAULT[0]).FORMATS)


def _only_runtime(metadata: Metadata) -> CpuRuntimeName | None:
    """The runtime whose own format a model is in; None where ONNX Runtime loads it."""
    if metadata.format in find_runtime(_DEFAULT[0]).FORMATS:
        return None
    names = runtime_names("graphs")
    return next(name for name in names if metadata.format in find_runtime(name).FORMATS)


def _kept_in() -> Path | None:
    """Where a runtime may keep what it compiled; None for a user without a home."""
    try:
        return default_cache_folder(os.environ)
    except ArtifactError:
        return None


def _runs_here(row: BenchmarkRow) -> bool:
    """Whether a row's runtime works here: the report may come from another machine."""
    if row.runtime not in available_runtimes():
        return False
    return row.precision_hint is None or runs_hint(row.runtime, row.precision_hint)


def _chosen_runtime(path: Path) -> _Choice:
    """The runtime that the report next to the file measured as the best for exactly this file."""
    from edge_convnext.report.contract import Report
    from edge_convnext.report.file_names import REPORT

    whole = path.absolute()
    inside = whole.parent.name in (CPU_FOLDER, GPU_FOLDER)
    try:
        report = Report.read((whole.parent.parent if inside else whole.parent) / REPORT)
    except EdgeConvNextError:
        return _DEFAULT
    digest = sha256_file(path)
    named = next((file.path for file in report.outputs if file.sha256 == digest), None)
    benchmark = report.benchmark
    if named is None or benchmark is None:
        return _DEFAULT
    rows = [row for row in benchmark.rows if row.file == named and _runs_here(row)]
    # The accuracy of the report's choice was measured. Other rows may have been skipped or have
    # failed, so for them only float32 arithmetic is sure to keep the model's accuracy.
    usable = [row for row in rows if row.artifact == benchmark.chosen] or [
        row for row in rows if row.precision_hint not in ("bf16", "f16")
    ]
    best = min(usable, key=lambda row: (row.batch, row.latency_ms_p50), default=None)
    if best is None:
        return _DEFAULT
    return best.runtime, best.precision_hint, tuple(sorted(best.settings.items()))
