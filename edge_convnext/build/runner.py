"""The stages behind the cache: each method keys one stage, runs it if need be, and says how.

`pipeline` decides the order; nothing here does. A step's parity compares its output with the
stage before on the same real images, and is cached with it: equal bytes give equal logits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_convnext.build.checks import (
    Logits,
    judge_lint,
    lint_result,
    onnx_logits,
    parity_result,
    torch_logits,
)
from edge_convnext.core.artifacts import (
    FormName,
    OnnxModel,
    Parity,
    Precision,
    Weights,
)
from edge_convnext.core.cache import Cache, Entry, stage_key
from edge_convnext.core.progress import Track
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images, Step, as_step
from edge_convnext.data.preprocess import PIXELS
from edge_convnext.networks.family import family_of
from edge_convnext.networks.plans import Plan
from edge_convnext.runtimes.lint import LintTarget, lint_targets
from edge_convnext.runtimes.load import package_of
from edge_convnext.stages.recover import Recovery
from edge_convnext.stages.sensitivity import Sensitivity

__all__ = ["Steps"]

_LOGITS = "logits.npy"
# Over the largest logit. Rounding gives 1e-6; anything structural gives 1e-2 and more.
_MAX_FOLD_ERROR = 1e-4
_MAX_EXPORT_ERROR = 1e-3
_MAX_LOWERING_ERROR = 2e-2  # a value between two steps may be rounded either way


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
            from edge_convnext.stages.fold import fold_weights

            folded = fold_weights(weights, folder / "folded.safetensors")
            batches = samples.load()
            raw, linear = (
                torch_logits(weights, "raw", batches),
                torch_logits(folded, family_of(folded).portable[0], batches),
            )
            return parity_result(raw, linear, _MAX_FOLD_ERROR)

        key = stage_key(
            "fold/3",
            weights=digest,
            info=asdict(weights.info),
            images=samples.digest,
            tools=self.tools("edge-convnext", "torch", "safetensors"),
        )
        entry = self.run("fold", key, "folding", make)
        folded = replace(weights, path=entry.folder / "folded.safetensors", folded=True)
        return as_step(folded, entry, "folded.safetensors")

    def export(
        self,
        weights: Weights,
        digest: str,
        form: FormName,
        precision: Precision,
        samples: Images,
        model: Step[Weights],
    ) -> Step[OnnxModel]:
        """Export one form, and compare ONNX Runtime with the model as it was trained, in torch.

        `model` is unfolded: the form in torch would be wrong in the same way.
        """
        name = f"{form}.{precision}.export.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.export import export_onnx

            batches = samples.load()
            export_onnx(weights, form, precision, self.recipe.export, folder / name, batches)
            limit = _MAX_EXPORT_ERROR if precision == "fp32" else None
            exported = onnx_logits(folder / name, batches)
            return parity_result(torch_logits(model.value, "raw", batches), exported, limit)

        key = stage_key(
            "export/3",
            weights=digest,
            model=model.digest,
            info=asdict(weights.info),
            form=form,
            precision=precision,
            config=self.recipe.export.model_dump(mode="json", exclude={"form", "gelu"}),
            images=samples.digest,
            tools=self.tools("edge-convnext", "torch", "onnx", "onnxscript", "onnxruntime"),
        )
        entry = self.run("export", key, f"exporting the {form} form, {precision}", make)
        return as_step(OnnxModel(entry.folder / name, precision, form), entry, name)

    def simplify(self, model: Step[OnnxModel], samples: Images) -> Step[OnnxModel]:
        """Simplify, or go on with the graph as it is, and say why.

        Only a success is kept: a time-out on a busy machine must not decide later builds.
        """
        before = model.value
        name = before.path.name.replace(".export.", ".")

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.simplify import simplify

            batches = samples.load()
            outcome = simplify(before, batches[0], self.recipe.simplify, folder / name)
            if outcome.reason is not None:
                raise _UnsimplifiedError(outcome.reason)
            return parity_result(
                onnx_logits(before.path, batches), onnx_logits(folder / name, batches)
            )

        key = stage_key(
            "simplify/2",
            model=model.digest,
            images=samples.digest,
            tools=self.tools("edge-convnext", "onnx", "onnxsim", "onnxruntime"),
        )
        started = time.perf_counter()
        try:
            entry = self.run("simplify", key, f"simplifying the {before.form} form", make)
        except _UnsimplifiedError as unsimplified:
            seconds = time.perf_counter() - started
            return Step(before, "skipped", seconds, model.digest, str(unsimplified))
        return as_step(replace(before, path=entry.folder / name), entry, name)

    def approximate(self, model: Step[OnnxModel], samples: Images) -> Step[OnnxModel]:
        """Put tanh into GELU, and tell how far that is from the exact graph."""
        before = model.value
        name = before.path.name.replace(".onnx", ".tanh.onnx")

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.approximate import use_tanh_gelu

            made = use_tanh_gelu(before, folder / name)
            shown = samples.load()
            return parity_result(onnx_logits(before.path, shown), onnx_logits(made.path, shown))

        key = stage_key(
            "approximate/1",
            model=model.digest,
            images=samples.digest,
            tools=self.tools("edge-convnext", "onnx", "onnxruntime"),
        )
        entry = self.run("approximate", key, f"approximating GELU in the {before.form} form", make)
        return as_step(replace(before, path=entry.folder / name), entry, name)

    def equalize(
        self, model: Step[OnnxModel], plan: Plan, calibration: Images, samples: Images
    ) -> Step[OnnxModel]:
        """Rescale channels for the quantizer; the function stays, and that is checked."""
        before = model.value
        name = f"{plan.form}.{plan.activation_type}.equalized.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.equalize import equalize

            made = equalize(
                before, calibration.load(), self.recipe.equalize, plan.activation_type,
                folder / name,
            )  # fmt: skip
            shown = samples.load()
            return parity_result(
                onnx_logits(before.path, shown), onnx_logits(made.path, shown), _MAX_EXPORT_ERROR
            )

        key = stage_key(
            "equalize/3",
            model=model.digest,
            activation_type=plan.activation_type,
            config=self.recipe.equalize.model_dump(mode="json"),
            calibration=calibration.digest,
            images=samples.digest,
            tools=self.tools("edge-convnext", "onnx", "onnxruntime"),
        )
        entry = self.run("equalize", key, f"equalizing the {plan.form} form", make)
        return as_step(replace(before, path=entry.folder / name), entry, name)

    def quantize(
        self,
        model: Step[OnnxModel],
        plan: Plan,
        targets: Sequence[LintTarget],
        calibration: Images,
        samples: Images,
    ) -> Step[OnnxModel]:
        """Quantize, lint for each target, and compare with the float graph in ONNX Runtime."""
        before = model.value
        name = f"{replace(plan, format='qdq', settings=()).label}.int8.onnx"
        config = self.recipe.quantize.model_copy(
            update={"activations_range_estimator": plan.range_estimator}
        )

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.quantize import quantize

            made = quantize(
                before, calibration.load(), plan.placement, config, folder / name,
                self.track, plan.activation_type,
            )  # fmt: skip
            shown = samples.load()
            parity = parity_result(onnx_logits(before.path, shown), onnx_logits(made.path, shown))
            findings = {target: lint_result(made.path, target) for target in lint_targets()}
            return {**parity, "quantized_ops": made.quantized_ops, "lint": findings}

        key = stage_key(
            "quantize/3",
            model=model.digest,
            placement=plan.placement,
            activation_type=plan.activation_type,
            # What is above, as it was resolved, and the size of the set, which has a digest.
            config=config.model_dump(
                mode="json", exclude={"placement", "activation_type", "subset_size"}
            ),
            calibration=calibration.digest,
            images=samples.digest,
            tools=self.tools("edge-convnext", "nncf", "onnx", "onnxruntime"),
        )
        entry = self.cache.run("quantize", key, make)
        made = OnnxModel(
            entry.folder / name, "int8", before.form, plan.placement, entry.result["quantized_ops"]
        )
        reason = judge_lint(entry.result["lint"], targets)
        return replace(as_step(made, entry, name), reason=reason)

    def recover(
        self,
        quantized: Step[OnnxModel],
        reference: Step[OnnxModel],
        training: Images,
        samples: Images,
    ) -> Step[Recovery]:
        """Fine-tune, and compare with the float graph on images that were not learnt from.

        `training` is one batch. Where it did not help, the value has the graph as it was.
        """
        before = quantized.value
        name = f"{before.path.name.removesuffix('.int8.onnx')}.recovered.int8.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.recover import recover

            (images,) = training.load()
            found = recover(
                before, reference.value, images, self.recipe.recover, folder / name,
                self.recipe.seed, self.track,
            )  # fmt: skip
            recovery = {**asdict(found), "model": None}
            if not found.kept:
                (folder / name).unlink()
                return {"recovery": recovery}
            shown = samples.load()
            parity = parity_result(
                onnx_logits(reference.value.path, shown), onnx_logits(folder / name, shown)
            )
            return {**parity, "recovery": recovery}

        key = stage_key(
            "recover/1",
            quantized=quantized.digest,
            reference=reference.digest,
            # How many images there are is in their digest.
            config=self.recipe.recover.model_dump(mode="json", exclude={"enabled", "images"}),
            training=training.digest,
            images=samples.digest,
            seed=self.recipe.seed,
            tools=self.tools("edge-convnext", "torch", "numpy", "onnx", "onnxruntime"),
        )
        entry = self.cache.run("recover", key, make)
        fields = dict(entry.result["recovery"])
        fields["before"], fields["after"] = Parity(**fields["before"]), Parity(**fields["after"])
        if fields["kept"]:
            fields["model"] = replace(before, path=entry.folder / name)
            return as_step(Recovery(**fields), entry, name)
        recovery = Recovery(**{**fields, "model": before})
        seconds = 0.0 if entry.cached else entry.seconds
        reason = "training did not bring the logits nearer to the float graph's"
        return Step(recovery, "skipped", seconds, quantized.digest, reason, quantized.parity)

    def sensitivity(
        self, quantized: Step[OnnxModel], reference: Step[OnnxModel], samples: Images
    ) -> tuple[Sensitivity, ...]:
        """What quantizing each operation costs, the most harmful first."""

        def make(_folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.sensitivity import rank_operations

            ranked = rank_operations(
                quantized.value.path, reference.value.path, samples.load(), self.track
            )
            return {"ranking": [asdict(one) for one in ranked]}

        key = stage_key(
            "sensitivity/1",
            quantized=quantized.digest,
            reference=reference.digest,
            images=samples.digest,
            tools=self.tools("edge-convnext", "onnx", "onnxruntime"),
        )
        entry = self.cache.run("sensitivity", key, make)
        return tuple(Sensitivity(**one) for one in entry.result["ranking"])

    def keep_float(
        self,
        quantized: Step[OnnxModel],
        reference: Step[OnnxModel],
        names: Sequence[str],
        samples: Images,
    ) -> Step[OnnxModel]:
        """Return operations to float, and compare with the whole float graph."""
        before = quantized.value
        name = f"{before.path.name.removesuffix('.int8.onnx')}.float{len(names)}.int8.onnx"

        def make(folder: Path) -> dict[str, Any]:
            import onnx

            from edge_convnext.stages.keep_float import keep_float, quantized_operations

            original = onnx.load(str(reference.value.path))
            proto = keep_float(onnx.load(str(before.path)), original, names)
            onnx.save(proto, str(folder / name))
            shown = samples.load()
            parity = parity_result(
                onnx_logits(reference.value.path, shown), onnx_logits(folder / name, shown)
            )
            return {**parity, "quantized_ops": len(quantized_operations(proto))}

        key = stage_key(
            "fallback/1",
            quantized=quantized.digest,
            reference=reference.digest,
            names=sorted(names),
            images=samples.digest,
            tools=self.tools("edge-convnext", "onnx", "onnxruntime"),
        )
        entry = self.run("fallback", key, f"keeping {len(names)} operations in float", make)
        made = replace(
            before, path=entry.folder / name, quantized_ops=entry.result["quantized_ops"]
        )
        return replace(as_step(made, entry, name), reason=quantized.reason)

    def lower(
        self, model: Step[OnnxModel], plan: Plan, reference: Step[OnnxModel], samples: Images
    ) -> Step[OnnxModel]:
        """Fuse for ONNX Runtime alone, and compare there.

        With static ranges the Q/DQ graph computes the same, which is checked. With dynamic ones
        only the float graph, `reference`, tells how good the result is.
        """
        before, dynamic = model.value, plan.format == "onnxruntime_dynamic"
        ending = "dynamic" if dynamic else "ort"
        name = f"{before.path.name.removesuffix('.int8.onnx')}.{ending}.int8.onnx"

        def make(folder: Path) -> dict[str, Any]:
            from edge_convnext.stages.fuse_for_onnxruntime import lower_for_onnxruntime

            made = lower_for_onnxruntime(before, folder / name, dynamic=dynamic)
            shown = samples.load()
            expected = onnx_logits(reference.value.path if dynamic else before.path, shown)
            limit = None if dynamic else _MAX_LOWERING_ERROR
            return parity_result(expected, onnx_logits(made.path, shown), limit)

        key = stage_key(
            "lower/2",
            model=model.digest,
            dynamic=dynamic,
            reference=reference.digest,
            images=samples.digest,
            tools=self.tools("edge-convnext", "onnx", "onnxruntime"),
        )
        entry = self.run("lower", key, f"fusing the {plan.form} form", make)
        lowered = as_step(replace(before, path=entry.folder / name), entry, name)
        # The accuracy that counts is against the float graph; this stage has its own gate.
        parity = lowered.parity if dynamic else model.parity
        return replace(lowered, reason=model.reason, parity=parity)

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
            images: Digest of the set's content, whatever its labels.
            preprocess: How images become input.
            machine: Fingerprint; another CPU may compute other logits.
            infer: Given the names that the cache can't answer, runs them in one pass.
        """
        keys = {
            name: stage_key(
                "evaluate/2",
                run=dict(run),
                images=images,
                preprocess=dict(preprocess),
                pixels=PIXELS,
                machine=machine,
                batch=self.recipe.evaluate.batch,
                threads=self.recipe.benchmark.threads,
                tools=self.tools("edge-convnext", "pillow", "numpy", package_of(run["runtime"])),
            )
            for name, run in runs.items()
        }
        missing = [name for name, key in keys.items() if not self.cache.holds("evaluate", key)]
        started = time.perf_counter()
        fresh = dict(infer(missing)) if missing else {}
        ran = frozenset(fresh)
        share = (time.perf_counter() - started) / max(len(missing), 1)
        steps: dict[str, Step[Logits]] = {}
        for name, key in keys.items():

            def make(folder: Path, name: str = name) -> dict[str, Any]:
                # A damaged entry counts as held until it is read: run that one alone.
                # Each is let go once it is written: what is read back is the file's own pages.
                logits = fresh.pop(name) if name in fresh else infer([name])[name]
                np.save(folder / _LOGITS, logits, allow_pickle=False)
                return {}

            entry = self.cache.run("evaluate", key, make)
            logits = np.load(entry.folder / _LOGITS, mmap_mode="r", allow_pickle=False)
            step = as_step(logits, entry, _LOGITS)
            steps[name] = replace(step, seconds=share if name in ran else step.seconds)
        return steps

    def run(self, stage: str, key: str, what: str, make: Callable[[Path], dict[str, Any]]) -> Entry:
        """Run a stage that can't tell how far it is: it shows what is going on, and how long."""

        def shown(folder: Path) -> dict[str, Any]:
            (result,) = [make(folder) for _ in self.track((None,), what, 1)]
            return result

        return self.cache.run(stage, key, shown)

    def tools(self, *packages: str) -> dict[str, str]:
        """Versions of what a stage's output depends on, for its key."""
        return {package: self.versions.get(package, "not installed") for package in packages}


class _UnsimplifiedError(Exception):
    """Why the simplifier's output is not used."""
