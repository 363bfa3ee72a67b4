"""Engines of TensorRT for RTX: one for each typed graph of a build, if it can be built here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from edge_convnext.core.artifacts import Engine, OnnxModel
from edge_convnext.core.errors import EngineBuildError
from edge_convnext.core.step import Stage, Step, as_step
from edge_convnext.runtimes.tensorrt.kernel_table import read_kernels, read_parts
from edge_convnext.runtimes.tensorrt.plan_checks import check_kernels
from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine, sidecar_path, why_no_rtx

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.runner import Runner
    from edge_convnext.core.recipe import TargetName
    from edge_convnext.networks.plans import Plan

__all__ = ["ENGINE", "EngineBuild", "build_engines", "engine_name", "engine_step"]

ENGINE = Stage("engine", 3, ("tensorrt_rtx",))


@dataclass(frozen=True)
class EngineBuild:
    """The engine of one graph, or the reason that there is none."""

    plan: Plan
    step: Step[Engine] | None
    status: Literal["not_run", "failed"] = "not_run"
    reason: str | None = None


def build_engines(
    runner: Runner, lineages: Iterable[Lineage], targets: Sequence[TargetName]
) -> tuple[EngineBuild, ...]:
    """Build the engine of every graph, if TensorRT for RTX is a target and works here.

    Args:
        runner: Runner of this build.
        lineages: Lineages of graphs for TensorRT.
        targets: Targets of the build.

    Raises:
        EngineBuildError: The builder refused a graph of a target that the recipe names. If the
            target was only the default, the engine is left out and the reason is recorded.
    """
    if "rtx" not in targets:
        return ()
    why_not = why_no_rtx()
    builds = []
    for lineage in lineages:
        plan = lineage.plan
        if plan.family != "typed":
            continue
        if why_not is not None:
            builds.append(EngineBuild(plan, None, reason=why_not))
            continue
        try:
            builds.append(EngineBuild(plan, engine_step(runner, plan, lineage.final)))
        except EngineBuildError as error:
            if runner.recipe.targets != "auto":
                raise
            # Nobody asked for this engine: the rest of the build is still worth having.
            builds.append(EngineBuild(plan, None, "failed", str(error)))
    return tuple(builds)


def engine_step(runner: Runner, plan: Plan, model: Step[OnnxModel]) -> Step[Engine]:
    """Build an engine of TensorRT for RTX; its reason lists kernels that are not as planned."""
    assert plan.batch is not None  # of a graph for TensorRT
    config = runner.recipe.engine
    name = engine_name(model.value, plan.batch, config.compute_capabilities)

    def make(folder: Path) -> dict[str, Any]:
        built = build_rtx_engine(model.value, config, folder / name, require_int8=False)
        sidecar = sidecar_path(built.path)
        kernels, parts = read_kernels(sidecar), read_parts(sidecar)
        warnings = check_kernels(kernels, model.value.quantized_ops, parts)
        reason = f"not as planned: {', '.join(warnings)}" if warnings else None
        return {"engine": {**asdict(built), "path": name}, "reason": reason}

    key = {
        "model": model.digest,
        "name": name,
        "config": config.model_dump(mode="json", include={"compute_capabilities", "max_batch"}),
    }
    entry = runner.run(ENGINE, make, f"building {name}", key=key)
    fields = {**entry.result["engine"], "path": entry.folder / name}
    fields["compute_capabilities"] = tuple(fields["compute_capabilities"])
    return as_step(Engine(**fields), entry, name, ENGINE)


def engine_name(model: OnnxModel, batch: int, capabilities: Sequence[str]) -> str:
    """The file name of an engine, such as `model.int8.rtx.sm86-89-120.b8.engine`."""
    devices = "-".join(capability.replace(".", "") for capability in capabilities)
    return f"model.{model.precision}.rtx.sm{devices}.b{batch}.engine"
