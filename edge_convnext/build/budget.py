"""Keep the accuracy budget: where an INT8 graph misses it, return what harms most to float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """What was done about one INT8 graph past the budget."""

    plan: Plan
    full: Candidate  # of all operations in INT8, the one of its options that lost least
    drop_pp: float  # of `full`, on the images that told that it is past the budget
    ranking: tuple[Sensitivity, ...]
    names: tuple[str, ...] | None  # now in float; None where not even all suffice
    options: tuple[Candidate, ...]  # of the graph that holds the budget; empty where there is none
    replaced: tuple[Candidate, ...] = ()  # options of the full graph, where there is one
    reason: str | None = None  # why none was looked for

    @property
    def held(self) -> Candidate | None:
        """What runs as `full` does, and keeps the budget where the search looked."""
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
    """Find a fallback for every INT8 plan of which no option keeps the budget.

    Args:
        runner: Of this build.
        graphs: With the quantized ones.
        options: What was evaluated.
        evaluation: Of them, on every image there is.
        look: Evaluates further options on the images to search on, which must not be those that
            judge what was found; or why there are no such images.
        samples: Images to rank the operations on.
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
    """Rank the operations of one plan's Q/DQ graph."""
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
        if plan.format != "qdq" and has_products(graph.value.path):
            graph = lower_step(runner, graph, plan, source, samples)
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
    return replace(missed, names=names, options=options, replaced=tuple(users))


def sensitivity_step(
    runner: Runner, quantized: Step[OnnxModel], reference: Step[OnnxModel], samples: Images
) -> tuple[Sensitivity, ...]:
    """What quantizing each operation costs, the most harmful first."""

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
    """Return operations to float, and compare with the whole float graph."""
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
