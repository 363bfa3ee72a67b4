"""Notes of a report: sentences that a reader needs to judge the figures of a build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ARM_GRAPH
from edge_convnext.measure.to_report import few_rounds_notes, licence_notes, skewed_notes
from edge_convnext.report.contract import HALF_SEARCHED
from edge_convnext.report.file_names import gpu_graph_name
from edge_convnext.report.speed_words import show_ratio
from edge_convnext.report.stages import FallbackReport
from edge_convnext.runtimes.lint import lint
from edge_convnext.stages import write_for_tensorrt

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.recipe import Recipe, TargetName
    from edge_convnext.core.step import Step
    from edge_convnext.measure.accuracy import Comparison
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["arm_notes", "calibration_notes", "gpu_notes", "list_notes", "untimed_note"]


def list_notes(
    inputs: Inputs,
    recipe: Recipe,
    evaluation: Evaluation | None,
    timings: BenchmarkResult | None,
    fallbacks: Iterable[FallbackReport],
    elsewhere: Iterable[str],
) -> tuple[str, ...]:
    """Every note of a report, each once.

    Args:
        inputs: Weights and data of the build.
        recipe: Recipe of this build.
        evaluation: Accuracies of the candidates; None without labelled images.
        timings: Times of the race; None without a race.
        fallbacks: Entries of graphs past the accuracy budget.
        elsewhere: Notes from `arm_notes` and `gpu_notes`.
    """
    notes = [
        *licence_notes(inputs.info.weights_licence),
        *_data_notes(inputs, labelled=evaluation is not None),
        *calibration_notes(inputs, recipe, evaluated=evaluation is not None),
    ]
    if recipe.export.input == "uint8":
        notes.append(
            "Graphs for the CPU take pixels, uint8[N, H, W, C], resized and cropped as "
            "`preprocess` says; the normalisation is in the graph. The raw export takes float32."
        )
    if recipe.precision == "fp16":
        notes.append(
            "FP16 graphs are for GPUs: here their accuracy counts, and their speed does not."
        )
    wait, minutes = ", or wait for one with --wait-quiet MINUTES", recipe.benchmark.wait_quiet_min
    if minutes:
        wait = f", for which {minutes:g} minutes of waiting were not enough"
    notes += skewed_notes(timings, f"Repeat `build` on a quiet machine{wait}.")
    notes += few_rounds_notes(recipe)
    notes += [_fallback_note(one, timings) for one in fallbacks]
    return tuple(dict.fromkeys([*notes, *elsewhere, *inputs.notes]))


def _data_notes(inputs: Inputs, *, labelled: bool) -> Iterator[str]:
    splits = inputs.splits
    if labelled and not inputs.demo and splits is not None and splits.by_seed:
        yield (
            "The data has no split of its own. The accuracies are honest only if the weights "
            "were trained on the training side drawn here, as `edge-convnext train` with the "
            "same seed does."
        )
    if inputs.borrowed and inputs.random:
        yield "No data was given: parity checks and timings ran on scikit-learn's digits."
    elif inputs.borrowed:
        yield (
            "No data was given: parity checks, timings and the calibration ran on noise, so INT8 "
            "is measured for its speed alone. Pass --data DIR for a verdict."
        )


def calibration_notes(inputs: Inputs, recipe: Recipe, *, evaluated: bool) -> list[str]:
    """Notes on weaknesses of the calibration images, and on fidelity measured only on them."""
    calibration = inputs.calibration
    if calibration is None or inputs.borrowed or recipe.precision != "int8":
        return []
    notes = list(calibration.notes)
    if not evaluated:
        notes.append(
            "How near INT8 is to FP32 was measured on calibration images alone, for which its "
            "ranges were made: other images fare worse. Labelled images (--data) would show it."
        )
    return notes


def untimed_note(file: str | None, *, built: bool) -> str:
    """A sentence on the evidence behind a verdict on graphs for GPUs only.

    Args:
        file: File of the model whose accuracy was measured; None if none was.
        built: True if engines were built.
    """
    made = "The engines were built and never run" if built else "No engine was built"
    if file is None:
        return f"{made}: nothing was timed."
    return f"{made}: that accuracy is of {file} in ONNX Runtime, and nothing was timed."


def arm_notes(
    targets: Sequence[TargetName],
    for_arm: Mapping[str, Step[OnnxModel]],
    names: Mapping[str, str],
    evaluation: Evaluation | None,
    chosen: Candidate | None,
) -> Iterator[str]:
    """Sentences on what was checked of the graphs for Arm CPUs, and on what does not run there.

    Args:
        targets: Targets of the build.
        for_arm: Graphs from `find_arm_graphs`.
        names: Shipped file name by artefact digest.
        evaluation: Accuracies of the candidates; None without labelled images.
        chosen: Candidate that ships.
    """
    quantized = for_arm.get(ARM_GRAPH)
    if "arm-cpu" in targets:
        checked = [f"{names[step.digest]} {_distance(step)}" for step in for_arm.values()]
        judged = evaluation.comparisons.get(chosen.name) if evaluation and chosen else None
        yield (
            "For Arm CPUs nothing was timed: `edge-convnext bundle` packs the graphs, and `bench` "
            "times them on the board. Their logits were compared in ONNX Runtime on this CPU: "
            f"{'; '.join(dict.fromkeys(checked))}."
            + (f" On the evaluation images: {_losses(judged)}." if judged is not None else "")
        )
    if quantized is None:
        return
    findings = lint(quantized.value.path, "openvino-aarch64")
    refused = next((one for one in findings if one.severity == "error"), None)
    if refused is not None:
        yield (
            f"On an Arm CPU, ONNX Runtime alone runs {names[quantized.digest]}: "
            f"{refused.node}: {refused.message}."
        )


def _distance(step: Step[OnnxModel]) -> str:
    """How near a graph's logits are to those of the graph before it."""
    found = step.parity
    if found is None:
        return "was not compared"
    sqnr = "equal logits" if found.sqnr_db is None else f"{found.sqnr_db:.1f} dB"
    return f"{sqnr} on {found.n_images} images"


