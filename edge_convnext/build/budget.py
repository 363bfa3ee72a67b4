"""Keep the accuracy budget: return the most harmful operators of an INT8 graph to float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.cpu_pixels import pixels_step
from edge_convnext.build.int8_chain import lower_step
from edge_convnext.build.lineage import Lineage
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Images, Step
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.networks.plans import Plan
from edge_convnext.stages import keep_float, quantize, sensitivity
from edge_convnext.stages.fuse_for_onnxruntime import has_products
from edge_convnext.stages.sensitivity import Sensitivity

if TYPE_CHECKING:
    from edge_convnext.build.graphs import Graphs

__all__ = ["Fallback", "hold_budget", "keep_float_step", "rank_plan", "sensitivity_step"]


@dataclass(frozen=True)
class Fallback:
    """The fallback to float of one INT8 graph that is past the accuracy budget."""

    plan: Plan
    full: Candidate  # with every operator in INT8; of its runtimes, the one that lost least
    drop_pp: float  # top-1 drop of `full`, on the images that showed it is past the budget
    ranking: tuple[Sensitivity, ...]
    names: tuple[str, ...] | None  # operators now in float; None where not even all suffice
    options: tuple[Candidate, ...]  # made of the graph that keeps the budget; empty without one
    replaced: tuple[Candidate, ...] = ()  # candidates of the full graph that `options` replace
    reason: str | None = None  # why no fallback was looked for
    portable: Step[OnnxModel] | None = None  # the graph of `options` in Q/DQ, for every runtime

    @property
    def held(self) -> Candidate | None:
        """The candidate that keeps the budget on the searched images, and runs as `full` does."""
        own = (self.full.runtime, self.full.hint, self.full.settings)
        return next(
            (one for one in self.options if (one.runtime, one.hint, one.settings) == own), None
        )


def hold_budget(
    runner: Runner,
    graphs: Graphs,
    options: Sequence[Candidate],
    evaluation: Evaluation,
    look: Callable[[Sequence[Candidate]], Evaluation] | str,
    samples: Images,
) -> list[Fallback]:
    """Find a fallback for every INT8 plan none of whose candidates keeps the budget.

    Args:
        runner: Runner of this build.
        graphs: Graphs of this build, the quantized ones among them.
        options: Candidates that were evaluated.
        evaluation: Their accuracy on all evaluation images.
        look: Evaluates further candidates on the images to search on, which must not be those
            that judge the fallback; or the reason that there are no such images.
        samples: Images to rank the operators on.
    """
    limit = runner.recipe.evaluate.max_drop_pp
    found = []
    for lineage in graphs.quantized:
        digest = lineage.final.digest
        users = [option for option in options if option.digest == digest]
        drops = {option.name: evaluation.comparisons[option.name].top1_drop_pp for option in users}
        if not users or min(drops.values()) <= limit:
            continue
        full = min(users, key=lambda option: drops[option.name])
        ranking = rank_plan(runner, lineage, samples)
        missed = Fallback(lineage.plan, full, drops[full.name], ranking, None, ())
        if isinstance(look, str):
            found.append(replace(missed, reason=look))
        else:
            found.append(_find(runner, lineage, missed, users, look, samples))
    return found


def rank_plan(runner: Runner, lineage: Lineage, samples: Images) -> tuple[Sensitivity, ...]:
    """Rank the operators of one plan's Q/DQ graph."""
    return sensitivity_step(runner, lineage.portable, _source(lineage), samples)


def _source(lineage: Lineage) -> Step[OnnxModel]:
    """The float graph that the Q/DQ graph was made from."""
    return lineage.before(quantize.STAGE)


def _find(
    runner: Runner,
    lineage: Lineage,
    missed: Fallback,
    users: Sequence[Candidate],
    look: Callable[[Sequence[Candidate]], Evaluation],
    samples: Images,
) -> Fallback:
    plan, limit = missed.plan, runner.recipe.evaluate.max_drop_pp
    source = _source(lineage)

    def option(names: Sequence[str], like: Candidate) -> Candidate:
        graph = keep_float_step(runner, lineage.portable, source, names, samples)
        alone = lineage.stands_for is not None
        if alone or (plan.format != "qdq" and has_products(graph.value.path)):
            graph = lower_step(runner, graph, plan, source, samples)
        if lineage.pixels is not None:
            graph = pixels_step(runner, graph, samples)
        return replace(like, model=graph.value, digest=graph.digest)

    def holds(names: Sequence[str]) -> bool:
        one = option(names, missed.full)
        return look([one]).comparisons[one.name].top1_drop_pp <= limit

    # With everything in float nothing is left to ship as INT8.
    harmful = [one.name for one in missed.ranking][:-1]
    names = keep_float.find_fallback(harmful, holds)
    if not names:
        return replace(missed, names=names)
    options = tuple(option(names, like) for like in users)
    portable = keep_float_step(runner, lineage.portable, source, names, samples)
    return replace(missed, names=names, options=options, replaced=tuple(users), portable=portable)


def sensitivity_step(
    runner: Runner, quantized: Step[OnnxModel], reference: Step[OnnxModel], samples: Images
) -> tuple[Sensitivity, ...]:
    """Measure what quantizing each operator costs; the most harmful comes first."""

    def make(_folder: Path) -> dict[str, Any]:
        ranked = sensitivity.rank_operations(
            quantized.value.path, reference.value.path, samples.load(), runner.track
        )
        return {"ranking": [asdict(one) for one in ranked]}

    key = {
        "quantized": quantized.digest,
        "reference": reference.digest,
        "images": samples.digest,
    }
    entry = runner.run(sensitivity.STAGE, make, key=key)
    return tuple(Sensitivity(**one) for one in entry.result["ranking"])


def keep_float_step(
    runner: Runner,
    quantized: Step[OnnxModel],
    reference: Step[OnnxModel],
    names: Sequence[str],
    samples: Images,
) -> Step[OnnxModel]:
    """Return operators to float, and compare with the whole float graph."""
    before = quantized.value

    def make(output: Path) -> OnnxModel:
        import onnx

        original = onnx.load(str(reference.value.path))
        proto = keep_float.keep_float(onnx.load(str(before.path)), original, names)
        onnx.save(proto, str(output))
        kept = len(keep_float.quantized_operations(proto))
        return replace(before, path=output, quantized_ops=kept)

    step = runner.graph(
        keep_float.STAGE,
        before,
        make,
        file=f"{before.path.name.removesuffix('.int8.onnx')}.float{len(names)}.int8.onnx",
        what=f"keeping {len(names)} operations in float",
        compare_with=reference.value,
        samples=samples,
        key={
            "quantized": quantized.digest,
            "reference": reference.digest,
            "names": sorted(names),
        },
    )
    return replace(step, reason=quantized.reason)
