"""Evaluate and race options: each is one graph in one runtime at one float precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_convnext.artifacts import CpuRuntimeName, ModelInfo, OnnxModel, Precision, Weights
from edge_convnext.benchmark import BenchmarkResult, Candidate, benchmark, speedup
from edge_convnext.checks import Logits
from edge_convnext.data import ImageSet, iter_batches
from edge_convnext.evaluate import Comparison, Predictions, check_logits, compare_predictions
from edge_convnext.plans import plan_for
from edge_convnext.progress import Track
from edge_convnext.recipe import Recipe
from edge_convnext.runtimes import RuntimeOptions, load_runtime
from edge_convnext.step import Step
from edge_convnext.steps import Steps

if TYPE_CHECKING:
    from edge_convnext.runtimes import PrecisionHint, Runtime

__all__ = [
    "Evaluation",
    "Option",
    "as_candidate",
    "choose_float",
    "choose_option",
    "evaluate_options",
    "race_options",
]

_TORCH = "torch"
_INFERENCES_PER_TURN = 8


@dataclass(frozen=True)
class Option:
    """A graph in a runtime."""

    graph: Step[OnnxModel]
    runtime: CpuRuntimeName
    hint: PrecisionHint  # float type of what is not quantized
    may_ship: bool  # a rival form only sets the pace: it is raced, not evaluated
    settings: tuple[tuple[str, str], ...] = ()  # of the runtime, beyond this package's own

    @property
    def model(self) -> OnnxModel:
        """The graph on disk."""
        return self.graph.value

    @property
    def name(self) -> str:
        """Unique within a build: such as `conv.pointwise.int8.onnx openvino f32`."""
        return self.label(None)

    def label(self, file: str | None) -> str:
        """`name`, with the file called as it is shipped."""
        settings = "".join(f"+{key}={value}" for key, value in self.settings)
        return f"{file or self.model.path.name} {self.runtime} {self.hint}{settings}"


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of the torch reference and of every option, on the same images."""

    reference: Predictions
    options: Mapping[str, Predictions]  # by option name
    comparisons: Mapping[str, Comparison]
    cached: bool
    seconds: float

    def joined(self, earlier: Evaluation) -> Evaluation:
        """This one, of an earlier one's options and more, with the time of both."""
        return replace(
            self,
            cached=self.cached and earlier.cached,
            seconds=self.seconds + earlier.seconds,
        )


def evaluate_options(
    options: Sequence[Option],
    weights: Step[Weights],
    images: ImageSet,
    steps: Steps,
    machine: str,
) -> Evaluation:
    """Run the torch reference and every option over the evaluation set, in one pass.

    Args:
        options: What to evaluate.
        weights: Unfolded: the reference is the model as it was trained.
        images: The evaluation set.
        steps: Of this build; logits of equal graphs on equal images are taken from its cache.
        machine: Fingerprint: another CPU may compute other logits.
    """
    recipe, info = steps.recipe, weights.value.info
    runs = {_TORCH: {"artefact": weights.digest, "runtime": _TORCH}}
    for option in options:
        runs[option.name] = {
            "artefact": option.graph.digest,
            "runtime": option.runtime,
            "hint": option.hint,
            **dict(option.settings),
        }

    def infer(names: Sequence[str]) -> dict[str, Logits]:
        loaded = {name: _load(name, options, weights.value, recipe) for name in names}
        return _infer_all(loaded, images, info, recipe.evaluate.batch, steps.track)

    found = steps.logits(runs, images.content_digest, asdict(info.preprocess), machine, infer)
    labels = np.array([sample.label for sample in images.samples], dtype=np.int64)
    hashes = tuple(sample.sha256 for sample in images.samples)
    predictions = {name: Predictions(step.value, labels, hashes) for name, step in found.items()}
    reference = predictions.pop(_TORCH)
    return Evaluation(
        reference,
        predictions,
        {name: compare_predictions(reference, one) for name, one in predictions.items()},
        all(step.status == "cached" for step in found.values()),
        sum(step.seconds for step in found.values()),
    )


def race_options(
    options: Sequence[Option], images: NDArray[np.float32], recipe: Recipe, track: Track
) -> BenchmarkResult:
    """Time all options against each other, interleaved in this process."""
    candidates = [as_candidate(option) for option in options]
    return benchmark(candidates, images, recipe.benchmark, recipe.seed, track)


