"""The first part of the chain: from weights to the float graph of one form.

A new stage needs its function and `STAGE` in `stages/`, a function here that runs it, and a call in
`float_steps`. For an INT8 graph, the last two belong in `int8_chain` or `gpu_chain`
(CONTRIBUTING.md).
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.lineage import latest
from edge_convnext.build.runner import Runner, parity_result, torch_logits
from edge_convnext.core.artifacts import OnnxModel, Weights
from edge_convnext.core.errors import ExportError
from edge_convnext.core.step import Images, Skipped, Stage, Step, as_step
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.safety import why_odd
from edge_convnext.networks.family import family_of, family_of_model
from edge_convnext.stages import approximate, export, fold, simplify

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.core.artifacts import FormName, GeluName, Precision
    from edge_convnext.networks.plans import Plan

__all__ = [
    "approximate_step",
    "approximated",
    "export_step",
    "float_steps",
    "fold_step",
    "fold_weights",
    "is_exported",
    "require_usual",
    "simplify_step",
    "weights_of",
]

_FOLDED = "folded.safetensors"


def float_steps(
    runner: Runner,
    weights: Step[Weights],
    form: FormName,
    precision: Precision,
    samples: Images,
    model: Step[Weights],
    *,
    simplified: bool = True,
) -> tuple[Step[OnnxModel] | Skipped, ...]:
    """Make the float graph of one form.

    Args:
        runner: Runner of this build.
        weights: Weights that the graph is made from; only the raw form needs unfolded ones.
        form: Form in which the network is written.
        precision: Precision of the graph, `fp32` or `fp16`.
        samples: Real images for the parity checks.
        model: Weights as they were trained; the exported graph is compared with them.
        simplified: True if the graph may ship; others stay as they were exported.
    """
    steps: list[Step[OnnxModel] | Skipped]
    steps = [export_step(runner, weights, form, precision, samples, model)]
    if not runner.recipe.simplify.enabled:
        steps.append(Skipped(simplify.STAGE, "--no-simplify", "skipped"))
    elif not simplified:
        steps.append(Skipped(simplify.STAGE, "only what ships is simplified"))
    else:
        steps.append(simplify_step(runner, latest(steps), samples))
    if simplified and family_of(model.value).parts.by_role:
        require_usual(latest(steps).value, family_of(model.value).operations)
    return tuple(steps)


def require_usual(model: OnnxModel, operations: frozenset[str]) -> None:
    """Refuse a graph that no command would read once it is built.

    Args:
        model: Float graph.
        operations: Types of operations that the network's family has beside the usual ones.

    Raises:
        ExportError: See `safety.why_odd`.
    """
    proto = read_proto(model.path)
    reason = why_odd(proto, operations)
    if reason is not None:
        fixed = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        open_size = "can't be inferred" in reason and not fixed
        advice = "; --export-batch 1 may write it in sizes that are known" if open_size else ""
        raise ExportError(f"no command would read this network's graph: {reason}{advice}")


def fold_step(runner: Runner, weights: Step[Weights], samples: Images) -> Step[Weights]:
    """Fold the weights, and compare the folded network with the raw one in torch."""

    def make(folder: Path) -> dict[str, Any]:
        folded = fold.fold_weights(weights.value, folder / _FOLDED)
        batches = samples.load()
        raw = runner.expected(weights.value, samples, batches)
        written = torch_logits(folded, family_of(folded).portable[0], batches)
        return parity_result(raw, written, fold.STAGE.max_error, stage=fold.STAGE.name)

    key = {
        "weights": weights.digest,
        "info": asdict(weights.value.info),
        "images": samples.digest,
    }
    entry = runner.run(fold.STAGE, make, "folding", key=key)
    folded = replace(weights.value, path=entry.folder / _FOLDED, folded=True)
    return as_step(folded, entry, _FOLDED, fold.STAGE)


def fold_weights(
    runner: Runner, weights: Step[Weights], samples: Images
) -> Step[Weights] | Skipped:
    """Fold the weights of a build, or say why they stay as they are.

    Args:
        runner: Runner of this build.
        weights: Weights as they were trained.
        samples: Real images for the parity check.
    """
    family = family_of_model(runner.recipe.model)
    if runner.recipe.fold.enabled and family.folds:
        return fold_step(runner, weights, samples)
    reason = "--no-fold" if family.folds else f"{family.label} has nothing to fold"
    return Skipped(fold.STAGE, reason, "skipped")


def weights_of(form: FormName, inputs: Inputs, folded: Step[Weights] | None) -> Step[Weights]:
    """The weights that one form is exported from, with what was read about the model."""
    weights = inputs.weights if form == "raw" or folded is None else folded
    # The folded file keeps its own metadata; names and preprocessing are resolved later.
    own = weights.value
    return weights.of(Weights(own.path, own.architecture, inputs.info, own.folded))


def export_step(
    runner: Runner,
    weights: Step[Weights],
    form: FormName,
    precision: Precision,
    samples: Images,
    model: Step[Weights],
) -> Step[OnnxModel]:
    """Export one form, and compare ONNX Runtime with the model as it was trained, in torch.

    `model` is unfolded: the form in torch would be wrong in the same way.
    """
    return runner.graph(
        export_stage(model.value),
        OnnxModel(Path(), precision, form),
        lambda output: export.export_onnx(
            weights.value, form, precision, runner.recipe.export, output, samples.load()
        ),
        file=f"{form}.{precision}.export.onnx",
        what=f"exporting the {form} form, {precision}",
        compare_with=model.value,
        samples=samples,
        exact=precision == "fp32",
        key=_export_key(runner, weights, form, precision, model),
    )


def is_exported(
    runner: Runner,
    weights: Step[Weights],
    form: FormName,
    precision: Precision,
    samples: Images,
    model: Step[Weights],
) -> bool:
    """Whether an earlier build exported this: `export_step`, which has the arguments."""
    key = _export_key(runner, weights, form, precision, model)
    return runner.holds(export_stage(model.value), {**key, "images": samples.digest})


def _export_key(
    runner: Runner,
    weights: Step[Weights],
    form: FormName,
    precision: Precision,
    model: Step[Weights],
) -> dict[str, Any]:
    config = runner.recipe.export
    return {
        "weights": weights.digest,
        "model": model.digest,
        "info": asdict(weights.value.info),
        "form": form,
        "precision": precision,
        "config": config.model_dump(mode="json", exclude={"form", "gelu", "input"}),
    }


def export_stage(weights: Weights) -> Stage:
    """The export of a network's family, with the largest error it may have."""
    family = family_of(weights)
    if family.source_graph(weights) is not None:
        return export.OWN_GRAPH
    return export.BY_ROLE if family.parts.by_role else export.STAGE


