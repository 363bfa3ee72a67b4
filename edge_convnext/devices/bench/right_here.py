"""Which candidates compute here what their graphs say: a build's check, on a board and for engines.

A bundle has the classes that the build's float graph answered, but no logits. So the float graph
and each candidate's own graph run in ONNX Runtime here, on some of the bundle's images, and the
logits of the candidate are held to theirs (`measure.in_runtime`). A build times a wrong float all
the same, as INT8 has to beat it to be called faster; here it is left out, as a wrong INT8 is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from edge_convnext.core.errors import ArtifactError, EdgeConvNextError, InferenceError
from edge_convnext.measure.candidates import Candidate, load_candidate
from edge_convnext.measure.in_runtime import HALF_DB, compare_in_runtime
from edge_convnext.report.described import LeftOutReport
from edge_convnext.runtimes.load import find_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Held", "keep_right"]

_ELSEWHERE = "onnxruntime"


class Held(NamedTuple):
    """What came of holding the candidates to their graphs."""

    kept: list[Candidate]
    left_out: list[LeftOutReport]
    unheld: str = ""  # why nothing was compared


def keep_right(
    candidates: Sequence[Candidate],
    logits: Mapping[str, NDArray[np.float32]],
    sources: Mapping[str, Path],
    images: NDArray[np.float32],
    threads: int | None,
) -> Held:
    """Leave out the candidates whose logits are not those of their graph.

    Args:
        candidates: Candidates that ran.
        logits: Their logits on the bundle's images by name, float32[M, classes]; the first ones
            are those of `images`.
        sources: Graphs that engines were built from, by name of the candidate.
        images: Normalised images, float32[N, C, H, W].
        threads: Threads of a runtime; None for all.

    Returns:
        The candidates that are right, and the others with reasons. Where the bundle has no float
        graph that ONNX Runtime runs, or that is not installed, all are kept, and that is said.

    Raises:
        ArtifactError: None is right.
    """
    graphs = {one.name: sources.get(one.name, one.model.path) for one in candidates}

    @cache
    def run(path: Path, batch: int | None) -> NDArray[np.float32] | None:
        like = next(one for one in candidates if graphs[one.name] == path and one.batch == batch)
        there = replace(
            like, model=replace(like.model, path=path), runtime=_ELSEWHERE, hint="f32", settings=()
        )
        try:
            return load_candidate(there, batch or 1, threads).infer(images)
        except InferenceError:  # it has no such operation: nothing to hold the candidate to
            return None

    shown = {name: found[: len(images)] for name, found in logits.items()}
    floating = _find_float(candidates)
    if floating is None:
        return Held(list(candidates), [], "the bundle has no float graph")
    try:
        expected = run(graphs[floating.name], floating.batch)
    except EdgeConvNextError as error:  # ONNX Runtime is not installed
        return Held(list(candidates), [], str(error))
    if expected is None:
        return Held(list(candidates), [], "ONNX Runtime does not run its float graph here")
    why = partial(_why_wrong, candidates, shown, expected)
    reasons = {one.name: why(one, partial(run, graphs[one.name], one.batch)) for one in candidates}
    kept = [one for one in candidates if reasons[one.name] is None]
    left = [LeftOutReport(artifact=name, reason=said) for name, said in reasons.items() if said]
    if not kept:
        why_not = left[0].reason
        raise ArtifactError(f"none of the bundle's graphs is computed rightly here: {why_not}")
    return Held(kept, left)


def _find_float(candidates: Sequence[Candidate]) -> Candidate | None:
    """The float graph that the others are held to: of FP32, else of FP16."""
    floats = [one for one in candidates if one.model.precision != "int8"]
    return min(floats, key=lambda one: (one.on_gpu, one.model.precision != "fp32"), default=None)


def _why_wrong(
    candidates: Sequence[Candidate],
    shown: Mapping[str, NDArray[np.float32]],
    expected: NDArray[np.float32],
    one: Candidate,
    elsewhere: Callable[[], NDArray[np.float32] | None],
) -> str | None:
    if one.runtime == _ELSEWHERE and not one.settings:
        return None
    there = elsewhere()
    if there is None:
        return None
    label = find_runtime(one.runtime).LABEL
    if one.on_gpu:  # its floats are float16
        found = compare_in_runtime(expected, shown[one.name], there, limit_db=HALF_DB)
        return found.why_wrong(label)
    twin = _find(candidates, one, hint="f32")
    wrong = None
    if twin is not None:
        wrong = compare_in_runtime(expected, shown[twin.name], there).why_wrong(label)
    if wrong is not None or one.hint not in ("bf16", "f16") or one.model.precision != "int8":
        return wrong
    own = next((each for each in candidates if _is_float_like(each, one)), None)
    if own is None:
        return None
    return compare_in_runtime(expected, shown[one.name], there, shown[own.name]).why_wrong(label)


def _find(candidates: Sequence[Candidate], like: Candidate, hint: str) -> Candidate | None:
    """The same graph in the same runtime, in another float type."""
    wanted = (like.digest, like.runtime, like.settings, hint)
    return next(
        (one for one in candidates if (one.digest, one.runtime, one.settings, one.hint) == wanted),
        None,
    )


def _is_float_like(one: Candidate, like: Candidate) -> bool:
    """Whether this is a float graph in the same runtime and float type."""
    return one.model.precision == "fp32" and (one.runtime, one.hint) == (like.runtime, like.hint)
