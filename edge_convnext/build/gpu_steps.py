"""The stages of a graph for TensorRT behind the cache, as `steps` has those of every graph.

Export and simplify are those of `steps`, with a fixed batch. Each step here is compared in ONNX
Runtime with the float graph that it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.checks import judge_lint, lint_result, onnx_logits, parity_result
from edge_convnext.build.runner import Steps
from edge_convnext.core.artifacts import GPU_FOLDER, Engine, OnnxModel
from edge_convnext.core.cache import stage_key
from edge_convnext.core.step import Images, Step, as_step
from edge_convnext.networks.gpu_plans import GpuPlan
from edge_convnext.runtimes.lint import LintTarget

if TYPE_CHECKING:
    from edge_convnext.core.recipe import Recipe

__all__ = ["GpuSteps", "engine_name", "gpu_graph_name"]


class GpuSteps:
    """Cached stages of one plan."""

    def __init__(self, steps: Steps, plan: GpuPlan) -> None:
        self.steps = Steps(
            steps.cache, _with_batch(steps.recipe, plan.batch), steps.versions, steps.track
        )
        self.plan = plan

    def place(
        self, model: Step[OnnxModel], calibration: Images, samples: Images
    ) -> Step[OnnxModel]:
        """Quantize to signed, symmetric INT8, whatever type of activations suits the CPU."""
        before, plan = model.value, self.plan
        assert plan.placement is not None  # of an INT8 plan
        placement, config = plan.placement, self.steps.recipe.quantize
        ignored = (*map(re.escape, config.ignored_names), *config.ignored_patterns)
        name = f"{plan.label}.int8.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.place_qdq import place_qdq

            place_qdq(before, calibration.load(), placement, folder / name)
            kept = _return_to_float(before.path, folder / name, ignored)
            shown = samples.load()
            parity = parity_result(
                onnx_logits(before.path, shown), onnx_logits(folder / name, shown)
            )
            return {**parity, "quantized_ops": kept}

        key = stage_key(
            "place/1",
            model=model.digest,
            placement=placement,
            ignored=ignored,
            name=name,
            calibration=calibration.digest,
            images=samples.digest,
            tools=self._tools("edge-convnext", "numpy", "onnx", "onnxruntime"),
        )
        entry = self.steps.run("place", key, f"quantizing the {plan.form} form", make)
        made = OnnxModel(
            entry.folder / name, "int8", plan.form, placement, entry.result["quantized_ops"]
        )
        return as_step(made, entry, name)

    def finish(
        self,
        model: Step[OnnxModel],
        reference: Step[OnnxModel],
        samples: Images,
        targets: Sequence[LintTarget],
    ) -> Step[OnnxModel]:
        """Write a graph as TensorRT takes it, and lint it.

        That is a typed one with a float16 body, or, for TensorRT 8.6, opset 17 with a float32
        body. FP32 plans keep a float32 body in either.

        Args:
            model: Of a float32 body, quantized or not.
            reference: The float graph that it is compared with.
            samples: Of the graph's batch size.
            targets: That shall run it; what they refuse is refused here.
        """
        before, images_type = model.value, self.steps.recipe.engine.input
        opset_17 = self.plan.family == "tensorrt8"
        halved = self.plan.precision != "fp32" and not opset_17
        precision = "fp16" if halved and before.precision == "fp32" else before.precision
        name = f"{precision}.b{self.plan.batch}{'.opset17' if opset_17 else ''}.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.core.files import copy_atomic
            from edge_convnext.stages.to_float16 import halve_body
            from edge_convnext.stages.to_opset17 import use_opset_17
            from edge_convnext.stages.to_uint8_images import use_uint8_images

            made = before
            if images_type == "uint8":
                made = use_uint8_images(made, folder / "pixels.onnx")
            if halved:
                border = "float16" if images_type == "float16" else "float32"
                made = halve_body(made, folder / name, border)  # type: ignore[arg-type]
            elif opset_17:
                made = use_opset_17(made, folder / name)
            else:
                copy_atomic(made.path, folder / name)
            (folder / "pixels.onnx").unlink(missing_ok=True)
            findings: dict[str, Any] = {
                target: lint_result(folder / name, target) for target in targets
            }
            reason = judge_lint(findings, targets)
            shown = samples.load()
            parity = parity_result(
                onnx_logits(reference.value.path, shown), onnx_logits(folder / name, shown)
            )
            return {**parity, "reason": reason}

        key = stage_key(
            "finish/2",
            model=model.digest,
            name=name,
            images_type=images_type,
            reference=reference.digest,
            images=samples.digest,
            targets=sorted(targets),
            tools=self._tools("edge-convnext", "numpy", "onnx", "onnxruntime"),
        )
        what = f"writing {name} for TensorRT"
        entry = self.steps.run("finish", key, what, make)
        made = replace(before, path=entry.folder / name, precision=precision)
        return as_step(made, entry, name)

    def engine(self, model: Step[OnnxModel]) -> Step[Engine]:
        """Build an engine of TensorRT for RTX; its reason is what its kernels should not be."""
        config = self.steps.recipe.engine
        name = engine_name(model.value, self.plan.batch, config.compute_capabilities)

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.runtimes.tensorrt.kernel_table import read_kernels, read_parts
            from edge_convnext.runtimes.tensorrt.plan_checks import check_kernels
            from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine, sidecar_path

            built = build_rtx_engine(model.value, config, folder / name, require_int8=False)
            sidecar = sidecar_path(built.path)
            kernels, parts = read_kernels(sidecar), read_parts(sidecar)
            warnings = check_kernels(kernels, model.value.quantized_ops, parts)
            reason = f"not as planned: {', '.join(warnings)}" if warnings else None
            return {"engine": {**asdict(built), "path": name}, "reason": reason}

        key = stage_key(
            "engine/3",
            model=model.digest,
            name=name,
            config=config.model_dump(mode="json", include={"compute_capabilities", "max_batch"}),
            tools=self._tools("edge-convnext", "tensorrt_rtx"),
        )
        entry = self.steps.run("engine", key, f"building {name}", make)
        fields = {**entry.result["engine"], "path": entry.folder / name}
        fields["compute_capabilities"] = tuple(fields["compute_capabilities"])
        return as_step(Engine(**fields), entry, name)

    def _tools(self, *packages: str) -> dict[str, str]:
        return self.steps.tools(*packages)


def gpu_graph_name(path: Path) -> str:
    """Where in a build's folder a graph for TensorRT goes."""
    return f"{GPU_FOLDER}/{path.name}"