def simplify_step(runner: Runner, model: Step[OnnxModel], samples: Images) -> Step[OnnxModel]:
    """Simplify a graph; if that fails, go on with it as it is and record the reason.

    Only a success is cached: a time-out on a busy machine must not decide later builds.
    """
    before = model.value

    def make(output: Path) -> OnnxModel:
        outcome = simplify.simplify(before, samples.load()[0], runner.recipe.simplify, output)
        if outcome.reason is not None:
            raise _UnsimplifiedError(outcome.reason)
        return outcome.model

    started = time.perf_counter()
    try:
        return runner.graph(
            simplify.STAGE,
            before,
            make,
            file=before.path.name.replace(".export.", "."),
            what=f"simplifying the {before.form} form",
            compare_with=before,
            samples=samples,
            key={"model": model.digest},
        )
    except _UnsimplifiedError as unsimplified:
        seconds = time.perf_counter() - started
        return Step(
            before, "skipped", seconds, model.digest, str(unsimplified), stage=simplify.STAGE
        )


class _UnsimplifiedError(Exception):
    """The simplifier's output can't be used; the message says why."""


def approximate_step(
    runner: Runner, model: Step[OnnxModel], samples: Images, gelu: GeluName = "tanh"
) -> Step[OnnxModel]:
    """Replace GELU by an approximation, and measure the distance to the exact graph."""
    before = model.value
    write = approximate.use_tanh_gelu if gelu == "tanh" else approximate.use_hardswish
    # `tanh` has the keys of builds before there was another one.
    other = {} if gelu == "tanh" else {"gelu": gelu, "slope": approximate.HARDSWISH_SLOPE}
    return runner.graph(
        approximate.STAGE,
        before,
        lambda output: write(before, output),
        file=before.path.name.replace(".onnx", f".{gelu}.onnx"),
        what=f"approximating GELU in the {before.form} form",
        compare_with=before,
        samples=samples,
        key={"model": model.digest, **other},
    )


def approximated(
    runner: Runner, plan: Plan, model: Step[OnnxModel], samples: Images
) -> Step[OnnxModel] | Skipped:
    """The graph with the approximation that a plan names, or why it has none."""
    if plan.gelu == "erf":
        return Skipped(approximate.STAGE, "no plan asks for an approximation")
    return approximate_step(runner, model, samples, plan.gelu)
