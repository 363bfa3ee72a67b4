"""The report of each stage: what it made, how, and why it did not run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.artifacts import Engine, OnnxModel
from edge_convnext.report import (
    STAGES,
    EngineReport,
    FileReport,
    ParityReport,
    StageName,
    StageReport,
    Status,
    VariantReport,
)
from edge_convnext.step import Step

if TYPE_CHECKING:
    from edge_convnext.pipeline import Outcome

__all__ = ["report_stages", "why_not_timed"]

_CLASSIC_TENSORRT = (
    "classic TensorRT builds on the board itself, from the ONNX model; "
    "this version does not do it for you"
)


def report_stages(
    outcome: Outcome, folder: Path, names: Mapping[str, str]
) -> tuple[StageReport, ...]:
    """One entry per stage, in the order of the chain.

    Args:
        outcome: Of a finished chain.
        folder: Where the artefacts were copied to.
        names: Shipped file name by artefact digest.
    """
    graphs = outcome.graphs
    weights = outcome.inputs.weights
    by_name: dict[StageName, StageReport] = {
        "load": StageReport(
            name="load",
            status=weights.status,
            reason=weights.reason,
            seconds=weights.seconds,
            artifact=_file(weights, weights.value.path, folder),
        ),
        "fold": _absent("fold", "skipped", "--no-fold"),
        "export": _graph_stage("export", outcome, folder, names, graphs.exported.values()),
        "simplify": _absent("simplify", "skipped", "--no-simplify"),
        "approximate": _absent("approximate", "not_run", "no plan asks for an approximation"),
        "equalize": _absent("equalize", "not_run", _why_not_quantized(outcome)),
        "quantize": _absent("quantize", "not_run", _why_not_quantized(outcome)),
        "lower": _absent("lower", "not_run", "no plan is for ONNX Runtime alone"),
        "engine": _engine_stage(outcome, folder),
        "evaluate": _absent("evaluate", "not_run", _why_not_evaluated(outcome)),
        "benchmark": _absent("benchmark", "not_run", "cpu is not among the targets"),
    }
    if graphs.folded is not None:
        folded = graphs.folded
        by_name["fold"] = StageReport(
            name="fold",
            status=folded.status,
            seconds=folded.seconds,
            artifact=_file(folded, folded.value.path, folder),
            parity=_parity(folded),
        )
    if graphs.simplified:
        simplified = graphs.simplified.values()
        by_name["simplify"] = _graph_stage("simplify", outcome, folder, names, simplified)
    if graphs.approximated:
        approximated = graphs.approximated.values()
        by_name["approximate"] = _graph_stage("approximate", outcome, folder, names, approximated)
    if graphs.equalized:
        equalized = graphs.equalized.values()
        by_name["equalize"] = _graph_stage("equalize", outcome, folder, names, equalized)
    elif graphs.quantized:
        by_name["equalize"] = _absent("equalize", "skipped", "equalize.enabled is false")
    if graphs.quantized:
        quantized = graphs.quantized.values()
        by_name["quantize"] = _graph_stage("quantize", outcome, folder, names, quantized)
    if outcome.unrecovered is not None:
        by_name["recover"] = _absent("recover", "not_run", outcome.unrecovered)
    else:
        recovered = [step.of(step.value.model) for step in graphs.recovered.values()]
        by_name["recover"] = _graph_stage("recover", outcome, folder, names, recovered)
    if graphs.lowered:
        lowered = graphs.lowered.values()
        by_name["lower"] = _graph_stage("lower", outcome, folder, names, lowered)
    if outcome.evaluation is not None:
        status = "cached" if outcome.evaluation.cached else "done"
        seconds = outcome.evaluation.seconds
        by_name["evaluate"] = StageReport(name="evaluate", status=status, seconds=seconds)
    if outcome.timings is not None:
        by_name["benchmark"] = StageReport(
            name="benchmark", status="done", seconds=outcome.timing_seconds
        )
    return tuple(by_name[name] for name in STAGES)


def _absent(name: StageName, status: str, reason: str) -> StageReport:
    return StageReport.model_validate({"name": name, "status": status, "reason": reason})


def _why_not_quantized(outcome: Outcome) -> str:
    return f"the precision is {outcome.recipe.precision}"


def _why_not_evaluated(outcome: Outcome) -> str:
    if outcome.inputs.random:
        return "random weights have no accuracy"
    return "no labelled images were given (--data)"


def _graph_stage(
    name: StageName,
    outcome: Outcome,
    folder: Path,
    names: Mapping[str, str],
    steps: Iterable[Step[OnnxModel]],
) -> StageReport:
    """One entry for a stage that made several graphs: the shipped one leads."""
    made = list(steps)
    leading = next((step for step in made if step.digest in names), made[0])
    if outcome.chosen is not None:  # of several shipped graphs, the one in its form
        form = outcome.chosen.model.form
        same = [step for step in made if step.value.form == form]
        same.sort(key=lambda step: step.digest not in names)
        precise = [step for step in same if step.value.precision == outcome.recipe.precision]
        leading = next(iter(precise or same), leading)
    status: Status = leading.status
    if status == "cached" and any(step.status == "done" for step in made):
        status = "done"
    return StageReport(
        name=name,
        status=status,
        reason=leading.reason,
        seconds=sum(step.seconds for step in made),
        artifact=_shipped_file(leading, folder, names),
        parity=_parity(leading),
        variants=tuple(_variant(step, folder, names) for step in made),
    )


def _variant(step: Step[OnnxModel], folder: Path, names: Mapping[str, str]) -> VariantReport:
    model = step.value
    return VariantReport(
        form=model.form,
        placement=model.placement,
        precision=model.precision,
        status=step.status,
        reason=step.reason,
        seconds=step.seconds,
        artifact=_shipped_file(step, folder, names),
        parity=_parity(step),
        quantized_ops=model.quantized_ops if model.placement else None,
    )


def why_not_timed(outcome: Outcome) -> str:
    """What the report says of an engine that was built."""
    if outcome.machine["gpus"]:
        return "built, not timed: this version times CPU runtimes only"
    return "built, not timed: no GPU here"


def _engine_stage(outcome: Outcome, folder: Path) -> StageReport:
    built, reason = outcome.engine, outcome.engine_reason or why_not_timed(outcome)
    absent = outcome.engine_status
    variants = []
    if built is not None:
        variants.append(
            VariantReport(
                target="rtx",
                precision=built.value.precision,
                status=built.status,
                reason=reason,
                seconds=built.seconds,
                artifact=_file(built, folder / built.value.path.name),
                engine=_engine(built.value),
            )
        )
    elif "rtx" in outcome.targets:
        variants.append(VariantReport(target="rtx", status=absent, reason=reason))
    if "tensorrt" in outcome.targets:
        variants.append(
            VariantReport(target="tensorrt", status="not_run", reason=_CLASSIC_TENSORRT)
        )
        reason = reason if "rtx" in outcome.targets else _CLASSIC_TENSORRT
    return StageReport(
        name="engine",
        status=built.status if built else absent,
        reason=reason,
        seconds=built.seconds if built else None,
        artifact=_file(built, folder / built.value.path.name) if built else None,
        variants=tuple(variants),
    )


def _engine(engine: Engine) -> EngineReport:
    return EngineReport(
        builder=engine.builder,
        compute_capabilities=engine.compute_capabilities,
        kernels=engine.kernels,
        int8_kernels=engine.int8_kernels,
        activation_bytes=engine.activation_bytes,
        weight_bytes=engine.weight_bytes,
    )


def _shipped_file(step: Step[OnnxModel], folder: Path, names: Mapping[str, str]) -> FileReport:
    name = names.get(step.digest)
    return _file(step, folder / name if name else step.value.path, folder)


def _file(step: Step[Any], path: Path, folder: Path | None = None) -> FileReport:
    """The digest was checked when the cache was read: no need to hash the file again."""
    inside = path.name if folder is None or path.is_relative_to(folder) else path.as_posix()
    return FileReport(path=inside, sha256=step.digest, bytes=path.stat().st_size)


def _parity(step: Step[Any]) -> ParityReport | None:
    return None if step.parity is None else ParityReport(**asdict(step.parity))