def as_candidate(option: Option) -> Candidate:
    """An option as the benchmark takes it, under its own name."""
    model = option.model
    return Candidate(
        option.name, model.path, model.precision, model.form, model.placement, option.runtime,
        option.hint, option.settings,
    )  # fmt: skip


def choose_option(
    options: Sequence[Option],
    precision: Precision,
    timings: BenchmarkResult | None,
    evaluation: Evaluation | None,
    max_drop_pp: float,
    batch: int,
) -> Option | None:
    """The fastest option of a precision that keeps the accuracy budget.

    Where none keeps it, the fastest; where nothing was timed, the first.
    """
    own = _within_budget(options, precision, evaluation, max_drop_pp)
    if timings is None:
        return own[0] if own else None
    return min(own, key=lambda option: timings.row(option.name, batch).latency_ms_p50, default=None)


def choose_float(
    recipe: Recipe,
    options: Sequence[Option],
    timings: BenchmarkResult | None,
    evaluation: Evaluation | None,
    batch: int,
) -> Option | None:
    """The float that ships: the form of the plan in force, unless another is faster for sure.

    Which form won a race of near equals is noise, and the file should not depend on it: another
    form takes its place only where it was faster beyond the interval over rounds. One whose
    bfloat16 is past the accuracy budget does not count, where that was measured.
    """
    budget = recipe.evaluate.max_drop_pp
    fastest = choose_option(options, "fp32", timings, evaluation, budget, batch)
    if fastest is None:
        return None
    form = plan_for(recipe, fastest.runtime).form
    wanted = ("fp32", form, fastest.runtime, fastest.hint)
    planned = (
        option
        for option in _within_budget(options, "fp32", evaluation, budget)
        if (option.model.precision, option.model.form, option.runtime, option.hint) == wanted
    )
    usual = next(planned, fastest)  # for an engine alone there is one float, in the engine's form
    if timings is None or usual is fastest:
        return usual
    ratio = speedup(timings, fastest.name, usual.name, batch)
    return fastest if ratio.ci95_lo is not None and ratio.ci95_lo > 1.0 else usual


def _within_budget(
    options: Sequence[Option],
    precision: Precision,
    evaluation: Evaluation | None,
    max_drop_pp: float,
) -> list[Option]:
    """Options of a precision that keep the budget or were not evaluated; all, if none does."""
    own = [option for option in options if option.model.precision == precision]
    drops = evaluation.comparisons if evaluation is not None else {}
    kept = [
        option
        for option in own
        if option.name not in drops or drops[option.name].top1_drop_pp <= max_drop_pp
    ]
    return kept or own


def _load(name: str, options: Sequence[Option], weights: Weights, recipe: Recipe) -> Runtime:
    threads = recipe.benchmark.threads
    if name == _TORCH:
        from edge_convnext.convnext.network import build_network
        from edge_convnext.runtimes.pytorch import TorchRuntime

        return TorchRuntime(build_network(weights, "raw"), threads)
    option = next(option for option in options if option.name == name)
    chosen = RuntimeOptions(threads, recipe.evaluate.batch, option.hint, option.settings)
    return load_runtime(option.runtime, option.model.path, chosen)


def _infer_all(
    runtimes: Mapping[str, Runtime],
    images: ImageSet,
    info: ModelInfo,
    batch: int,
    track: Track,
) -> dict[str, Logits]:
    """Decode each batch once and give it to every runtime."""
    found: dict[str, Logits] = {}  # 4 bytes an image, a class and a runtime, once
    start = 0
    # Several inferences per turn: the threads of one runtime go to sleep before the next's start.
    decoded = batch * _INFERENCES_PER_TURN
    batches = iter_batches(images.samples, info.preprocess, decoded, info.in_channels)
    for part in track(batches, "evaluating", -(-len(images) // decoded)):
        for name, runtime in runtimes.items():
            logits = check_logits(runtime.infer(part), name)
            if name not in found:
                found[name] = np.empty((len(images), logits.shape[1]), np.float32)
            found[name][start : start + len(part)] = logits
        start += len(part)
    return found
