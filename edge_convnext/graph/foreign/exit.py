"""Where a user's graph has its logits: what stands behind them is taken off, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_convnext.core.errors import ArtifactError, shorten, shorten_names
from edge_convnext.graph.foreign.index import Index, attribute_of
from edge_convnext.graph.foreign.numbers import relative_error

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

__all__ = ["Exit", "Values", "find_exit", "values_wanted"]

# float or int64 arrays by name, of one batch.
Values: TypeAlias = Mapping[str, Any]

_SHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Transpose")
_SOFT = ("Softmax", "LogSoftmax")
_CHOICES = ("ArgMax", "TopK")
_MOST_BEHIND = 16  # operations behind the logits
_CLOSE = 1e-4  # of two logits: which of them is larger may be rounding
_SHOWN = 4


@dataclass(frozen=True)
class Exit:
    """The value that has the logits, and what stood behind it."""

    logits: str
    classes: int
    flat: bool  # [N, classes]; else [N, classes, 1, 1] or [N, 1, 1, classes]
    removed: tuple[str, ...]  # such as ("Softmax", "ArgMax")
    outputs: tuple[str, ...]  # of the graph
    ways: tuple[tuple[NodeProto, ...], ...]  # from the logits to each of them

    def differs(self, logits: NDArray[np.float32], outputs: Values) -> float:
        """How far the graph's own outputs are from those that logits lead to, relatively.

        Args:
            logits: float32[N, classes].
            outputs: Values that the graph gave, by name.
        """
        errors = []
        for name, way in zip(self.outputs, self.ways, strict=True):
            errors.append(_follow(logits, way, outputs[name]))
        return max(errors)


def values_wanted(graph: GraphProto) -> tuple[str, ...]:
    """The outputs of a graph, and values before them whose shapes tell where the logits are."""
    index = Index(graph)
    wanted: dict[str, None] = {}
    for output in graph.output:
        for value, _ in _behind(index, output.name):
            wanted.setdefault(value)
    return tuple(wanted)


def _behind(index: Index, name: str) -> list[tuple[str, NodeProto | None]]:
    """Values from an output backwards, each with the operation that makes the one before it."""
    found: list[tuple[str, NodeProto | None]] = [(name, None)]
    known = (*_SHAPES, *_SOFT, *_CHOICES, "Cast")
    for _ in range(_MOST_BEHIND):
        node = index.makers.get(name)
        if node is None or node.op_type not in known:
            break
        name = node.input[0]
        found.append((name, node))
    return found


def find_exit(graph: GraphProto, values: Values, batch: int, opset: int) -> Exit:
    """Find the logits.

    Args:
        graph: Checked.
        values: Those of `values_wanted`, of one batch.
        batch: Images in it.
        opset: Opset of the graph; Softmax changed its default axis at 13.

    Raises:
        ArtifactError: The graph does not end in one row of logits for each image.
    """
    index = Index(graph)
    found = [_logits_of(index, one.name, values, batch, opset) for one in graph.output]
    names = {logits for logits, _ in found}
    outputs = tuple(one.name for one in graph.output)
    if len(names) > 1:
        shown = shorten_names([_describe(one, values) for one in outputs], _SHOWN)
        raise ArtifactError(
            f"has {len(outputs)} outputs ({shown}) and not one of logits; cut it to the classifier "
            "(onnx.utils.extract_model), and pass that"
        )
    logits = found[0][0]
    shape = values[logits].shape
    _require_classes(index, logits, shape, batch, values)
    kinds = [node.op_type for _, way in found for node in way]
    removed = tuple(dict.fromkeys(one for one in kinds if one in (*_SOFT, *_CHOICES)))
    ways = tuple(tuple(way) for _, way in found)
    return Exit(logits, max(shape[1:]), len(shape) == 2, removed, outputs, ways)


def _logits_of(
    index: Index, output: str, values: Values, batch: int, opset: int
) -> tuple[str, list[NodeProto]]:
    """The value that an output is made of, and the operations between."""
    chain = _behind(index, output)
    last = 0  # as far as something is to be taken off
    for at, (name, node) in enumerate(chain[1:], 1):
        if (
            node is not None
            and node.op_type in _SOFT
            and not _over_classes(node, values[name].shape, batch, opset)
        ):
            break
        if node is not None and node.op_type in (*_SOFT, *_CHOICES):
            last = at
    if last == 0 and not _is_logits(values[chain[0][0]], batch):
        last = next((at for at, one in enumerate(chain) if _is_logits(values[one[0]], batch)), 0)
    while last + 1 < len(chain) and not _is_logits(values[chain[last][0]], batch):
        last += 1
    way = [node for _, node in chain[1 : last + 1] if node is not None]
    return chain[last][0], way[::-1]


def _over_classes(node: NodeProto, shape: tuple[int, ...], batch: int, opset: int) -> bool:
    axis: int = attribute_of(node, "axis", 1 if opset < 13 else -1)
    axis = axis + len(shape) if axis < 0 else axis
    if opset < 13:  # of the matrix that all axes from this one on are flattened to
        return axis == 1 and len(shape) > 1 and shape[0] == batch
    return 0 < axis < len(shape) and shape[axis] == int(np.prod(shape[1:]))


def _is_logits(value: NDArray[Any], batch: int) -> bool:
    shape = value.shape
    fits = (
        value.dtype == np.float32 and len(shape) in (2, 4) and shape[0] == batch
        and max(shape[1:]) == int(np.prod(shape[1:]))
    )  # fmt: skip
    return bool(fits)


def _require_classes(
    index: Index, logits: str, shape: tuple[int, ...], batch: int, values: Values
) -> None:
    if not _is_logits(values[logits], batch):
        raise ArtifactError(
            f"gives {_describe(logits, values)}, which is no row of logits for each image "
            "(float32[N, classes]); pass an image classifier"
        )
    maker = index.makers.get(logits)
    while maker is not None and maker.op_type in _SHAPES:
        maker = index.makers.get(maker.input[0])
    classes = max(shape[1:])
    if maker is not None and maker.op_type == "Sigmoid":
        what = "one class or none" if classes == 1 else "a multi-label head"
        raise ArtifactError(
            f"ends in a Sigmoid over {classes} output{'s' * (classes > 1)} ({what}): classes are "
            "told apart by the largest of several logits here; pass a classifier of one label"
        )
    if classes == 1:
        raise ArtifactError(
            "has one output, as of binary training with one logit, or of a regression; classes "
            "are told apart by the largest of several: give it two rows, zeros and its own logit"
        )


def _describe(name: str, values: Values) -> str:
    value = values[name]
    return f"{shorten(name, 40)} {value.dtype}{list(value.shape)}"


def _follow(logits: NDArray[np.float32], way: tuple[NodeProto, ...], given: Any) -> float:
    """Compute an output from logits as its operations do, and compare."""
    scores: NDArray[Any] = logits.astype(np.float64)
    for node in way:
        if node.op_type in _SOFT:
            shifted = scores - scores.max(axis=1, keepdims=True)
            scores = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            scores = np.exp(scores) if node.op_type == "Softmax" else scores
        elif node.op_type == "ArgMax":
            return _other_choices(scores, given.reshape(len(logits), -1)[:, :1])
        elif node.op_type == "TopK":
            return _other_best(scores, given)
    return relative_error(given.reshape(len(logits), -1), scores.astype(np.float32))


def _other_choices(scores: NDArray[Any], chosen: NDArray[Any]) -> float:
    """0 where each chosen class has the largest score, or nearly so."""
    chosen = chosen.astype(np.int64)
    if chosen.min() < 0 or chosen.max() >= scores.shape[1]:
        return float("inf")
    best = scores.max(axis=1, keepdims=True)
    short = best - np.take_along_axis(scores, chosen, axis=1)
    far = short > _CLOSE * np.abs(scores).max()
    return float("inf") if far.any() else 0.0


def _other_best(scores: NDArray[Any], given: Any) -> float:
    """Of the values or the indices of the largest scores."""
    given = given.reshape(len(scores), -1)
    if given.dtype.kind in "iu":
        return _other_choices(scores, given[:, :1])
    ordered = -np.sort(-scores, axis=1)[:, : given.shape[1]]
    return relative_error(given, ordered.astype(np.float32))
