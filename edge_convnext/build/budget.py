"""Keep the accuracy budget: where an INT8 graph misses it, return what harms most to float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edge_convnext.build.graphs import Graphs
from edge_convnext.build.runner import Steps
from edge_convnext.core.step import Images
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.networks.plans import Plan
from edge_convnext.stages.fuse_for_onnxruntime import has_products
from edge_convnext.stages.keep_float import find_fallback
from edge_convnext.stages.sensitivity import Sensitivity

__all__ = ["Fallback", "hold_budget", "rank_plan"]


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
    steps: Steps,
    graphs: Graphs,
    options: Sequence[Candidate],
    evaluation: Evaluation,
    look: Callable[[Sequence[Candidate]], Evaluation] | str,
    samples: Images,
) -> list[Fallback]:
    """Find a fallback for every INT8 plan of which no option keeps the budget.

    Args:
        steps: Of this build.
        graphs: With the quantized ones.
        options: What was evaluated.
        evaluation: Of them, on every image there is.
        look: Evaluates further options on the images to search on, which must not be those that
            judge what was found; or why there are no such images.
        samples: Images to rank the operations on.
    """
    limit = steps.recipe.evaluate.max_drop_pp
    found = []
    for plan in graphs.quantized:
        digest = graphs.final(plan, "int8").digest
        users = [option for option in options if option.digest == digest]
        drops = {option.name: evaluation.comparisons[option.name].top1_drop_pp for option in users}
        if not users or min(drops.values()) <= limit:
            continue
        full = min(users, key=lambda option: drops[option.name])
        ranking = rank_plan(steps, graphs, plan, samples)
        missed = Fallback(plan, full, drops[full.name], ranking, None, ())
        if isinstance(look, str):
            found.append(replace(missed, reason=look))
        else:
            found.append(_find(steps, graphs, missed, users, look, samples))
    return found


def rank_plan(steps: Steps, graphs: Graphs, plan: Plan, samples: Images) -> tuple[Sensitivity, ...]:
    """Rank the operations of one plan's Q/DQ graph."""
    return steps.sensitivity(graphs.portable(plan), graphs.before_quantize(plan), samples)


def _find(
    steps: Steps,
    graphs: Graphs,
    missed: Fallback,
    users: Sequence[Candidate],
    look: Callable[[Sequence[Candidate]], Evaluation],
    samples: Images,
) -> Fallback:
    plan, limit = missed.plan, steps.recipe.evaluate.max_drop_pp

    def option(names: Sequence[str], like: Candidate) -> Candidate:
        graph = steps.keep_float(
            graphs.portable(plan), graphs.before_quantize(plan), names, samples
        )
        if plan.format != "qdq" and has_products(graph.value.path):
            graph = steps.lower(graph, plan, graphs.before_quantize(plan), samples)
        return replace(like, model=graph.value, digest=graph.digest)

    def holds(names: Sequence[str]) -> bool:
        one = option(names, missed.full)
        return look([one]).comparisons[one.name].top1_drop_pp <= limit

    # With everything in float nothing is left to ship as INT8.
    harmful = [one.name for one in missed.ranking][:-1]
    names = find_fallback(harmful, holds)
    if not names:
        return replace(missed, names=names)
    options = tuple(option(names, like) for like in users)
    return replace(missed, names=names, options=options, replaced=tuple(users))
