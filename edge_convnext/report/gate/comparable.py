"""Whether a build can be compared with a baseline: one model, one precision, the same classes.

The true class of each image comes from the build's own data. If classes have changed places there,
every answer of the baseline counts as wrong, and no build could lose against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.report.gate.baseline import Baseline, share_images
from edge_convnext.report.gate.evidence import Evidence

__all__ = ["check_baseline", "exchanged_classes"]

_NAMED = 3  # of the classes that changed places
_FEWEST = 5  # images of a class that show what it is mostly called


def check_baseline(evidence: Evidence, baseline: Baseline) -> tuple[str, ...]:
    """Refuse a baseline that can't be compared.

    Returns:
        Notes that a reader of the comparison needs.

    Raises:
        ArtifactError: The baseline is of another model or precision, has a class that this build
            lacks, or its classes have changed places in the labels of the images.
    """
    model = evidence.report.model.name
    if baseline.model != model:
        raise ArtifactError(
            f"{evidence.path}: is of {model}, the baseline of {baseline.model}; pass a baseline of "
            "the same model"
        )
    if baseline.precision != evidence.precision:
        raise ArtifactError(
            f"{evidence.path}: is a build of {evidence.precision}, the baseline of "
            f"{shorten(baseline.precision, 20)}; pass a baseline of the same precision"
        )
    known = [composed(name) for name in evidence.report.model.classes]
    if known and (foreign := sorted(_classes_of(baseline) - set(known))):
        raise ArtifactError(
            f"{evidence.path}: has no class '{shorten(foreign[0], 60)}', which the baseline has; "
            "name the classes as before, or save a new baseline"
        )
    if share_images(evidence, baseline) is None:  # the criterion that compares reports it
        return ()
    return (
        *_half_notes(evidence, baseline),
        *_order_notes(known, baseline),
        *_label_notes(evidence, baseline),
        *_answer_notes(evidence, baseline),
    )


def _classes_of(baseline: Baseline) -> set[str]:
    return {*baseline.classes, *baseline.predictions.values()}


def _half_notes(evidence: Evidence, baseline: Baseline) -> Iterable[str]:
    """Note that one of the two used half of the images to look for a fallback."""
    if evidence.halved != baseline.halved:
        who = "This build" if evidence.halved else "The baseline's build"
        yield (
            f"{who} looked for a fallback to float on half of the images: both are compared on the "
            "other half alone."
        )


def _order_notes(known: list[str], baseline: Baseline) -> Iterable[str]:
    """Note another order of classes. It is no error, since names are compared, not numbers."""
    if (
        baseline.classes
        and tuple(known) != baseline.classes
        and set(known) == set(baseline.classes)
    ):
        place = next(at for at, name in enumerate(known) if name != baseline.classes[at])
        yield (
            f"The classes are in another order than the baseline's: output {place} is "
            f"'{shorten(known[place], 60)}' and was '{shorten(baseline.classes[place], 60)}'."
        )


def _label_notes(evidence: Evidence, baseline: Baseline) -> Iterable[str]:
    """Note, or refuse, changes of the true classes."""
    known = baseline.labels is not None
    pairs = Counter[tuple[str, str]]()
    for one in evidence.predictions:
        then = baseline.label_of(one.sha256) if known else baseline.said_of(one.sha256)
        if then is not None:
            pairs[then, one.label] += 1
    moved = sum(count for (then, now), count in pairs.items() if then != now)
    if not known:
        moved -= _most_wrong(baseline, pairs.total())
    if moved <= 0:
        return
    if exchanged := exchanged_classes(pairs):
        raise ArtifactError(
            f"{evidence.path}: whole classes have other labels than in the baseline: "
            f"{_list(exchanged)}; correct the order of the classes (--labels), or save a new "
            "baseline if the labels are right now"
        )
    least = "" if known else "at least "
    yield f"{least}{moved:,} of {pairs.total():,} images have another label than in the baseline."


def _most_wrong(baseline: Baseline, shared: int) -> int:
    """Most of the shared images that a baseline without labels can have classed wrong.

    Its top-1 says how many were wrong; all of these may be among the shared ones.
    """
    wrong = (100.0 - baseline.top1_pct) / 100.0 * len(baseline.predictions)
    return min(shared, round(wrong) + 1)  # an image that the set had twice counts once here


def _answer_notes(evidence: Evidence, baseline: Baseline) -> Iterable[str]:
    """Note classes whose answers changed to another class: the outputs may have other names."""
    pairs = Counter(
        (then, one.candidate)
        for one in evidence.predictions
        if (then := baseline.said_of(one.sha256)) is not None
    )
    if exchanged := exchanged_classes(pairs):
        yield (
            f"Of the answers, those of {_list(exchanged)}: look at the order of the classes, of "
            "this build and of the baseline."
        )


def exchanged_classes(pairs: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """Classes of which more than half became one other class, the largest first."""
    sizes = Counter[str]()
    for (then, _), count in pairs.items():
        sizes[then] += count
    return [
        (then, now)
        for (then, now), count in pairs.most_common()
        if then != now and 2 * count > sizes[then] >= _FEWEST
    ]


def _list(exchanged: list[tuple[str, str]]) -> str:
    shown = ", ".join(
        f"'{shorten(then, 60)}' became '{shorten(now, 60)}'" for then, now in exchanged[:_NAMED]
    )
    return shown + (f" and {len(exchanged) - _NAMED} more" if len(exchanged) > _NAMED else "")