def gpu_notes(
    for_gpu: Sequence[Lineage],
    candidates: Iterable[Candidate],
    evaluation: Evaluation | None,
    untimed: str | None,
) -> Iterator[str]:
    """Sentences on what was measured of the graphs for TensorRT, and on which graphs.

    Args:
        for_gpu: Lineages of those graphs.
        candidates: Candidates made of these graphs, in the form that was evaluated.
        evaluation: Accuracies of the candidates; None without labelled images.
        untimed: Reason that their engines were not timed; None without engines.
    """
    compared = evaluation.comparisons if evaluation is not None else {}
    measured = [
        f"{_gpu_files(for_gpu, one)} {_losses(compared[one.name])}"
        for one in candidates
        if one.model.precision == "int8" and one.name in compared
    ]
    if measured:
        yield (
            "The Q/DQ of the graphs for TensorRT was measured in ONNX Runtime with a float32 body, "
            "which those of opset 17 have; that of the others is float16: "
            f"{'; '.join(measured)}."
        )
    if untimed is not None:
        yield f"The engines were {untimed}."


def _gpu_files(for_gpu: Iterable[Lineage], one: Candidate) -> str:
    """The names of the build's files that were written from a graph."""
    return " and ".join(
        gpu_graph_name(lineage.final.value.path)
        for lineage in for_gpu
        if lineage.before(write_for_tensorrt.STAGE).digest == one.digest
    )


def _losses(found: Comparison) -> str:
    sqnr = "equal logits" if found.sqnr_db is None else f"{found.sqnr_db:.1f} dB"
    return f"drop {found.top1_drop_pp:.2f} pp, agreement {found.agreement_pct:.2f} %, {sqnr}"


def _fallback_note(one: FallbackReport, timings: BenchmarkResult | None) -> str:
    start = f"INT8 {one.graph} lost {one.top1_drop_before_pp:.2f} pp of top-1"
    if one.reason is not None:
        return f"{start}, and no fallback to float was looked for: {one.reason}."
    if one.kept_float is None or one.top1_drop_pp is None:
        return f"{start}, and no fallback to float holds the budget."
    cost = ""
    if one.speedup_vs_full is not None and timings is not None:
        ratio = show_ratio(one.speedup_vs_full, one.speedup_vs_full_ci95, timings)
        cost = f", at {ratio} its speed" if ratio else ""
    halves = ""
    if one.searched_on == HALF_SEARCHED:
        halves = " Only half of the images that are added will be used to judge: add twice as many."
    return (
        f"{start}: {len(one.kept_float)} of its {one.quantized_ops} operations were returned to "
        f"float, chosen on {one.n_searched:,} images ({one.searched_on}). On the {one.n_judged:,} "
        f"evaluation images that were not looked at, which every accuracy here is of, that leaves "
        f"{one.top1_drop_pp:.2f} pp{cost}: {', '.join(one.kept_float)}.{halves}"
    )
