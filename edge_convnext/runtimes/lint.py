"""Lint: operations that a runtime computes wrongly, or runs slower than their type suggests.

Each rule was found by trying graphs of one operation: on TensorRT for RTX 1.7's parser and kernel
list (`lint_tensorrt`), on ONNX Runtime 1.32's optimized graph and on OpenVINO 2026.4's execution
graph, both on a CPU with AVX-512 VNNI.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edge_convnext.core.errors import RecipeError, RefusedGraphError, shorten
from edge_convnext.core.file_kinds import is_tflite
from edge_convnext.core.files import AnyPath
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.findings import Finding, Severity, refuse_errors
from edge_convnext.runtimes.load import RUNTIMES, find_runtime

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import RuntimeName

__all__ = [
    "AARCH64",
    "Finding",
    "LintTarget",
    "Severity",
    "for_those_that_can",
    "lint",
    "lint_targets",
    "require_runnable",
    "targets_here",
]

T = TypeVar("T")

AARCH64 = "-aarch64"  # ends a target whose rules hold on Arm alone
_AARCH64_NAMES = ("aarch64", "arm64")

LintTarget = str  # one of `lint_targets`


def lint_targets() -> tuple[LintTarget, ...]:
    """List every target that has rules: a runtime, or a version of one."""
    return tuple(target for name in RUNTIMES for target in find_runtime(name).LINT_TARGETS)


def targets_here(name: RuntimeName, machine: str | None = None) -> tuple[LintTarget, ...]:
    """List the targets of a runtime whose rules hold on a machine.

    Args:
        name: A key of `RUNTIMES`.
        machine: Architecture, as `platform.machine` names it; None: this machine's.
    """
    here = machine or platform.machine()
    return tuple(
        target
        for target in find_runtime(name).LINT_TARGETS
        if not target.endswith(AARCH64) or here in _AARCH64_NAMES
    )


def lint(path: AnyPath, target: LintTarget) -> tuple[Finding, ...]:
    """Check a graph against the rules of one target.

    Args:
        path: An ONNX graph, float or with explicit QuantizeLinear and DequantizeLinear; a LiteRT
            model has no findings.
        target: One of `lint_targets`.

    Returns:
        The findings, in the order of the nodes; empty for a clean graph.

    Raises:
        ArtifactError: The file is missing, or not ONNX.
        RecipeError: There is no such target; the message lists the known ones.
    """
    path = Path(path)
    from edge_convnext.graph.qdq import Wiring

    if target not in lint_targets():
        raise RecipeError(
            f"unknown target '{shorten(target)}': known are {', '.join(lint_targets())}"
        )
    if is_tflite(path):  # it was checked when it was written
        return ()
    proto = read_proto(path)
    modules = map(find_runtime, RUNTIMES)
    module = next(one for one in modules if target in one.LINT_TARGETS)
    return tuple(module.lint(proto, Wiring(proto), target))


def require_runnable(path: Path, target: LintTarget) -> tuple[Finding, ...]:
    """Lint a graph, and refuse one with errors.

    Returns:
        The warnings, in the order of the nodes.

    Raises:
        QuantizationError: The graph breaks a rule; the message has the node, rule and remedy of
            the first error.
        ArtifactError: The file is missing, or not ONNX.
    """
    findings = lint(path, target)
    refuse_errors(findings, path, target)
    return findings


def for_those_that_can(make: Callable[..., T], targets: Sequence[LintTarget]) -> T:
    """Make a graph for those targets that can run it, and leave the others out.

    Args:
        make: Function that makes it, given `users`; it raises `RefusedGraphError` where one of
            them can't run it.
        targets: Targets that it is for.
    """
    left = list(targets)
    while True:
        try:
            return make(users=list(left))
        except RefusedGraphError as error:
            if error.target not in left:
                raise
            left.remove(error.target)
