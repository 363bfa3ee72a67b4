"""The report's entries of the stages for TensorRT: the graphs that it reads, and engines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_convnext.build.engines import EngineBuild
from edge_convnext.build.lineage import Lineage
from edge_convnext.build.stage_parts import StageFiles, report_variant
from edge_convnext.core.artifacts import Engine
from edge_convnext.report.file_names import gpu_graph_name
from edge_convnext.report.stages import EngineReport, StageReport, VariantReport
from edge_convnext.stages import write_for_tensorrt

if TYPE_CHECKING:
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.core.recipe import Recipe, TargetName

__all__ = ["engine_entry", "typed_entry", "why_not_timed"]

_CLASSIC_TENSORRT = (
    "classic TensorRT builds where the engine will run, from the graphs in gpu/: "
    "`edge-convnext bundle` packs them, "
    "and `bench` builds and measures their engines there"
)
_BY_WEIGHT = ("done", "cached", "failed", "not_run")


def why_not_timed(has_gpu: bool) -> str:
    """The reason, for the report, that built engines were not timed."""
    if has_gpu:
        return "built, not timed: `edge-convnext bundle` and `bench` do so on a GPU"
    return "built, not timed: no GPU here"


def typed_entry(for_gpu: Sequence[Lineage], recipe: Recipe, files: StageFiles) -> StageReport:
    """The entry of the graphs that TensorRT reads; the requested precision leads."""
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


def _typed_variants(lineages: Iterable[Lineage], files: StageFiles) -> Iterator[VariantReport]:
    for lineage in lineages:
        step, plan = lineage.at(write_for_tensorrt.STAGE), lineage.plan
        if step is not None:
            artifact = files.called(step, gpu_graph_name(step.value.path))
            target = "rtx" if plan.family == "typed" else "tensorrt"
            yield report_variant(step, artifact, batch=plan.batch, target=target)


def _typed_reason(for_gpu: Sequence[Lineage], recipe: Recipe) -> str | None:
    notes = [one.final.reason for one in for_gpu if one.final.reason]
    if recipe.quantize.activation_type == "uint8" and recipe.precision == "int8":
        notes.insert(0, "signed activations: TensorRT has no uint8 ones")
    return "; ".join(dict.fromkeys(notes)) or None


def engine_entry(
    engines: Sequence[EngineBuild],
    targets: Sequence[TargetName],
    graphs: Graphs,
    untimed: str,
    files: StageFiles,
) -> StageReport:
    """The entry of engines; the requested precision at the smallest batch leads."""
    variants = [_engine_variant(build, untimed, files) for build in engines]
    texts = [variant.reason for variant in variants if variant.reason]
    reasons = [part for text in texts for part in text.split("; ")]  # each is said once, below
    if "rtx" not in targets:
        reasons.append("rtx is not among the targets")
    elif not variants:  # the target was only the default, and its graphs failed
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


def _engine_variant(build: EngineBuild, untimed: str, files: StageFiles) -> VariantReport:
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
