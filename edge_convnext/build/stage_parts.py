"""What the entries of all stages are made of: files, variants, parity."""

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
    """What the artefacts of a build are called where they ship."""

    names: Mapping[str, str]  # by artefact digest; what is not among them stays in the cache

    def of(self, step: Step[Any]) -> FileReport:
        """By its shipped name, or where it lies in the cache."""
        return self.called(step, self.names.get(step.digest))

    def called(self, step: Step[Any], name: str | None) -> FileReport:
        """The digest was checked when the cache was read: no need to hash the file again."""
        path = step.value.path
        size_bytes = path.stat().st_size
        return FileReport(path=name or path.as_posix(), sha256=step.digest, bytes=size_bytes)


def report_variant(step: Step[OnnxModel], artifact: FileReport, **more: Any) -> VariantReport:
    """One of several graphs that a stage made; `more` are fields that only some stages have."""
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
    """A step against the one before; None where they were not compared."""
    return None if step.parity is None else ParityReport(**asdict(step.parity))
