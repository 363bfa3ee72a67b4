"""The report of each stage: what it made, how, and why it did not run.

Every step knows its stage, and a stage that did not run left its reason where that was decided: an
entry is what one stage's steps have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.engines import EngineBuild
from edge_convnext.build.gpu_chain import gpu_graph_name
from edge_convnext.build.lineage import Lineage
from edge_convnext.core.artifacts import Engine, OnnxModel, Weights
from edge_convnext.core.step import Skipped, Step
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
from edge_convnext.stages import write_for_tensorrt

if TYPE_CHECKING:
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.artifacts import FormName, Precision
    from edge_convnext.core.recipe import Recipe, TargetName
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.race import Race

__all__ = ["benchmark_entry", "evaluate_entry", "report_stages", "why_not_timed"]

_CLASSIC_TENSORRT = (
    "classic TensorRT builds where the engine will run, from the graphs in gpu/: "
    "`edge-convnext bundle` packs them, "
    "and `bench` builds and measures their engines there"
)
_BY_WEIGHT = ("done", "cached", "failed", "not_run")


@dataclass(frozen=True)
class _Files:
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


def report_stages(
    prepared: Prepared,
    engines: Sequence[EngineBuild],
    chosen: Candidate | None,
    evaluate: StageReport,
    benchmark: StageReport,
    *,
    has_gpu: bool,
    names: Mapping[str, str],
) -> tuple[StageReport, ...]:
    """One entry per stage, in the order of the chain.

    Args:
        prepared: The graphs, and what they were made from.
        engines: Of TensorRT for RTX.
        chosen: What ships in the precision that was asked for: its graphs lead their entries.
        evaluate: From `evaluate_entry`.
        benchmark: From `benchmark_entry`.
        has_gpu: Whether this machine has a GPU.
        names: Shipped file name by artefact digest.
    """
    graphs, recipe, targets = prepared.graphs, prepared.steps.recipe, prepared.targets
    weights, files = prepared.inputs.weights, _Files(names)
    own = {
        "load": _weights_entry("load", weights, files),
        "engine": _engine_entry(engines, targets, graphs, why_not_timed(has_gpu), files),
        "evaluate": evaluate,
        "benchmark": benchmark,
    }
    if graphs.folded is not None:
        own["fold"] = _weights_entry("fold", graphs.folded, files)
    if graphs.for_gpu:
        own["typed"] = _typed_entry(graphs.for_gpu, recipe, files)
    form = chosen.model.form if chosen else None
    lead = partial(_leading, form=form, precision=recipe.precision, names=names)
    return tuple(own.get(name) or _graphs_entry(name, graphs, lead, files) for name in STAGES)


def _graphs_entry(
    name: StageName,
    graphs: Graphs,
    lead: Callable[[Sequence[Step[OnnxModel]]], Step[OnnxModel]],
    files: _Files,
) -> StageReport:
    """What one stage made of graphs, or why it made none."""
    lineages = graphs.lineages.values()
    steps = _distinct(
        step
        for lineage in lineages
        for step in lineage.ran
        if step.stage is not None and step.stage.reported_as == name
    )
    if steps:
        return _made_entry(name, lead(steps), files, steps)
    skipped = [one for lineage in lineages for one in lineage.skipped]
    own = (one for one in (*skipped, *graphs.skipped) if one.stage.reported_as == name)
    return _absent(name, next(own, None))


def _absent(name: StageName, skipped: Skipped | None) -> StageReport:
    if skipped is None:
        return StageReport(name=name, status="not_run", reason="no graph of this build needs it")
    return StageReport(name=name, status=skipped.status, reason=skipped.reason)


def _distinct(steps: Iterable[Step[OnnxModel]]) -> list[Step[OnnxModel]]:
    """Each once: plans share their float graphs."""
    found: dict[Path, Step[OnnxModel]] = {}
    for step in steps:
        found.setdefault(step.value.path, step)
    return list(found.values())


def _leading(
    made: Sequence[Step[OnnxModel]],
    *,
    form: FormName | None,
    precision: Precision,
    names: Mapping[str, str],
) -> Step[OnnxModel]:
    """The shipped one of the graphs that a stage made; of several, the one in the chosen form."""
    leading = next((step for step in made if step.digest in names), made[0])
    if form is None:
        return leading
    same = [step for step in made if step.value.form == form]
    same.sort(key=lambda step: step.digest not in names)
    precise = [step for step in same if step.value.precision == precision]
    return next(iter(precise or same), leading)


def _made_entry(
    name: StageName, leading: Step[OnnxModel], files: _Files, made: Sequence[Step[OnnxModel]]
) -> StageReport:
    """One entry for a stage that made several graphs, of which one leads."""
    status: Status = leading.status
    if status == "cached" and any(step.status == "done" for step in made):
        status = "done"
    return StageReport(
        name=name,
        status=status,
        reason=leading.reason,
        seconds=sum(step.seconds for step in made),
        artifact=files.of(leading),
        parity=_parity(leading),
        variants=tuple(_variant(step, files.of(step)) for step in made),
    )


def _variant(step: Step[OnnxModel], artifact: FileReport, **more: Any) -> VariantReport:
    model = step.value
    return VariantReport(
        form=model.form,
        placement=model.placement,
        precision=model.precision,
        status=step.status,
        reason=step.reason,
        seconds=step.seconds,
        artifact=artifact,
        parity=_parity(step),
        quantized_ops=model.quantized_ops if model.placement else None,
        **more,
    )


def _weights_entry(name: StageName, step: Step[Weights], files: _Files) -> StageReport:
    return StageReport(
        name=name,
        status=step.status,
        reason=step.reason,
        seconds=step.seconds,
        artifact=files.called(step, None),
        parity=_parity(step),
    )


def evaluate_entry(evaluation: Evaluation | None, *, random: bool) -> StageReport:
    """The stage that evaluates.

    Args:
        evaluation: Of all that was evaluated; None without labelled images.
        random: Whether the weights are.
    """
    if evaluation is not None:
        status: Status = "cached" if evaluation.cached else "done"
        return StageReport(name="evaluate", status=status, seconds=evaluation.seconds)
    reason = "no labelled images were given (--data)"
    if random:
        reason = "random weights have no accuracy"
    return StageReport(name="evaluate", status="not_run", reason=reason)


def benchmark_entry(race: Race | None) -> StageReport:
    """The stage that times; without a race, no CPU is among the targets."""
    if race is None:
        reason = "cpu is not among the targets"
        return StageReport(name="benchmark", status="not_run", reason=reason)
    return StageReport(name="benchmark", status="done", seconds=race.seconds)


def why_not_timed(has_gpu: bool) -> str:
    """What the report says of engines that were built."""
    if has_gpu:
        return "built, not timed: `edge-convnext bundle` and `bench` do so on a GPU"
    return "built, not timed: no GPU here"


def _typed_entry(for_gpu: Sequence[Lineage], recipe: Recipe, files: _Files) -> StageReport:
    """Graphs as TensorRT takes them; the requested precision leads."""
    variants = tuple(_typed_variants(for_gpu, files))
    return StageReport(
        name="typed",
        status="done" if any(one.status == "done" for one in variants) else "cached",
        reason=_typed_reason(for_gpu, recipe),
        seconds=sum(one.seconds or 0.0 for one in variants),
        artifact=variants[0].artifact,
        parity=variants[0].parity,
        variants=variants,
    )


def _typed_variants(lineages: Iterable[Lineage], files: _Files) -> Iterator[VariantReport]:
    for lineage in lineages:
        step, plan = lineage.at(write_for_tensorrt.STAGE), lineage.plan
        if step is not None:
            artifact = files.called(step, gpu_graph_name(step.value.path))
            target = "rtx" if plan.family == "typed" else "tensorrt"
            yield _variant(step, artifact, batch=plan.batch, target=target)


def _typed_reason(for_gpu: Sequence[Lineage], recipe: Recipe) -> str | None:
    notes = [one.final.reason for one in for_gpu if one.final.reason]
    if recipe.quantize.activation_type == "uint8" and recipe.precision == "int8":
        notes.insert(0, "signed activations: TensorRT has no uint8 ones")
    return "; ".join(dict.fromkeys(notes)) or None


def _engine_entry(
    engines: Sequence[EngineBuild],
    targets: Sequence[TargetName],
    graphs: Graphs,
    untimed: str,
    files: _Files,
) -> StageReport:
    """One variant per engine; that of the requested precision at the smallest batch leads."""
    variants = [_engine_variant(build, untimed, files) for build in engines]
    texts = [variant.reason for variant in variants if variant.reason]
    reasons = [part for text in texts for part in text.split("; ")]  # each is said once, below
    if "rtx" not in targets:
        reasons.append("rtx is not among the targets")
    elif not variants:  # nobody named the target, and its graphs failed
        skipped = graphs.why_not("typed")
        assert skipped is not None  # there is a reason where there are no graphs
        variants.append(VariantReport(target="rtx", status=skipped.status, reason=skipped.reason))
        reasons.append(skipped.reason)
    if "tensorrt" in targets:
        variants.append(
            VariantReport(target="tensorrt", status="not_run", reason=_CLASSIC_TENSORRT)
        )
        reasons = [*reasons, _CLASSIC_TENSORRT] if "rtx" in targets else [_CLASSIC_TENSORRT]
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


def _engine_variant(build: EngineBuild, untimed: str, files: _Files) -> VariantReport:
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
        reason=f"{untimed}{found}",
        seconds=step.seconds,
        artifact=files.called(step, step.value.path.name),
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


def _parity(step: Step[Any]) -> ParityReport | None:
    return None if step.parity is None else ParityReport(**asdict(step.parity))
