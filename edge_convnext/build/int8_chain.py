"""The chain of an INT8 graph for a CPU: from the float graph in a plan's form to its final file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.float_chain import approximated
from edge_convnext.build.lineage import Lineage, latest
from edge_convnext.build.litert_graphs import litert_step
from edge_convnext.build.runner import Runner, onnx_logits, parity_result
from edge_convnext.core.artifacts import LITERT_FORMAT, OnnxModel, Parity
from edge_convnext.core.errors import UntrainableError
from edge_convnext.core.step import Images, Skipped, Step, as_step
from edge_convnext.data.batches import first_images
from edge_convnext.networks.family import family_of_model
from edge_convnext.runtimes.lint import LintTarget, lint_targets
from edge_convnext.stages import equalize, fuse_for_onnxruntime, quantize, recover
from edge_convnext.stages.quantize_roles import placing_key, rounds_anew
from edge_convnext.stages.recover import Recovery

if TYPE_CHECKING:
    from edge_convnext.networks.plans import Plan

__all__ = ["equalize_step", "int8_lineage", "lower_step", "quantize_step", "recover_step"]

# 58.8 dB without, 54.9 with: atto, potato leaves (benchmarks/results/2026-11-30-litert.md).
_NOT_EQUALIZED = "LiteRT takes the range of each row as it runs: equalized weights only round worse"
_FEW = 40  # images: LiteRT takes no range from its file


def int8_lineage(
    runner: Runner,
    plan: Plan,
    begun: Lineage,
    users: Sequence[LintTarget],
    calibration: Images,
    samples: Images,
    training: Images | None,
) -> Lineage:
    """Make the INT8 graph of a plan for a CPU.

    Args:
        runner: Runner of this build.
        plan: Plan of the graph.
        begun: Lineage of the float graph in the plan's form.
        users: Runtimes that will run the graph.
        calibration: Calibration images.
        samples: Real images for the parity checks.
        training: One batch of images to fine-tune with; None leaves the graph as it was quantized.
    """
    steps = [*begun.steps, approximated(runner, plan, begun.body, samples)]
    if plan.format == LITERT_FORMAT:
        steps.append(Skipped(equalize.STAGE, _NOT_EQUALIZED))
    elif runner.recipe.equalize.enabled:
        steps.append(equalize_step(runner, latest(steps), plan, calibration, samples))
    else:
        steps.append(Skipped(equalize.STAGE, "equalize.enabled is false", "skipped"))
    source = latest(steps)
    shown = _to_quantize_with(runner, plan, calibration)
    steps.append(quantize_step(runner, source, plan, users, shown, samples))
    recovery = None
    if training is not None:
        # A coarse approximation is trained towards the exact graph, not towards itself.
        teacher = begun.body if plan.gelu == "hardswish" else source
        recovered = recover_step(runner, latest(steps), teacher, training, samples)
        if isinstance(recovered, Skipped):
            steps.append(recovered)
        else:
            recovery = recovered.value
            steps.append(recovered.of(recovery.model))
    lineage = Lineage(plan, tuple(steps), recovery)
    if plan.format != "qdq":
        steps.append(lower_step(runner, lineage.portable, plan, source, samples))
    else:
        steps.append(Skipped(fuse_for_onnxruntime.STAGE, "no plan is for ONNX Runtime alone"))
    return replace(lineage, steps=tuple(steps))


def _to_quantize_with(runner: Runner, plan: Plan, calibration: Images) -> Images:
    """Few images where the ranges only serve a comparison, and no weight is rounded by them."""
    config = runner.recipe.quantize
    by_roles = family_of_model(runner.recipe.model).placer == "roles"
    measured = rounds_anew(config, by_roles=by_roles) or not config.disable_bias_correction
    if plan.format != LITERT_FORMAT or measured:
        return calibration
    return first_images(calibration, _FEW)


def equalize_step(
    runner: Runner, model: Step[OnnxModel], plan: Plan, calibration: Images, samples: Images
) -> Step[OnnxModel]:
    """Rescale channels for the quantizer, and check that the graph still computes the same."""
    before, config = model.value, runner.recipe.equalize
    return runner.graph(
        equalize.STAGE,
        before,
        lambda output: equalize.equalize(
            before, calibration.load(), config, plan.activation_type, output
        ),
        file=f"{plan.form}.{plan.activation_type}.equalized.onnx",
        what=f"equalizing the {plan.form} form",
        compare_with=before,
        samples=samples,
        key={
            "model": model.digest,
            "activation_type": plan.activation_type,
            "config": config.model_dump(mode="json"),
            "calibration": calibration.digest,
        },
    )


def quantize_step(
    runner: Runner,
    model: Step[OnnxModel],
    plan: Plan,
    targets: Sequence[LintTarget],
    calibration: Images,
    samples: Images,
) -> Step[OnnxModel]:
    """Quantize, lint for each target, and compare with the float graph in ONNX Runtime."""
    before, placement = model.value, plan.placement
    assert placement is not None  # of an INT8 plan
    config = runner.recipe.quantize.model_copy(
        update={"activations_range_estimator": plan.range_estimator}
    )
    return runner.graph(
        quantize.STAGE,
        OnnxModel(Path(), "int8", before.form, placement),
        lambda output: quantize.quantize(
            before,
            calibration.load(),
            placement,
            config,
            output,
            runner.track,
            plan.activation_type,
            groups=plan.groups,
        ),
        file=f"{replace(plan, format='qdq', settings=()).label}.int8.onnx",
        what=None,
        compare_with=before,
        samples=samples,
        lint_for=lint_targets(),  # all of them: the cache key does not name the targets
        targets=targets,
        key={
            "model": model.digest,
            "placement": placement,
            "activation_type": plan.activation_type,
            # Resolved in the lines above, or, for the size of the set, covered by its digest.
            "config": config.model_dump(
                mode="json",
                exclude={"placement", "activation_type", "subset_size", "weight_rounding"},
            ),
            "calibration": calibration.digest,
            # Plans without changes have the keys of builds before there were any.
            **({"groups": asdict(plan.groups)} if plan.groups else {}),
            **placing_key(config, by_roles=family_of_model(runner.recipe.model).placer == "roles"),
        },
    )


def recover_step(
    runner: Runner,
    quantized: Step[OnnxModel],
    reference: Step[OnnxModel],
    training: Images,
    samples: Images,
) -> Step[Recovery] | Skipped:
    """Fine-tune a graph, and compare with the float graph on images that it did not learn from.

    `training` is one batch. If training did not help, the value has the graph as it was. A graph
    with an operation that can't be trained stays as it was quantized.
    """
    before, recipe = quantized.value, runner.recipe
    name = f"{before.path.name.removesuffix('.int8.onnx')}.recovered.int8.onnx"

    def make(folder: Path) -> dict[str, Any]:
        (images,) = training.load()
        found = recover.recover(
            before, reference.value, images, recipe.recover, folder / name, recipe.seed,
            runner.track,
        )  # fmt: skip
        recovery = {**asdict(found), "model": None}
        if not found.kept:
            (folder / name).unlink()
            return {"recovery": recovery}
        shown = samples.load()
        expected = onnx_logits(reference.value.path, shown)
        return {**parity_result(expected, onnx_logits(folder / name, shown)), "recovery": recovery}

    key = {
        "quantized": quantized.digest,
        "reference": reference.digest,
        # The number of images is covered by their digest.
        "config": recipe.recover.model_dump(mode="json", exclude={"enabled", "images"}),
        "training": training.digest,
        "images": samples.digest,
        "seed": recipe.seed,
    }
    try:
        entry = runner.run(recover.STAGE, make, key=key)
    except UntrainableError as error:
        return Skipped(recover.STAGE, str(error))
    fields = dict(entry.result["recovery"])
    fields["before"], fields["after"] = Parity(**fields["before"]), Parity(**fields["after"])
    if fields["kept"]:
        fields["model"] = replace(before, path=entry.folder / name)
        return as_step(Recovery(**fields), entry, name, recover.STAGE)
    recovery = Recovery(**{**fields, "model": before})
    seconds = 0.0 if entry.cached else entry.seconds
    reason = "training did not bring the logits nearer to the float graph's"
    return Step(
        recovery, "skipped", seconds, quantized.digest, reason, quantized.parity, recover.STAGE
    )


def lower_step(
    runner: Runner, model: Step[OnnxModel], plan: Plan, reference: Step[OnnxModel], samples: Images
) -> Step[OnnxModel]:
    """Fuse a graph for ONNX Runtime alone, and compare there; or write it for LiteRT.

    With static ranges the result must compute what the Q/DQ graph computes; that is checked. With
    dynamic ranges it is compared with the float graph, `reference`.
    """
    if plan.format == LITERT_FORMAT:
        return litert_step(runner, model, reference, samples)
    before, dynamic = model.value, plan.format == "onnxruntime_dynamic"
    stem = before.path.name.removesuffix(".int8.onnx")
    lowered = runner.graph(
        fuse_for_onnxruntime.STAGE,
        before,
        lambda output: fuse_for_onnxruntime.lower_for_onnxruntime(before, output, dynamic=dynamic),
        file=f"{stem}.{'dynamic' if dynamic else 'ort'}.int8.onnx",
        what=f"fusing the {plan.form} form",
        compare_with=reference.value if dynamic else before,
        samples=samples,
        exact=not dynamic,
        key={"model": model.digest, "dynamic": dynamic, "reference": reference.digest},
    )
    # The reported accuracy is that against the float graph; this stage has a check of its own.
    parity = lowered.parity if dynamic else model.parity
    return replace(lowered, reason=model.reason, parity=parity)
