"""One runner for every stage: it keys, caches, compares logits, lints, and reports the result.

A stage's key has its name and revision, all that decides its bytes, and the versions of packages
it depends on (`core.step.Stage`). Nothing here knows the order of the stages: `float_chain`,
`int8_chain` and `gpu_chain` do. A step's parity compares its output with a reference on the same
real images. It is cached with the output: equal bytes give equal logits.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel, Weights
from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.cache_entries import Entry
from edge_convnext.core.errors import ExportError, RefusedGraphError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.progress import Track
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images, Stage, Step, as_step
from edge_convnext.data.preprocess import PIXELS
from edge_convnext.measure.accuracy import predict
from edge_convnext.networks.family import family_of
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.lint import LintTarget, lint
from edge_convnext.runtimes.load import load_runtime, package_of
from edge_convnext.runtimes.pytorch import TorchRuntime
from edge_convnext.runtimes.reference import load_reference

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import FormName

__all__ = [
    "Logits",
    "Runner",
    "judge_lint",
    "lint_result",
    "logits_of",
    "onnx_logits",
    "parity_result",
    "torch_logits",
]

Logits: TypeAlias = NDArray[np.float32]
_ANY: CpuRuntimeName = "onnxruntime"  # it loads every ONNX graph
_EVALUATE = Stage("evaluate", 2, ("pillow", "numpy"))
_LOGITS = "logits.npy"


class Runner:
    """Runs the stages of one build.

    Args:
        cache: Cache of finished stages.
        recipe: Recipe of the build.
        versions: Versions by package, for the keys.
        track: Shows work that takes long.
    """

    def __init__(
        self, cache: Cache, recipe: Recipe, versions: Mapping[str, str], track: Track
    ) -> None:
        self.cache = cache
        self.recipe = recipe
        self.versions = versions
        self.track = track
        # Logits on a few images, by the file, the images and the runtime.
        self.known: dict[tuple[str, str, str], Logits] = {}

    def with_recipe(self, recipe: Recipe) -> Runner:
        """A runner with the same cache and tools for another recipe."""
        other = Runner(self.cache, recipe, self.versions, self.track)
        other.known = self.known
        return other

    def rounding_to_nearest(self) -> Runner:
        """A runner of graphs that are only raced: how weights are rounded changes no latency."""
        nearest = self.recipe.quantize.model_copy(update={"weight_rounding": "nearest"})
        return self.with_recipe(self.recipe.model_copy(update={"quantize": nearest}))

    def run(
        self,
        stage: Stage,
        make: Callable[[Path], dict[str, Any]],
        what: str | None = None,
        *,
        key: Mapping[str, Any],
    ) -> Entry:
        """Run a stage, or take its earlier result from the cache.

        Args:
            stage: Stage to run.
            make: Writes the stage's files into the given folder, and returns a JSON-able result.
            what: Text shown while it runs; None for a stage that shows its own progress.
            key: JSON-able values that decide the stage's bytes: digests of inputs, and settings.
        """

        def shown(folder: Path) -> dict[str, Any]:
            (result,) = [make(folder) for _ in self.track((None,), what or "", 1)]
            return result

        own = stage_key(stage.key, **key, tools=self._tools(stage))
        return self.cache.run(stage.folder or stage.name, own, shown if what else make)

    def graph(
        self,
        stage: Stage,
        like: OnnxModel,
        make: Callable[[Path], OnnxModel],
        *,
        file: str,
        what: str | None,
        compare_with: OnnxModel | Weights,
        samples: Images,
        key: Mapping[str, Any],
        exact: bool = True,
        lint_for: Sequence[LintTarget] = (),
        targets: Sequence[LintTarget] = (),
        runtime: CpuRuntimeName = _ANY,
    ) -> Step[OnnxModel]:
        """Run a stage that makes a graph, and compare its logits with those of a reference.

        Args:
            stage: Stage to run.
            like: Description of the graph except for its path: form, precision, placement.
            make: Writes the graph to the given path.
            file: File name of the graph.
            what: Text shown while it runs; None for a stage that shows its own progress.
            compare_with: Reference: a graph, or weights as they were trained.
            samples: Real images to compare on.
            key: JSON-able values that decide the graph's bytes, other than `samples`.
            exact: True holds the logits to the stage's `max_error`, if it has one.
            lint_for: Targets whose rules are checked; the cache entry has the findings.
            targets: Those of `lint_for` that will run the graph; an error of theirs is raised.
            runtime: Runtime that it is run in: one alone, where no other loads it.

        Raises:
            ExportError: The logits are further off than the stage allows.
            RefusedGraphError: A target can't run the graph.
        """

        def compared(folder: Path) -> dict[str, Any]:
            made = make(folder / file)
            shown = samples.load()
            expected = self.expected(compare_with, samples, shown)
            limit = stage.max_error if exact else None
            own = (
                isinstance(compare_with, Weights)
                and family_of(compare_with).source_graph(compare_with) is not None
            )
            found = self.logits_in(runtime, folder / file, samples)
            parity = parity_result(expected, found, limit, own, stage.name)
            findings = {target: lint_result(folder / file, target) for target in lint_for}
            return {**parity, "quantized_ops": made.quantized_ops, "lint": findings}

        entry = self.run(stage, compared, what, key={**key, "images": samples.digest})
        made = replace(
            like, path=entry.folder / file,
            quantized_ops=entry.result.get("quantized_ops", like.quantized_ops),
        )  # fmt: skip
        step = as_step(made, entry, file, stage)
        warnings = judge_lint(entry.result.get("lint", {}), targets)
        return replace(step, reason=warnings or step.reason)

    def expected(
        self, model: OnnxModel | Weights, samples: Images, shown: Sequence[NDArray[np.float32]]
    ) -> Logits:
        """Logits of a reference; the folds and every form ask for those of the model as it came.

        Args:
            model: A graph, or weights as they were trained.
            samples: Images to run on.
            shown: The same, loaded.
        """
        if isinstance(model, OnnxModel):
            return self.logits_in(_ANY, model.path, samples)
        key = (str(model.path), samples.digest, "")
        if key not in self.known:
            self.known[key] = logits_of(model, shown)
        return self.known[key]

    def logits_in(self, runtime: CpuRuntimeName, path: Path, samples: Images) -> Logits:
        """Logits of a graph in a runtime, once for each: its stage's, and the next one's reference.

        Args:
            runtime: Runtime to load it in, at its defaults.
            path: Graph.
            samples: Images to run on.
        """
        key = (sha256_file(path), samples.digest, runtime)
        if key not in self.known:
            self.known[key] = onnx_logits(path, samples.load(), runtime)
        return self.known[key]

    def logits(
        self,
        runs: Mapping[str, Mapping[str, str]],
        images: str,
        preprocess: Mapping[str, Any],
        machine: str,
        infer: Callable[[Sequence[str]], Mapping[str, Logits]],
    ) -> dict[str, Step[Logits]]:
        """Logits of several models over one set, float32[n, num_classes] each.

        Args:
            runs: Digest, runtime and options of each model, by name.
            images: Digest of the set's content, without its labels.
            preprocess: Settings of the preprocessing.
            machine: Fingerprint of this machine; another CPU may compute other logits.
            infer: Runs the models that the cache has no logits of, by name, in one pass.
        """
        stages = {name: _EVALUATE.on(package_of(run["runtime"])) for name, run in runs.items()}
        keys = {
            name: {
                "run": dict(run),
                "images": images,
                "preprocess": dict(preprocess),
                "pixels": PIXELS,
                "machine": machine,
                "batch": self.recipe.evaluate.batch,
                "threads": self.recipe.benchmark.threads,
            }
            for name, run in runs.items()
        }
        missing = [name for name in runs if not self.holds(stages[name], keys[name])]
        started = time.perf_counter()
        fresh = dict(infer(missing)) if missing else {}
        ran = frozenset(fresh)
        share = (time.perf_counter() - started) / max(len(missing), 1)
        steps: dict[str, Step[Logits]] = {}
        for name, key in keys.items():

            def make(folder: Path, name: str = name) -> dict[str, Any]:
                # A damaged entry is noticed only when it is read: run that model alone.
                # Release the logits once written: reading them back maps the file's own pages.
                logits = fresh.pop(name) if name in fresh else infer([name])[name]
                np.save(folder / _LOGITS, logits, allow_pickle=False)
                return {}

            entry = self.run(stages[name], make, key=key)
            logits = np.load(entry.folder / _LOGITS, mmap_mode="r", allow_pickle=False)
            step = as_step(logits, entry, _LOGITS, _EVALUATE)
            steps[name] = replace(step, seconds=share if name in ran else step.seconds)
        return steps

    def holds(self, stage: Stage, key: Mapping[str, Any]) -> bool:
        """Whether the cache has a stage's result; `run` still checks its hashes."""
        own = stage_key(stage.key, **key, tools=self._tools(stage))
        return self.cache.holds(stage.folder or stage.name, own)

    def _tools(self, stage: Stage) -> dict[str, str]:
        """Versions of what a stage's output depends on."""
        packages = ("edge-convnext", *stage.packages)
        return {package: self.versions.get(package, "not installed") for package in packages}


