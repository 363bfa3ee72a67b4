"""The stages behind the cache: each method keys one stage, runs it if need be, and says how.

`pipeline` decides the order; nothing here does. A step's parity compares its output with the
stage before on the same real images, and is cached with it: equal bytes give equal logits.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_convnext.artifacts import (
    Engine,
    FormName,
    OnnxModel,
    Parity,
    PlacementName,
    Precision,
    Weights,
)
from edge_convnext.cache import Cache, Entry, stage_key
from edge_convnext.lint import LintTarget
from edge_convnext.progress import Track
from edge_convnext.recipe import Recipe

__all__ = ["Images", "Step", "Steps", "as_step"]

T = TypeVar("T")
Status = Literal["done", "cached", "skipped"]
Logits = NDArray[np.float32]
_LOGITS = "logits.npy"


@dataclass(frozen=True)
class Step(Generic[T]):
    """What one run of one stage made, and how it went."""

    value: T
    status: Status
    seconds: float
    digest: str  # SHA-256 of the artefact
    reason: str | None = None
    parity: Parity | None = None


@dataclass(frozen=True)
class Images:
    """Images a stage may need: decoded only when it really runs.

    `load` returns float32[n, C, S, S] batches and may be called more than once.
    """

    digest: str
    count: int
    load: Callable[[], Sequence[NDArray[np.float32]]]


class Steps:
    """Cached stages of one build."""

    def __init__(
        self, cache: Cache, recipe: Recipe, versions: Mapping[str, str], track: Track
    ) -> None:
        self.cache = cache
        self.recipe = recipe
        self.versions = versions
        self.track = track

    def fold(self, weights: Weights, digest: str, samples: Images) -> Step[Weights]:
        """Fold, and compare the folded network with the raw one in torch."""

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.fold import fold_weights

            folded = fold_weights(weights, folder / "folded.safetensors")
            batches = samples.load()
            return _parity_result(
                _torch(weights, "raw", batches), _torch(folded, "linear", batches)
            )

        key = stage_key("fold/1", weights=digest, info=asdict(weights.info), images=samples.digest)
        entry = self.cache.run("fold", key, make)
        folded = replace(weights, path=entry.folder / "folded.safetensors", folded=True)
        return as_step(folded, entry, "folded.safetensors")

    def export(
        self, weights: Weights, digest: str, form: FormName, precision: Precision, samples: Images
    ) -> Step[OnnxModel]:
        """Export one form, and compare ONNX Runtime with torch."""
        name = f"{form}.{precision}.export.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.export import export_onnx

            export_onnx(weights, form, precision, self.recipe.export, folder / name)
            batches = samples.load()
            return _parity_result(_torch(weights, form, batches), _onnx(folder / name, batches))

        key = stage_key(
            "export/1",
            weights=digest,
            info=asdict(weights.info),
            form=form,
            precision=precision,
            config=self.recipe.export.model_dump(mode="json"),
            images=samples.digest,
            tools=self._tools("edge-convnext", "torch", "onnx", "onnxscript"),
        )
        entry = self.cache.run("export", key, make)
        return as_step(OnnxModel(entry.folder / name, precision, form), entry, name)

    def simplify(self, model: Step[OnnxModel], samples: Images) -> Step[OnnxModel]:
        """Simplify, or keep the graph with the reason."""
        before = model.value
        name = before.path.name.replace(".export.", ".")

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.simplify import simplify

            batches = samples.load()
            outcome = simplify(before, batches[0], self.recipe.simplify, folder / name)
            parity = _parity_result(_onnx(before.path, batches), _onnx(folder / name, batches))
            return {**parity, "reason": outcome.reason}

        key = stage_key(
            "simplify/1",
            model=model.digest,
            config=self.recipe.simplify.model_dump(mode="json"),
            images=samples.digest,
            tools=self._tools("onnx", "onnxsim", "onnxruntime"),
        )
        entry = self.cache.run("simplify", key, make)
        step = as_step(replace(before, path=entry.folder / name), entry, name)
        return replace(step, status="skipped") if step.reason else step

    def quantize(
        self,
        model: Step[OnnxModel],
        placement: PlacementName,
        targets: Sequence[LintTarget],
        calibration: Images,
        samples: Images,
    ) -> Step[OnnxModel]:
        """Quantize, lint for each target, and compare with the float graph in ONNX Runtime."""
        before = model.value
        name = f"{before.form}.{placement}.int8.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.lint import require_runnable
            from edge_convnext.quantize import quantize

            config = self.recipe.quantize
            batches = calibration.load()
            made = quantize(before, batches, placement, config, folder / name, self.track)
            warnings = Counter(
                f"{target} {finding.rule}"
                for target in targets
                for finding in require_runnable(made.path, target)
            )
            shown = samples.load()
            parity = _parity_result(_onnx(before.path, shown), _onnx(made.path, shown))
            reason = _summarize(warnings)
            return {**parity, "quantized_ops": made.quantized_ops, "reason": reason}

        key = stage_key(
            "quantize/1",
            model=model.digest,
            placement=placement,
            targets=list(targets),
            config=self.recipe.quantize.model_dump(mode="json"),
            calibration=calibration.digest,
            images=samples.digest,
            tools=self._tools("edge-convnext", "nncf", "onnx", "onnxruntime"),
        )
        entry = self.cache.run("quantize", key, make)
        made = OnnxModel(
            entry.folder / name, "int8", before.form, placement, entry.result["quantized_ops"]
        )
        return as_step(made, entry, name)

    def engine(self, model: Step[OnnxModel]) -> Step[Engine]:
        """Build the TensorRT for RTX engine."""
        name = f"model.{model.value.precision}.rtx.engine"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.engine import build_rtx_engine

            built = build_rtx_engine(model.value, self.recipe.engine, folder / name)
            return {"engine": {**asdict(built), "path": name}}

        key = stage_key(
            "engine/1",
            model=model.digest,
            config=self.recipe.engine.model_dump(mode="json"),
            tools=self._tools("edge-convnext", "tensorrt_rtx"),
        )
        entry = self.cache.run("engine", key, make)
        fields = entry.result["engine"]
        fields = {**fields, "path": entry.folder / name}
        fields["compute_capabilities"] = tuple(fields["compute_capabilities"])
        return as_step(Engine(**fields), entry, name)

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
            runs: By name: the artefact's digest, its runtime and options.
            images: Digest of the set.
            preprocess: How images become input.
            machine: Fingerprint; another CPU may compute other logits.
            infer: Given the names that the cache can't answer, runs them in one pass.
        """
        keys = {
            name: stage_key(
                "evaluate/1",
                run=dict(run),
                images=images,
                preprocess=dict(preprocess),
                machine=machine,
                batch=self.recipe.evaluate.batch,
                tools=self._tools(run["runtime"]),
            )
            for name, run in runs.items()
        }
        missing = [name for name, key in keys.items() if not self.cache.holds("evaluate", key)]
        started = time.perf_counter()
        fresh = dict(infer(missing)) if missing else {}
        share = (time.perf_counter() - started) / max(len(missing), 1)
        steps: dict[str, Step[Logits]] = {}
        for name, key in keys.items():

            def make(folder: Path, name: str = name) -> dict[str, Any]:
                # A damaged entry counts as held until it is read: run that one alone.
                logits = fresh[name] if name in fresh else infer([name])[name]
                np.save(folder / _LOGITS, logits, allow_pickle=False)
                return {}

            entry = self.cache.run("evaluate", key, make)
            logits = np.load(entry.folder / _LOGITS, allow_pickle=False)
            step = as_step(logits, entry, _LOGITS)
            steps[name] = replace(step, seconds=share if name in fresh else step.seconds)
        return steps

    def _tools(self, *packages: str) -> dict[str, str]:
        return {package: self.versions.get(package, "not installed") for package in packages}


