"""Rewrite a user's graph as far as its logits stay: all of it, or with less."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError, reason_of
from edge_convnext.graph.file import copy_message
from edge_convnext.graph.foreign.check import check_foreign
from edge_convnext.graph.foreign.numbers import relative_error
from edge_convnext.graph.foreign.recognise import recognise
from edge_convnext.graph.foreign.rewrite import (
    free_batch,
    remove_idle,
    simplify_graph,
    split_batch_norms,
    to_opset20,
)
from edge_convnext.graph.safety import why_odd_size

if TYPE_CHECKING:
    from onnx import ModelProto

    from edge_convnext.graph.foreign.truth import Truth

__all__ = ["MAX_ERROR", "Made", "rewrite_exactly", "rewritten"]

MAX_ERROR = 1e-4  # of the logits, over the largest
_IR_VERSION = 9  # the first that has opset 20


@dataclass(frozen=True)
class Made:
    """A canonical graph, and how far its logits are from the user's."""

    proto: ModelProto
    batch: int | None
    error: float
    kinds: tuple[str, ...]


def rewrite_exactly(
    begun: ModelProto, truth: Truth, operations: frozenset[str], simplified: bool
) -> Made:
    """Rewrite all of a graph, or what does not change its logits.

    Args:
        begun: Graph of the user's operations from `images` to `logits`, of `truth.rows` images.
        truth: Answers that it has to give.
        operations: Types of operations that are read.
        simplified: True lets onnxsim work on it.

    Raises:
        ArtifactError: No way to write it keeps the logits; a line without the file's name.
    """
    best: Made | None = None
    reasons = []
    for simpler, known in ((simplified, True), (simplified, False), (False, False)):
        try:
            fixed, kinds = rewritten(copy_message(begun), simpler, known)
            made = _any_batch(fixed, kinds, truth)
            check_foreign(made.proto, operations)
            if reason := why_odd_size(made.proto):
                raise ArtifactError(f"{reason}; pass a smaller model, or smaller images")
        except ArtifactError as error:
            reasons.append(str(error))
            continue
        if best is None or made.error < best.error:
            best = made
        if best.error <= MAX_ERROR:
            return best
    if best is None:
        raise ArtifactError(reasons[0])
    raise ArtifactError(
        f"can't be made canonical: the logits change by {best.error:.1e} of the largest, and "
        f"{MAX_ERROR:.0e} is rounding; export it at opset 20, or report it"
    )


def rewritten(
    proto: ModelProto, simplified: bool, known: bool
) -> tuple[ModelProto, tuple[str, ...]]:
    """One opset, no idle operations, and those that were written out as what they are.

    Raises:
        ArtifactError: ONNX's own tools can't; a line without the file's name.
    """
    import onnx

    kinds: Counter[str] = Counter()
    try:
        proto = _at_opset20(proto, simplified)
        remove_idle(proto)
        # Before the simplifier, which takes a factor out of a GELU and into the next product; and
        # after it, as constants may have been written out as well.
        kinds.update(recognise(proto) if known else {})
        if simplified:
            proto = simplify_graph(proto)
        split_batch_norms(proto)
        kinds.update(recognise(proto) if known else {})
        proto.ir_version = _IR_VERSION
        onnx.checker.check_model(proto, full_check=True)
    except ArtifactError:
        raise
    except Exception as error:  # of native code, which shares no base class
        raise ArtifactError(
            f"is no graph that ONNX's tools can rewrite ({reason_of(error, 200)}); export it again"
        ) from error
    return proto, tuple(f"{kind} x{count}" for kind, count in kinds.items())


def _at_opset20(proto: ModelProto, simplified: bool) -> ModelProto:
    """Converted as it is; else when it is simpler."""
    try:
        return to_opset20(copy_message(proto))
    except ArtifactError:
        if not simplified:
            raise
    return to_opset20(simplify_graph(proto))


def _any_batch(proto: ModelProto, kinds: tuple[str, ...], truth: Truth) -> Made:
    """The graph for any batch, if that gives each image its own logits."""
    freed = copy_message(proto)
    try:
        free_batch(freed)
        error = relative_error(truth.logits, truth.run(freed, None))
    except ArtifactError:
        error = float("inf")
    if error <= MAX_ERROR:
        return Made(freed, None, error, kinds)
    own = relative_error(truth.logits, truth.run(proto, truth.rows))
    return Made(proto, truth.rows, own, kinds)