def lint_result(path: Path, target: LintTarget) -> dict[str, Any]:
    """Lint a graph for one target: warnings by rule, and the first error."""
    findings = lint(path, target)
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    warnings = Counter(one.rule for one in findings if one.severity == "warning")
    return {"error": errors[0] if errors else None, "warnings": dict(warnings)}


def judge_lint(findings: Mapping[str, Any], targets: Sequence[LintTarget]) -> str | None:
    """Refuse a graph that a target can't run; else return, say, `lint: openvino depthwise x12`."""
    known = [target for target in targets if target in findings]
    for target in known:
        if error := findings[target]["error"]:
            raise RefusedGraphError(f"the graph can't run on {target}: {error}", target)
    warnings = [
        f"{target} {rule} x{count}"
        for target in known
        for rule, count in findings[target]["warnings"].items()
    ]
    return f"lint: {', '.join(warnings)}" if warnings else None


def parity_result(
    reference: Logits,
    candidate: Logits,
    limit: float | None = None,
    own_graph: bool = False,
    stage: str = "build",
) -> dict[str, Any]:
    """Compare two stages' logits; `limit` bounds the largest error over the largest logit.

    Args:
        reference: Logits of the model as it came.
        candidate: Logits of the graph.
        limit: Largest error that is accepted; None: any.
        own_graph: True where the model came as an ONNX file, for the advice in the message.
        stage: Name of the stage that made the graph, for the message.

    Raises:
        ExportError: The logits are further apart than `limit`.
    """
    parity = compare_logits(reference, candidate)
    most = np.inf if limit is None else limit * float(np.abs(reference).max())
    within = limit is None or parity.max_abs_err <= most
    if not within:  # NaN is not within it either
        remedy = "export the ONNX file again at opset 20, or " if own_graph else ""
        raise ExportError(
            f"{stage}: the logits differ from the model's by up to {parity.max_abs_err:.3g} on "
            f"{parity.n_images} real images, and at most {most:.3g} is accepted; {remedy}report it "
            "with `edge-convnext doctor --json`"
        )
    return {"parity": asdict(parity)}


def logits_of(model: OnnxModel | Weights, batches: Sequence[NDArray[np.float32]]) -> Logits:
    """Run a graph in ONNX Runtime, or weights as they came: see `runtimes.reference`."""
    if isinstance(model, OnnxModel):
        return onnx_logits(model.path, batches)
    return torch_logits(model, "raw", batches)


def torch_logits(
    weights: Weights, form: FormName, batches: Sequence[NDArray[np.float32]]
) -> Logits:
    """Run the network of one form in torch; of `raw` it is the reference, whatever runs that."""
    if form == "raw":
        return predict(load_reference(weights), batches)
    return predict(TorchRuntime(family_of(weights).build(weights, form)), batches)


def onnx_logits(
    path: Path, batches: Sequence[NDArray[np.float32]], runtime: CpuRuntimeName = _ANY
) -> Logits:
    """Run a graph in ONNX Runtime, or in the one runtime that loads it."""
    return predict(load_runtime(runtime, path, RuntimeOptions()), batches)
