"""Messages on a model that was compared with guessing; they name only causes that were tried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_convnext.core.artifacts import ModelInfo
from edge_convnext.core.errors import shorten
from edge_convnext.core.origins import Fact
from edge_convnext.data.images import ImageSet
from edge_convnext.measure.alternatives import BGR, Found, Trials
from edge_convnext.measure.chance import FEWEST_IMAGES, MOST_CLASSES, Judgement

__all__ = [
    "describe",
    "explain",
    "explain_way",
    "fitting_order",
    "name_order",
    "name_remedy",
    "tell_too_few",
    "warn",
]

_SHOWN_NAMES = 5


def warn(found: Judgement, classes: Sequence[str]) -> tuple[str, ...]:
    """Notes on a doubtful model that is not refused, as it is finished or not bad enough."""
    if found.bad:
        order = fitting_order(found, classes)
        would = 100.0 * found.reordered_hits / found.n_images
        more = f", and in {would:.2f} % in another order of the classes"
        names = f" ({name_order(order, classes)})" if order is not None else ""
        return (f"{describe(found, classes)}{more + names if found.order else ''}",)
    if found.near_constant:
        return (
            f"Top-1 {found.top1_pct:.2f} % of {found.n_images} images may be no more than one "
            f"answer for all of them would get ({100 * found.constant:.2f} %); class by class the "
            "model is better than guessing.",
        )
    return ()


def tell_too_few(images: ImageSet) -> str:
    """A sentence on why the model could not be compared with guessing."""
    kinds = len({sample.label for sample in images.samples})
    if kinds < 2:
        return (
            f"All {len(images)} evaluation images are of one class: whether the model is better "
            "than guessing can't be told."
        )
    return (
        f"{len(images)} evaluation images are too few to tell whether the model is better than "
        f"guessing: {FEWEST_IMAGES} would do."
    )


def fitting_order(found: Judgement, classes: Sequence[str]) -> tuple[str, ...] | None:
    """Class names in the order that was found to fit, by logit; None where none was."""
    if found.order is None or not classes:
        return None
    names = [""] * len(classes)
    for label, place in enumerate(found.order):
        names[place] = classes[label]
    return tuple(names)


def describe(found: Judgement, classes: Sequence[str]) -> str:
    """Words on how often the model and a guess are right."""
    if found.one_answer is not None:
        name = classes[found.one_answer] if classes else str(found.one_answer)
        return (
            f"gives the class '{shorten(name, 60)}' to each of {found.n_images} evaluation images"
        )
    low, high = found.interval_pct
    rival = max(found.guess, found.constant if found.complete else 0.0)
    against = f", where guessing gets {100 * rival:.2f} %" if found.at_chance else ""
    return (
        f"is right in {found.top1_pct:.2f} % of {found.n_images} evaluation images "
        f"(95 %: {low:.1f} to {high:.1f}){against}"
    )


def explain(
    found: Judgement,
    info: ModelInfo,
    order: tuple[str, ...] | None,
    better: Found | None,
    labels: str | None = None,
    trials: Trials | None = None,
) -> str:
    """Words on what is wrong and what would fit.

    Args:
        found: The judgement of a bad model.
        info: Facts on it.
        order: An order of the classes that fits.
        better: Preprocessing that surely is right more often.
        labels: The user's file with the order of the classes.
        trials: Settings that were tried; None: nothing was.
    """
    start = describe(found, info.classes)
    if order is not None:
        would = 100.0 * found.reordered_hits / found.n_images
        return (
            f"{start}, and in {would:.2f} % where its classes stand in another order "
            f"({name_order(order, info.classes)}): {_mend_order(labels)}"
        )
    if better is not None:
        return f"{start}; {name_remedy(better, info)}{_tell_rest(trials)}"
    orders = "no other order of the classes does far better"
    if info.num_classes > MOST_CLASSES:
        orders = f"other orders of so many classes ({info.num_classes:,}) were not tried"
    trained = "train it longer, or " if trials is not None and trials.trained_here else ""
    return (
        f"{start}; {orders}, and {_tell_trials(trials)}: {trained}pass the weights and the data "
        "that belong together"
    )


def _tell_trials(trials: Trials | None) -> str:
    if trials is None or trials.why_none:
        why = f", for {trials.why_none}" if trials is not None else ""
        return f"no other preprocessing was tried{why}"
    tried = ", ".join(map(_in_words, trials.names))
    return (
        f"no other preprocessing that was tried does far better ({tried}, on {trials.n_images} "
        f"images{_tell_rest(trials)})"
    )


def _tell_rest(trials: Trials | None) -> str:
    """Words on what a build tries besides; empty where this tried all."""
    if trials is None or not trials.left_out:
        return ""
    return f"; a build also tries {', '.join(map(_in_words, trials.left_out))}"


def _in_words(name: str) -> str:
    return "the order of the colours" if name == BGR else name


def _mend_order(labels: str | None) -> str:
    trained = "the names in the order that it was trained with"
    return f"write {trained} into {labels}" if labels else f"pass --labels FILE with {trained}"


def explain_way(
    better: Found, info: ModelInfo, settings: Iterable[Fact], trials: Trials | None = None
) -> str:
    """A sentence on settings in use, stated or not, that other settings surely beat."""
    origins = {one.name: one.origin for one in settings}
    changed = better.changed(info.preprocess)
    stated = {
        str(origins[name]): None
        for name in changed
        if name in origins and origins[name].kind != "default"
    }
    by = f", stated by {', '.join(stated)}," if stated else ", which nothing states,"
    what = f"The {', '.join(changed)}{by}" if changed else "The order of the colours"
    sure = "can't" if better.explains else "may not"
    return (
        f"{what} {sure} be what the model was trained with: of {better.n_images} images "
        f"{better.before} are answered right; {name_remedy(better, info)}{_tell_rest(trials)}."
    )


def name_remedy(better: Found, info: ModelInfo) -> str:
    """Words on the flags to pass or the weights to change, and the accuracy that this gives.

    What leaves most of the mistakes is told with that, and not called the cause.
    """
    share = f"{100.0 * better.after / better.n_images:.2f} % of {better.n_images} are right"
    flags = better.flags(info.preprocess)
    how = f"with {flags}"
    if better.way[1]:
        also = f" and {flags}" if flags else ""
        how = f"with the colours in the order blue, green, red{also}"
    if not better.explains:
        return (
            f"{share} {how}, the best of {better.tried} other ways; that leaves more than half of "
            "the mistakes, so too little training or other data may be the cause: look up how the "
            "model was trained"
        )
    if not better.way[1]:
        return f"{share} {how}: pass that"
    return (
        f"{share} {how}: these weights seem trained on images as OpenCV reads them; swap the input "
        "channels of their first convolution"
    )


def name_order(order: Sequence[str], classes: Sequence[str]) -> str:
    """Names of an order, from the first one that stands elsewhere in `classes`."""
    start = next(
        (i for i, pair in enumerate(zip(order, classes, strict=True)) if len(set(pair)) > 1), 0
    )
    shown = order[start : start + _SHOWN_NAMES]
    before = f"from number {start} on: " if start else ""
    return (
        f"{before}{shorten(', '.join(shown))}{', ...' if start + len(shown) < len(order) else ''}"
    )
