"""What a step is held to: logits of the stage before, and the rules of the targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import FormName, Weights
from edge_convnext.core.errors import ExportError, QuantizationError
from edge_convnext.networks.family import family_of
from edge_convnext.runtimes.lint import LintTarget

__all__ = ["Logits", "judge_lint", "lint_result", "onnx_logits", "parity_result", "torch_logits"]

Logits = NDArray[np.float32]


def lint_result(path: Path, target: LintTarget) -> dict[str, Any]:
    """Warnings by rule, and the first error, of one target."""
    from edge_convnext.runtimes.lint import lint

    findings = lint(path, target)
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    warnings = Counter(one.rule for one in findings if one.severity == "warning")
    return {"error": errors[0] if errors else None, "warnings": dict(warnings)}


def judge_lint(findings: Mapping[str, Any], targets: Sequence[LintTarget]) -> str | None:
    """Refuse what a wanted target can't run; else such as `lint: openvino depthwise x12`."""
    for target in targets:
        if error := findings[target]["error"]:
            raise QuantizationError(f"the graph can't run on {target}: {error}")
    warnings = [
        f"{target} {rule} x{count}"
        for target in targets
        for rule, count in findings[target]["warnings"].items()
    ]
    return f"lint: {', '.join(warnings)}" if warnings else None


def parity_result(
    reference: Logits, candidate: Logits, limit: float | None = None
) -> dict[str, Any]:
    """Compare two stages' logits; `limit` bounds the largest error over the largest logit."""
    from edge_convnext.core.metrics import compare_logits

    parity = compare_logits(reference, candidate)
    within = limit is None or parity.max_abs_err <= limit * float(np.abs(reference).max())
    if not within:  # nor is a figure that is none
        raise ExportError(
            f"the graph's logits differ from the model's by up to {parity.max_abs_err:.3g} on "
            f"{parity.n_images} real images, which is no rounding: report it with the torch "
            "version; --no-fold, another --form and another --opset may avoid it"
        )
    return {"parity": asdict(parity)}


def torch_logits(
    weights: Weights, form: FormName, batches: Sequence[NDArray[np.float32]]
) -> Logits:
    """Run the network of one form in torch."""
    from edge_convnext.measure.accuracy import predict
    from edge_convnext.runtimes.pytorch import TorchRuntime

    return predict(TorchRuntime(family_of(weights).build(weights, form)), batches)


def onnx_logits(path: Path, batches: Sequence[NDArray[np.float32]]) -> Logits:
    """Run a graph in ONNX Runtime."""
    from edge_convnext.measure.accuracy import predict
    from edge_convnext.runtimes import RuntimeOptions
    from edge_convnext.runtimes.load import load_runtime

    return predict(load_runtime("onnxruntime", path, RuntimeOptions()), batches)