def as_step(value: T, entry: Entry, name: str) -> Step[T]:
    """What a cache entry says of the stage run that it holds; `name` is the artefact's file."""
    parity = entry.result.get("parity")
    reason = entry.result.get("reason") or entry.rebuilt_because
    return Step(
        value,
        "cached" if entry.cached else "done",
        0.0 if entry.cached else entry.seconds,
        entry.digests[name],
        reason,
        Parity(**parity) if parity else None,
    )


def _summarize(warnings: Counter[str]) -> str | None:
    """Such as `lint: onnxruntime float-kernel x5`; `lint.Finding` explains each rule."""
    if not warnings:
        return None
    return "lint: " + ", ".join(f"{rule} x{count}" for rule, count in warnings.items())


def _parity_result(reference: Logits, candidate: Logits) -> dict[str, Any]:
    from edge_convnext.metrics import compare_logits

    return {"parity": asdict(compare_logits(reference, candidate))}


def _torch(weights: Weights, form: FormName, batches: Sequence[NDArray[np.float32]]) -> Logits:
    from edge_convnext.convnext.network import build_network
    from edge_convnext.runtimes.pytorch import TorchRuntime

    runtime = TorchRuntime(build_network(weights, form))
    return np.concatenate([runtime.infer(batch) for batch in batches])


def _onnx(path: Path, batches: Sequence[NDArray[np.float32]]) -> Logits:
    from edge_convnext.runtimes import RuntimeOptions, load_runtime

    runtime = load_runtime("onnxruntime", path, RuntimeOptions())
    return np.concatenate([runtime.infer(batch) for batch in batches])
