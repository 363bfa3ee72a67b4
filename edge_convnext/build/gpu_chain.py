"""The chain of a graph for TensorRT: from the float graph in a plan's form to its final file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.build.float_chain import approximated
from edge_convnext.build.lineage import Lineage, latest
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.files import sha256_bytes
from edge_convnext.core.sections import QuantizeConfig
from edge_convnext.core.step import Images, Step
from edge_convnext.networks.family import family_of_model
from edge_convnext.runtimes.lint import LintTarget
from edge_convnext.stages import place_qdq, write_for_tensorrt
from edge_convnext.stages.keep_float import keep_matching
from edge_convnext.stages.quantize_roles import placing_key

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_convnext.networks.plans import Plan

__all__ = ["finish_step", "gpu_lineage", "place_step", "rebatch"]


def gpu_lineage(
    runner: Runner,
    plan: Plan,
    begun: Lineage,
    calibration: Images | None,
    samples: Images,
    typed_for: Sequence[LintTarget],
) -> Lineage:
    """Make the graph of a plan for TensorRT.

    Args:
        runner: Runner with the plan's batch size (`graphs.for_batch`).
        plan: Plan of the graph.
        begun: Lineage of the float graph in the plan's form.
        calibration: Calibration images in batches of the plan's size; None for a float plan.
        samples: Real images for the parity checks, in batches of the same size.
        typed_for: Targets that will run a typed graph; a graph that one can't run is refused.
    """
    steps = list(begun.steps)
    if plan.precision == "int8":
        steps.append(approximated(runner, plan, latest(steps), samples))
    source = latest(steps)
    if plan.precision == "int8":
        assert calibration is not None  # an INT8 build has calibration images
        steps.append(place_step(runner, source, plan, calibration, samples))
    targets: Sequence[LintTarget] = typed_for if plan.family == "typed" else ("tensorrt8.6",)
    steps.append(finish_step(runner, latest(steps), plan, source, samples, targets))
    return Lineage(plan, tuple(steps))


def rebatch(images: Images, batch: int) -> Images:
    """The same images in full batches of another size; the first images fill up the last batch."""

    def load() -> Sequence[NDArray[np.float32]]:
        whole = np.concatenate(images.load())
        missing = -len(whole) % batch
        filled = np.concatenate([whole, np.resize(whole, (missing, *whole.shape[1:]))])
        return np.split(filled, len(filled) // batch)

    return Images(sha256_bytes(f"{images.digest} {batch}".encode()), images.count, load)


def place_step(
    runner: Runner, model: Step[OnnxModel], plan: Plan, calibration: Images, samples: Images
) -> Step[OnnxModel]:
    """Quantize to signed, symmetric INT8, whichever activation type the CPU's graphs have."""
    before, placement, config = model.value, plan.placement, runner.recipe.quantize
    assert placement is not None  # of an INT8 plan
    ignored = (*map(re.escape, config.ignored_names), *config.ignored_patterns)
    name = f"{plan.label}.int8.onnx"

    def make(output: Path) -> OnnxModel:
        made = place_qdq.place_qdq(
            before, calibration.load(), placement, output, config.weight_rounding
        )
        kept = keep_matching(output, before.path, ignored, config.ignored_types)
        return replace(made, quantized_ops=kept)

    return runner.graph(
        place_qdq.STAGE,
        OnnxModel(before.path, "int8", plan.form, placement),
        make,
        file=name,
        what=f"quantizing the {plan.form} form",
        compare_with=before,
        samples=samples,
        key={
            "model": model.digest,
            "placement": placement,
            "ignored": ignored,
            # Recipes without types have the keys of builds before there were any.
            **({"types": config.ignored_types} if config.ignored_types else {}),
            "name": name,
            "calibration": calibration.digest,
            **_placing_key(runner),
        },
    )


def _placing_key(runner: Runner) -> dict[str, str]:
    """Networks that are placed otherwise have their nearest integers, whatever a recipe says."""
    if family_of_model(runner.recipe.model).placer != "roles":
        return {}
    stated = QuantizeConfig(weight_rounding=runner.recipe.quantize.weight_rounding)
    return placing_key(stated, by_roles=True)


def finish_step(
    runner: Runner,
    model: Step[OnnxModel],
    plan: Plan,
    reference: Step[OnnxModel],
    samples: Images,
    targets: Sequence[LintTarget],
) -> Step[OnnxModel]:
    """Write the graph that TensorRT reads, and lint it.

    It is a typed graph with a float16 body or, for TensorRT 8.6, one of opset 17 with a float32
    body. FP32 plans keep a float32 body in both cases.

    Args:
        runner: Runner with the plan's batch size.
        model: Graph with a float32 body, quantized or not.
        plan: Plan of the graph.
        reference: Float graph that the result is compared with.
        samples: Real images in batches of the graph's size.
        targets: Targets that will run the graph; a graph that one can't run is refused.
    """
    before, images_type = model.value, runner.recipe.engine.input
    opset_17 = plan.family == "tensorrt8"
    halved = plan.precision != "fp32" and not opset_17
    precision = "fp16" if halved and before.precision == "fp32" else before.precision
    name = f"{precision}.b{plan.batch}{'.opset17' if opset_17 else ''}.onnx"
    return runner.graph(
        write_for_tensorrt.STAGE,
        replace(before, precision=precision),
        lambda output: write_for_tensorrt.write_for_tensorrt(
            before, output, images_type, halved=halved, opset_17=opset_17
        ),
        file=name,
        what=f"writing {name} for TensorRT",
        compare_with=reference.value,
        samples=samples,
        lint_for=targets,
        targets=targets,
        key={
            "model": model.digest,
            "name": name,
            "images_type": images_type,
            "reference": reference.digest,
            "targets": sorted(targets),
        },
    )
