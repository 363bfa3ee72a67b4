"""The report of each stage: what it made, how, and why it did not run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.gpu_graphs import EngineBuild, GpuGraph
from edge_convnext.build.gpu_steps import gpu_graph_name
from edge_convnext.core.artifacts import Engine, OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.networks.family import family_of_model
from edge_convnext.report.contract import (
    STAGES,
    EngineReport,
    FileReport,
    ParityReport,
    StageName,
    StageReport,
    Status,
    VariantReport,
)

if TYPE_CHECKING:
    from edge_convnext.build.outcome import Outcome

__all__ = ["report_stages", "why_not_timed"]

_CLASSIC_TENSORRT = (
    "classic TensorRT builds where the engine will run, from the graphs in gpu/: "
    "`edge-convnext bundle` packs them, "
    "and `bench` builds and measures their engines there"
)
_BY_WEIGHT = ("done", "cached", "failed", "not_run")


def report_stages(
    outcome: Outcome, folder: Path, names: Mapping[str, str]
) -> tuple[StageReport, ...]:
    """One entry per stage, in the order of the chain.

    Args:
        outcome: Of a finished chain.
        folder: Where the artefacts were copied to.
        names: Shipped file name by artefact digest.
    """
    graphs, for_gpu = outcome.graphs, outcome.gpu_graphs.made
    exported = [*graphs.exported.values(), *_distinct(one.exported for one in for_gpu)]
    weights = outcome.inputs.weights
    by_name: dict[StageName, StageReport] = {
        "load": StageReport(
            name="load",
            status=weights.status,
            reason=weights.reason,
            seconds=weights.seconds,
            artifact=_file(weights, weights.value.path, folder),
        ),
        "fold": _absent("fold", "skipped", _why_not_folded(outcome)),
        "export": _graph_stage("export", outcome, folder, names, exported),
        "simplify": _absent("simplify", "skipped", "--no-simplify"),
        "approximate": _absent("approximate", "not_run", "no plan asks for an approximation"),
        "equalize": _absent("equalize", "not_run", _why_not_quantized(outcome)),
        "quantize": _absent("quantize", "not_run", _why_not_quantized(outcome)),
        "lower": _absent("lower", "not_run", "no plan is for ONNX Runtime alone"),
        "typed": _typed_stage(outcome, folder),
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
    simplified = [*graphs.simplified.values(), *_distinct(one.simplified for one in for_gpu)]
    if simplified:
        by_name["simplify"] = _graph_stage("simplify", outcome, folder, names, simplified)
    approximated = [
        *graphs.approximated.values(), *_distinct(one.approximated for one in for_gpu)
    ]  # fmt: skip
    if approximated:
        by_name["approximate"] = _graph_stage("approximate", outcome, folder, names, approximated)
    if graphs.equalized:
        equalized = graphs.equalized.values()
        by_name["equalize"] = _graph_stage("equalize", outcome, folder, names, equalized)
    elif graphs.quantized:
        by_name["equalize"] = _absent("equalize", "skipped", "equalize.enabled is false")
    elif outcome.recipe.precision == "int8":
        by_name["equalize"] = _absent("equalize", "not_run", "cpu is not among the targets")
    quantized = [*graphs.quantized.values(), *_distinct(one.placed for one in for_gpu)]
    if quantized:
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


def _why_not_folded(outcome: Outcome) -> str:
    family = family_of_model(outcome.recipe.model)
    return "--no-fold" if family.folds else f"{family.label} has nothing to fold"


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


def _distinct(steps: Iterable[Step[OnnxModel] | None]) -> list[Step[OnnxModel]]:
    """Without those that are not there, and each once: plans share their float graphs."""
    return list({step.value.path: step for step in steps if step is not None}.values())


def why_not_timed(outcome: Outcome) -> str:
    """What the report says of engines that were built."""
    if outcome.machine["gpus"]:
        return "built, not timed: `edge-convnext bundle` and `bench` do so on a GPU"
    return "built, not timed: no GPU here"


def _typed_stage(outcome: Outcome, folder: Path) -> StageReport:
    """Graphs as TensorRT takes them; the requested precision leads."""
    graphs = outcome.gpu_graphs
    if not graphs.made:
        assert graphs.reason is not None  # there is one where there are no graphs
        return _absent("typed", graphs.status, graphs.reason)
    variants = tuple(_typed_variants(graphs.made, folder))
    ran = [graph.written for graph in graphs.made]
    return StageReport(
        name="typed",
        status="done" if any(step.status == "done" for step in ran) else "cached",
        reason=_typed_reason(outcome),
        seconds=sum(step.seconds for step in ran),
        artifact=variants[0].artifact,
        parity=variants[0].parity,
        variants=variants,
    )


def _typed_variants(graphs: Iterable[GpuGraph], folder: Path) -> Iterator[VariantReport]:
    for graph in graphs:
        step = graph.written
        yield VariantReport(
            form=step.value.form,
            placement=step.value.placement,
            precision=step.value.precision,
            batch=graph.plan.batch,
            target="rtx" if graph.plan.family == "typed" else "tensorrt",
            status=step.status,
            reason=step.reason,
            seconds=step.seconds,
            artifact=_file(step, folder / gpu_graph_name(step.value.path), folder),
            parity=_parity(step),
            quantized_ops=step.value.quantized_ops if step.value.placement else None,
        )


def _typed_reason(outcome: Outcome) -> str | None:
    notes = [one.written.reason for one in outcome.gpu_graphs.made if one.written.reason]
    if outcome.recipe.quantize.activation_type == "uint8" and outcome.recipe.precision == "int8":
        notes.insert(0, "signed activations: TensorRT has no uint8 ones")
    return "; ".join(dict.fromkeys(notes)) or None


def _engine_stage(outcome: Outcome, folder: Path) -> StageReport:
    """One variant per engine; that of the requested precision at the smallest batch leads."""
    variants = [_engine_variant(outcome, build, folder) for build in outcome.engines]
    texts = [variant.reason for variant in variants if variant.reason]
    reasons = [part for text in texts for part in text.split("; ")]  # each is said once, below
    if "rtx" not in outcome.targets:
        reasons.append("rtx is not among the targets")
    elif not variants:  # nobody named the target, and its graphs failed
        graphs = outcome.gpu_graphs
        assert graphs.reason is not None
        variants.append(VariantReport(target="rtx", status=graphs.status, reason=graphs.reason))
        reasons.append(graphs.reason)
    if "tensorrt" in outcome.targets:
        variants.append(
            VariantReport(target="tensorrt", status="not_run", reason=_CLASSIC_TENSORRT)
        )
        reasons = [*reasons, _CLASSIC_TENSORRT] if "rtx" in outcome.targets else [_CLASSIC_TENSORRT]
    built = [variant for variant in variants if variant.engine]
    statuses = {variant.status for variant in built or variants}
    status = next((one for one in _BY_WEIGHT if one in statuses), "not_run")
    return StageReport.model_validate(
        {
            "name": "engine",
            "status": status,
            "reason": "; ".join(dict.fromkeys(reasons)),
            "seconds": sum(variant.seconds or 0.0 for variant in built) if built else None,
            "artifact": built[0].artifact if built else None,
            "variants": tuple(variants),
        }
    )


def _engine_variant(outcome: Outcome, build: EngineBuild, folder: Path) -> VariantReport:
    plan, step = build.plan, build.step
    fields: dict[str, Any] = {
        "target": "rtx",
        "form": plan.form,
        "placement": plan.placement,
        "precision": plan.precision,
        "batch": plan.batch,
    }
    if step is None:
        return VariantReport(**fields, status=build.status, reason=build.reason)
    found = f"; {plan.precision} batch {plan.batch} {step.reason}" if step.reason else ""
    return VariantReport(
        **fields,
        status=step.status,
        reason=f"{why_not_timed(outcome)}{found}",
        seconds=step.seconds,
        artifact=_file(step, folder / step.value.path.name, folder),
        engine=_engine(step.value),
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


def _file(step: Step[Any], path: Path, folder: Path) -> FileReport:
    """The digest was checked when the cache was read: no need to hash the file again."""
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    return FileReport(path=inside.as_posix(), sha256=step.digest, bytes=path.stat().st_size)


def _parity(step: Step[Any]) -> ParityReport | None:
    return None if step.parity is None else ParityReport(**asdict(step.parity))
