"""The parts of all stage entries: files, variants, parity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.report.described import FileReport
from edge_convnext.report.stages import ParityReport, VariantReport

__all__ = ["StageFiles", "report_parity", "report_variant"]


@dataclass(frozen=True)
class StageFiles:
    """The names under which the artefacts of a build ship."""

    names: Mapping[str, str]  # by artefact digest; other artefacts stay in the cache

    def of(self, step: Step[Any]) -> FileReport:
        """The file of an artefact, by its shipped name or its path in the cache."""
        return self.called(step, self.names.get(step.digest))

    def called(self, step: Step[Any], name: str | None) -> FileReport:
        """The file of an artefact, with the digest that was checked when the cache was read."""
        path = step.value.path
        size_bytes = path.stat().st_size
        return FileReport(path=name or path.as_posix(), sha256=step.digest, bytes=size_bytes)


def report_variant(step: Step[OnnxModel], artifact: FileReport, **more: Any) -> VariantReport:
    """Report one of several graphs of a stage; `more` are fields that only some stages have."""
    model = step.value
    return VariantReport(
        form=model.form,
        placement=model.placement,
        precision=model.precision,
        status=step.status,
        reason=step.reason,
        seconds=step.seconds,
        artifact=artifact,
        parity=report_parity(step),
        quantized_ops=model.quantized_ops if model.placement else None,
        **more,
    )


def report_parity(step: Step[Any]) -> ParityReport | None:
    """The parity of a step with its reference; None if they were not compared."""
    return None if step.parity is None else ParityReport(**asdict(step.parity))
