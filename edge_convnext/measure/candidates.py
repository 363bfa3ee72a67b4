"""What is raced: a graph in a runtime, at one float precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.measure.benchmark import Candidate

if TYPE_CHECKING:
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["Option", "as_candidate"]


@dataclass(frozen=True)
class Option:
    """A graph in a runtime."""

    graph: Step[OnnxModel]
    runtime: CpuRuntimeName
    hint: PrecisionHint  # float type of what is not quantized
    may_ship: bool  # a rival form only sets the pace: it is raced, not evaluated
    settings: tuple[tuple[str, str], ...] = ()  # of the runtime, beyond this package's own

    @property
    def model(self) -> OnnxModel:
        """The graph on disk."""
        return self.graph.value

    @property
    def name(self) -> str:
        """Unique within a build: such as `conv.pointwise.int8.onnx openvino f32`."""
        return self.label(None)

    def label(self, file: str | None) -> str:
        """`name`, with the file called as it is shipped."""
        settings = "".join(f"+{key}={value}" for key, value in self.settings)
        return f"{file or self.model.path.name} {self.runtime} {self.hint}{settings}"


def as_candidate(option: Option) -> Candidate:
    """An option as the benchmark takes it, under its own name."""
    model = option.model
    return Candidate(
        option.name, model.path, model.precision, model.form, model.placement, option.runtime,
        option.hint, option.settings,
    )  # fmt: skip