def engine_name(model: OnnxModel, batch: int, capabilities: Sequence[str]) -> str:
    """Such as `model.int8.rtx.sm86-89-120.b8.engine`."""
    devices = "-".join(capability.replace(".", "") for capability in capabilities)
    return f"model.{model.precision}.rtx.sm{devices}.b{batch}.engine"


def _return_to_float(reference: Path, quantized: Path, patterns: Sequence[str]) -> int:
    """Undo what patterns of node names keep in float; returns how many operations stay INT8.

    A module may be another operation in this form: `…/Conv` for `…/MatMul`.
    """
    from edge_convnext.graph.file import read_proto, write_proto
    from edge_convnext.graph.qdq import WEIGHTED_OPS
    from edge_convnext.stages.keep_float import keep_float, quantized_operations

    proto = read_proto(quantized)
    operations = quantized_operations(proto)
    kept = []
    for operation in operations:
        module = operation.rpartition("/")[0]
        names = [f"{module}/{kind}" for kind in WEIGHTED_OPS]
        if any(re.fullmatch(pattern, name) for pattern in patterns for name in names):
            kept.append(operation)
    if kept:
        write_proto(keep_float(proto, read_proto(reference), kept), quantized)
    return len(operations) - len(kept)


def _with_batch(recipe: Recipe, batch: int) -> Recipe:
    """The recipe, with the export that these graphs need: typed ones exist in one opset."""
    from edge_convnext.graph.float16 import HALF_OPSET

    export = recipe.export.model_copy(update={"batch": batch, "opset": HALF_OPSET})
    return recipe.model_copy(update={"export": export})
