"""The candidates of a build that are right where they run, and why the others are not.

What is refused does not ship, and is neither evaluated nor raced; but a float that is computed
wrongly is timed, as INT8 has to beat whatever its runtime makes of the float graph. The logits that
decide it are kept by digest, as those of the evaluation are: a second build infers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from edge_convnext.build.runner import Logits, Runner
from edge_convnext.core.artifacts import LITERT_FORMAT
from edge_convnext.core.errors import InferenceError
from edge_convnext.measure.accuracy import predict
from edge_convnext.measure.candidates import Candidate, load_candidate
from edge_convnext.measure.in_runtime import InRuntime, compare_in_runtime
from edge_convnext.runtimes.lint import lint, targets_here
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.stages import quantize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.step import Images, Step
    from edge_convnext.graph.findings import Finding
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["Ruling", "Sieve", "check_in_runtime", "find_error"]

_ELSEWHERE = "onnxruntime"
_HALF: tuple[PrecisionHint, ...] = ("bf16", "f16")


@dataclass(frozen=True)
class Ruling:
    """One candidate, and whether it is right where it runs."""

    candidate: Candidate
    found: InRuntime | None  # None where it was not run: it can't be, or nothing could differ
    finding: Finding | None = None  # the error that its runtime's lint has for its graph
    wrong: str | None = None  # a sentence; None where it is right

    @property
    def sets_the_pace(self) -> bool:
        """Whether this is a float that runs and is wrong: to be beaten, never to ship."""
        runs = self.found is not None
        return self.wrong is not None and runs and self.candidate.model.precision == "fp32"


class Sieve:
    """Keeps the candidates of one build that are right where they run.

    Args:
        prepared: Graphs of this build.
        machine: Fingerprint: another CPU may compute other logits.
    """

    def __init__(self, prepared: Prepared, machine: str) -> None:
        self.refused: list[Ruling] = []
        self._prepared, self._machine = prepared, machine

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that are right; `refused` has the others."""
        runner, images = self._prepared.runner, self._prepared.samples
        kept = []
        shown = runner.track(candidates, "checking each where it runs", len(candidates))
        for one in shown:
            made = self._made(one)
            found = check_in_runtime(
                runner, one, _floating(made, one), images, self._machine, portable=made.stands_for
            )
            if found.wrong is None:
                kept.append(one)
            else:
                self.refused.append(found)
        return kept

    @property
    def unfit_floats(self) -> list[Candidate]:
        """Floats that were refused and can be timed; INT8 has to beat them too."""
        return [one.candidate for one in self.refused if one.sets_the_pace]

    def _made(self, one: Candidate) -> Lineage:
        """The lineage that a candidate comes from."""
        graphs = self._prepared.graphs
        known = (*graphs.floats, *graphs.floats_in(LITERT_FORMAT), *graphs.quantized)
        own = [made for made in known if made.final.digest == one.digest]
        alike = (made for made in graphs.quantized if _is_like(made, one))
        return (*own, *alike)[0]  # a fallback has a digest of its own


def _floating(made: Lineage, one: Candidate) -> Step[OnnxModel]:
    """The float graph that a candidate was made from, or that it is."""
    if one.model.precision == "int8":
        return made.before(quantize.STAGE)
    return made.stands_for or made.final


def _is_like(made: Lineage, one: Candidate) -> bool:
    return (made.plan.form, made.plan.placement) == (one.model.form, one.model.placement)


def check_in_runtime(
    runner: Runner,
    one: Candidate,
    floating: Step[OnnxModel],
    images: Images,
    machine: str,
    *,
    measure: bool = False,
    portable: Step[OnnxModel] | None = None,
) -> Ruling:
    """Run a candidate where it shall run, and judge it; see `measure.in_runtime`.

    Args:
        runner: Runner whose cache has logits of equal graphs on equal images.
        one: The candidate.
        floating: The float graph that it was made from, or that it is.
        images: Real images.
        machine: Fingerprint: another CPU may compute other logits.
        measure: True to run what can't be wrong too: what it is held to is its own logits.
        portable: ONNX graph that it was written from, where only its own runtime loads it.
    """
    finding = find_error(one)
    if not measure and one.runtime == _ELSEWHERE and not one.settings:
        return Ruling(one, None, finding, None if finding is None else str(finding))
    label = find_runtime(one.runtime).LABEL
    logits = partial(_logits, runner, images, machine)
    found, wrong = None, None
    try:
        for hint in _hints(one):
            found = _compare(replace(one, hint=hint), floating, logits, portable)
            wrong = found.why_wrong(label)
            if wrong is not None:
                break
    except InferenceError as error:
        wrong = f"{label} can't run it: {error}"
    if finding is not None:
        wrong = str(finding) if wrong is None else f"{wrong}: {finding}"
    return Ruling(one, found, finding, wrong)


def find_error(one: Candidate) -> Finding | None:
    """The first error that the lint of its runtime has for a candidate's graph."""
    found = (
        finding for target in targets_here(one.runtime) for finding in lint(one.model.path, target)
    )
    return next((finding for finding in found if finding.severity == "error"), None)


def _hints(one: Candidate) -> tuple[PrecisionHint, ...]:
    """In float32 first; a float graph in bfloat16 is what others are held to."""
    if one.hint in _HALF and one.model.precision == "int8":
        return "f32", one.hint
    return ("f32",)


def _compare(
    one: Candidate,
    floating: Step[OnnxModel],
    logits: Callable[[Candidate], Logits],
    portable: Step[OnnxModel] | None,
) -> InRuntime:
    source = Candidate.of(floating, _ELSEWHERE, "f32", may_ship=False)
    elsewhere = replace(one, runtime=_ELSEWHERE, hint="f32", settings=())
    if portable is not None:
        elsewhere = Candidate.of(portable, _ELSEWHERE, "f32", may_ship=False)
    in_half = replace(source, runtime=one.runtime, hint=one.hint)
    return compare_in_runtime(
        logits(source),
        logits(one),
        logits(elsewhere),
        logits(in_half) if one.hint in _HALF else None,
    )


def _logits(runner: Runner, images: Images, machine: str, one: Candidate) -> Logits:
    """Logits of one candidate, loaded as it is raced for the verdict.

    In ONNX Runtime nothing could differ: there they are those that its stage was compared by.
    """
    batch, threads = min(runner.recipe.benchmark.batches), runner.recipe.benchmark.threads
    of_stage = one.runtime == _ELSEWHERE and not one.settings
    run = {
        "artefact": one.digest,
        "runtime": one.runtime,
        "hint": str(one.hint),
        **({"run": "its stage's"} if of_stage else {"timed_batch": str(batch)}),
        **dict(one.settings),
    }

    def infer(names: Sequence[str]) -> dict[str, Logits]:
        if of_stage:
            return {name: runner.logits_in(_ELSEWHERE, one.model.path, images) for name in names}
        runtime = load_candidate(one, batch, threads)
        return {name: predict(runtime, images.load()) for name in names}

    return runner.logits({one.name: run}, images.digest, {}, machine, infer)[one.name].value
