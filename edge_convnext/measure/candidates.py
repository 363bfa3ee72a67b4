"""Candidates are evaluated, timed and chosen from: each is a graph or engine in a runtime."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import OnnxModel, RuntimeName
from edge_convnext.core.quotas import usable_cores
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import find_runtime, load_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_convnext.core.step import Step
    from edge_convnext.runtimes import PrecisionHint, Runtime

__all__ = ["Candidate", "load_candidate", "load_each", "merge_settings"]

_LOADED: set[str] = set()  # runtimes that this process has loaded something in


@dataclass(frozen=True)
class Candidate:
    """A graph or an engine in a runtime, at one float precision.

    Builds, boards, searches for a plan and `bench` all compare these.
    """

    model: OnnxModel  # for an engine, the graph that it was built from
    digest: str  # SHA-256 of a graph, key of an engine; equal ones give equal logits in a runtime
    runtime: RuntimeName
    hint: PrecisionHint | None = None  # float type of layers that are not quantized; None: default
    settings: tuple[tuple[str, str], ...] = ()  # runtime settings beyond this package's defaults
    may_ship: bool = True  # False for forms that are timed for comparison and never shipped
    batch: int | None = None  # the only batch size that it runs; None: any
    title: str | None = None  # its name; None makes one from the file's name

    @classmethod
    def of(
        cls,
        graph: Step[OnnxModel],
        runtime: RuntimeName,
        hint: PrecisionHint,
        *,
        may_ship: bool,
        settings: tuple[tuple[str, str], ...] = (),
    ) -> Candidate:
        """Make a candidate of a graph that a stage of this build made."""
        return cls(graph.value, graph.digest, runtime, hint, settings, may_ship)

    @property
    def name(self) -> str:
        """A name, unique in a comparison, such as `conv.pointwise.int8.onnx openvino f32`."""
        return self.title or self.label(self.model.path.name)

    def label(self, file: str) -> str:
        """Its name if its file is called `file`."""
        settings = "".join(f"+{key}={value}" for key, value in self.settings)
        return f"{file} {self.runtime} {self.hint}{settings}"

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU runs it."""
        return find_runtime(self.runtime).LOADS == "engines"

    def fits(self, batch: int) -> bool:
        """Whether it can be timed at this batch size."""
        return self.batch in (None, batch)

    def options(
        self, batch: int | None, threads: int | None, cache: Path | None = None
    ) -> RuntimeOptions:
        """Options to load it with; its own batch size takes precedence over `batch`."""
        return RuntimeOptions(threads, self.batch or batch, self.hint, self.settings, cache)


def merge_settings(
    stated: tuple[tuple[str, str], ...], more: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Settings with others added; of one name, those added count."""
    return tuple(sorted({**dict(stated), **dict(more)}.items()))


def load_candidate(
    candidate: Candidate, batch: int | None, threads: int | None, cache: Path | None = None
) -> Runtime:
    """Load a candidate in its runtime.

    Args:
        candidate: Candidate to load.
        batch: Images per inference; None is the exported size.
        threads: Number of CPU threads; None is all.
        cache: Folder where a runtime may keep what it compiled; None: nowhere.

    Raises:
        MissingDependencyError: The runtime is not installed.
        ArtifactError: The file is missing.
        InferenceError: The runtime refused the graph.
    """
    loaded = load_runtime(
        candidate.runtime, candidate.model.path, candidate.options(batch, threads, cache)
    )
    _LOADED.add(candidate.runtime)
    return loaded


def load_each(
    candidates: Sequence[Candidate], load: Callable[[Candidate], Runtime]
) -> list[Runtime]:
    """Load candidates two at a time, as compiling keeps one core busy.

    On a GPU it is one after the other, and so where a runtime is loaded for the first time: its
    library may belong to the thread that loads it.

    Args:
        candidates: Candidates to load.
        load: Function that loads one by `load_candidate`.

    Returns:
        The loaded models in the order of `candidates`.
    """
    runtimes = {candidate.runtime for candidate in candidates}
    if not runtimes <= _LOADED or any(candidate.on_gpu for candidate in candidates):
        return [load(candidate) for candidate in candidates]
    with ThreadPoolExecutor(min(2, usable_cores())) as pool:
        return list(pool.map(load, candidates))
