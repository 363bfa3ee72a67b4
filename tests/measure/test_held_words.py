from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.torch_exports import INFO

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.measure.alternatives import BGR, Found, Trials
from edge_convnext.measure.chance import judge
from edge_convnext.measure.held_words import (
    describe,
    explain,
    explain_way,
    fitting_order,
    name_order,
    name_remedy,
    tell_too_few,
    warn,
)

NAMES = ("ant", "bee", "cat")
LABELS = np.repeat([0, 1, 2], 40)
NOW = Preprocess(image_size=224)


def better(preprocess, swapped=False):
    return Found((preprocess, swapped), 10, 95, 100, 7)


def test_a_good_model_is_not_warned_of_and_a_bad_one_described():
    assert warn(judge(LABELS, LABELS, 3), NAMES) == ()
    guesses = judge(np.random.default_rng(1).integers(0, 3, 120), LABELS, 3)
    (said,) = warn(guesses, NAMES)
    assert said == describe(guesses, NAMES)
    assert said.startswith(f"is right in {guesses.top1_pct:.2f} % of 120 evaluation images (95 %: ")
    assert said.endswith("where guessing gets 33.33 %")


def test_one_answer_is_named_or_numbered():
    always = judge(np.full(120, 2), LABELS, 3)
    assert describe(always, NAMES) == "gives the class 'cat' to each of 120 evaluation images"
    assert "the class '2'" in describe(always, ())


def test_the_order_that_fits_has_each_name_at_its_logit():
    found = judge((LABELS + 1) % 3, LABELS, 3)
    order = fitting_order(found, NAMES)
    assert order == ("cat", "ant", "bee")
    assert fitting_order(found, ()) is None
    assert fitting_order(judge(LABELS, LABELS, 3), NAMES) is None
    said = explain(found, replace(INFO, classes=NAMES, num_classes=3), order, None)
    assert "in 100.00 % where its classes stand in another order (cat, ant, bee)" in said


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (("b", "a", "c"), "b, a, c"),
        (("a", "c", "b"), "from number 1 on: c, b"),
    ],
)
def test_an_order_is_named_from_where_it_differs(order, said):
    assert name_order(order, ("a", "b", "c")) == said
    long = tuple("gfedcba")
    assert name_order(long, tuple("abcdefg")) == "g, f, e, d, c, ..."


def test_a_remedy_has_its_flags_and_what_they_would_be_right_in():
    said = name_remedy(better(Preprocess(image_size=96)), replace(INFO, preprocess=NOW))
    assert said == "95.00 % of 100 are right with --image-size 96: pass that"
    swapped = name_remedy(better(NOW, True), replace(INFO, preprocess=NOW))
    assert "with the colours in the order blue, green, red: these weights" in swapped


def test_who_stated_what_can_not_be_is_named():
    info = replace(INFO, preprocess=NOW)
    facts = [Fact("image_size", 224, Origin("checkpoint", "args: img_size"))]
    said = explain_way(better(Preprocess(image_size=96)), info, facts)
    assert said.startswith("The image_size, stated by checkpoint (args: img_size), can't be what")
    nobody = explain_way(better(Preprocess(image_size=96)), info, [])
    assert nobody.startswith("The image_size, which nothing states, can't")
    assert explain_way(better(NOW, True), info, []).startswith("The order of the colours can't")


def test_too_few_images_or_classes_are_told():
    def images(*labels):
        return ImageSet(tuple(Sample(Path("a"), str(n), n) for n in labels), NAMES)

    assert "All 2 evaluation images are of one class" in tell_too_few(images(1, 1))
    assert tell_too_few(images(0, 1)).startswith("2 evaluation images are too few to tell")


def test_what_leaves_most_mistakes_is_not_called_the_cause():
    info = replace(INFO, preprocess=NOW)
    weak = Found((Preprocess(image_size=96), False), 33, 60, 100, 13)
    assert not weak.explains
    said = explain_way(weak, info, [])
    assert said.startswith("The image_size, which nothing states, may not be what the model was")
    assert said.endswith(
        "60.00 % of 100 are right with --image-size 96, the best of 13 other ways; that leaves "
        "more than half of the mistakes, so too little training or other data may be the cause: "
        "look up how the model was trained."
    )
    swapped = replace(weak, way=(NOW, True))
    for words in (name_remedy(swapped, info), explain_way(swapped, info, [])):
        assert "OpenCV" not in words
        assert "swap" not in words
        assert "can't be" not in words


@pytest.mark.parametrize(
    ("before", "after", "explains"),
    [(54, 82, True), (0, 50, True), (0, 49, False), (33, 47, False)],
)
def test_a_setting_is_the_cause_where_at_least_half_of_the_mistakes_go(before, after, explains):
    assert Found((NOW, True), before, after, 100, 13).explains is explains


def bad():
    return judge(np.random.default_rng(1).integers(0, 3, 120), LABELS, 3)


def test_what_was_tried_and_what_not_is_told():
    info = replace(INFO, num_classes=3)
    quick = Trials(("mean", "std", BGR), 37, left_out=("resize", "image_size"))
    assert (
        "no other order of the classes does far better, and no other preprocessing that was tried "
        "does far better (mean, std, the order of the colours, on 37 images; a build also tries "
        "resize, image_size): pass the weights"
    ) in explain(bad(), info, None, None, None, quick)
    whole = replace(quick, left_out=())
    assert "on 37 images): pass" in explain(bad(), info, None, None, None, whole)
    info = replace(info, preprocess=NOW)
    found = explain(bad(), info, None, better(Preprocess(image_size=96)), None, quick)
    assert found.endswith("--image-size 96: pass that; a build also tries resize, image_size")


def test_nothing_is_said_to_fit_worse_that_was_not_tried():
    info = replace(INFO, num_classes=1001)
    large = Trials(why_none="the model is too large for that")
    assert (
        "other orders of so many classes (1,001) were not tried, and no other preprocessing was "
        "tried, for the model is too large for that: pass the weights"
    ) in explain(bad(), info, None, None, None, large)
    here = Trials(why_none="edge-convnext train states them", trained_here=True)
    assert explain(bad(), info, None, None, None, here).endswith(
        "for edge-convnext train states them: train it longer, or pass the weights and the data "
        "that belong together"
    )
