"""Check the float model's answers on labelled images before anything is built.

A model that is no better than guessing would otherwise be quantized, timed and shipped without a
warning: each precision keeps the accuracy of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_convnext.core.artifacts import Weights
from edge_convnext.core.errors import BadModelError
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track, tell, untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.images import ImageSet
from edge_convnext.measure.answers import Answer, labels_of, sample_images
from edge_convnext.measure.chance import Judgement, judge
from edge_convnext.measure.held_words import (
    describe,
    explain,
    explain_way,
    fitting_order,
    tell_too_few,
    warn,
)
from edge_convnext.measure.settings import labels_file_of
from edge_convnext.measure.suggest import THOROUGH, Effort, Suggestion, plan_trials, suggest_way

__all__ = ["Held", "hold_against_chance"]

_GOOD_PCT = 90.0  # from this top-1 on, no change of the preprocessing is suggested


@dataclass(frozen=True)
class Held:
    """The result of comparing a model with guessing."""

    notes: tuple[str, ...] = ()
    order: tuple[str, ...] | None = None  # all class names, in an order that would fit far better
    found: Judgement | None = None  # None: too few images, or all of one class


def hold_against_chance(
    weights: Weights,
    evaluation: ImageSet,
    recipe: Recipe,
    settings: Sequence[Fact],
    answer: Answer,
    effort: Effort = THOROUGH,
    track: Track = untracked,
    pool: ImageSet | None = None,
) -> Held:
    """Refuse a float model that is no better than guessing, or has its classes in another order.

    A sample of some hundred images is used; if the model looks bad on it, all images. One answer
    for all of the sample is bad enough: that is told at once.

    Args:
        weights: Unfolded weights.
        evaluation: Labelled images, in the order of the model's classes.
        recipe: Recipe of the build; `evaluate.allow_bad_model` turns the error into a note.
        settings: Settled settings; a message names the source of one that should be changed.
        answer: Answers of the model.
        effort: Effort that may be spent on trying other preprocessing.
        track: Shows what was found before more is looked at.
        pool: All labelled images, where `evaluation` is a part of them: other preprocessing is
            tried on some of these, so that a check and a build try it on the same.

    Raises:
        BadModelError: The model is bad; its one-line message has the order or setting that fits.
    """
    info = weights.info
    images = sample_images(evaluation, recipe.seed)
    answers = answer(images, None)
    found = judge(answers, labels_of(images), info.num_classes)
    if images is not evaluation and (found is None or (found.bad and found.one_answer is None)):
        if found is not None:
            told = describe(found, info.classes)
            tell(track, f"the float model {told}: looking at all {len(evaluation):,}")
        images = evaluation
        answers = answer(images, None)
        found = judge(answers, labels_of(images), info.num_classes)
    if found is None:
        return Held((tell_too_few(evaluation),))
    order = fitting_order(found, info.classes)
    better: Suggestion | None = None
    all_images = evaluation if pool is None else pool
    trials = plan_trials(weights, all_images, effort)
    if found.order is None and (found.bad or found.top1_pct < _GOOD_PCT):
        if found.bad and not trials.why_none:
            told = describe(found, info.classes)
            tell(track, f"the float model {told}: trying other preprocessing")
        better = suggest_way(weights, all_images, answer, recipe.seed, effort)
    if not found.bad:
        note = (explain_way(better.found, info, settings, trials),) if better else ()
        return Held((*warn(found, info.classes), *note), None, found)
    way = better.found if better else None
    said = explain(found, info, order, way, labels_file_of(settings), trials)
    message = f"{info.weights_source}: {said}"
    if not found.surely_bad:
        if found.one_answer is None and better is None:
            message = (
                f"The float model {describe(found, info.classes)}: more images would show more"
            )
        return Held((f"{message}. So few images end no build.",), order, found)
    if not recipe.evaluate.allow_bad_model:
        raise BadModelError(f"{message}; or pass --allow-bad-model to go on", order=order)
    return Held((f"{message}. Allowed by --allow-bad-model.",), order, found)
